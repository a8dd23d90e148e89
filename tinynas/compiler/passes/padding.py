"""PAD before a convolution: the convolution's kernel takes what lies outside the image for its zero point anyway."""

from collections import Counter
from dataclasses import replace

from tinynas.compiler.graph import Graph, Operator, Tensor
from tinynas.compiler.ops.pad import padding_value, read_paddings
from tinynas.errors import CandidateError

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_Pads = tuple[tuple[int, int], tuple[int, int]]


def fold_padding(graph: Graph) -> Graph:
    """Without the PAD and PADV2 whose only reader is a convolution that can take their padding over.

    It can where the padding is the zero point, along height and width only, and narrower than the window. What the
    lowering would refuse stays, and is refused there.
    """
    readers = Counter(tensor.index for operator in graph.operators for tensor in operator.activations)
    readers.update(tensor.index for tensor in graph.outputs)
    by_output = {operator.output.index: operator for operator in graph.operators if operator.name in ("PAD", "PADV2")}
    folded: dict[int, Operator] = {}
    for operator in graph.operators:
        image = operator.inputs[0] if operator.inputs else None
        pad = by_output.get(image.index) if image is not None and operator.name in _CONVOLUTIONS else None
        if pad is None or readers[pad.output.index] != 1:
            continue
        pads = _pads(pad)
        if pads is not None and _narrower(pads, operator):
            remarks = (*operator.remarks, f"with the padding of operator {pad.index}")
            inputs = (pad.inputs[0], *operator.inputs[1:])
            folded[operator.index] = replace(operator, inputs=inputs, pads=pads, remarks=remarks)
            by_output.pop(pad.output.index)
            folded[pad.index] = pad
    kept = (folded.get(operator.index, operator) for operator in graph.operators)
    dropped = {operator.index for operator in folded.values() if operator.name in ("PAD", "PADV2")}
    return replace(graph, operators=tuple(operator for operator in kept if operator.index not in dropped))


def _pads(pad: Operator) -> _Pads | None:
    """The padding of height and width, where there is no other and all of it is the zero point."""
    try:
        source, output = pad.activation(), pad.output
        before = read_paddings(pad, source, output)
        if len(before) != 4 or padding_value(pad) != output.zero_point:
            return None
    except CandidateError:
        return None
    after = tuple(out - size - start for out, size, start in zip(output.shape, source.shape, before, strict=True))
    if any((*before[::3], *after[::3])):
        return None
    return (before[1], after[1]), (before[2], after[2])


def _narrower(pads: _Pads, convolution: Operator) -> bool:
    """Whether every window of the convolution still reaches the image."""
    weights: Tensor | None = convolution.inputs[1] if len(convolution.inputs) > 1 else None
    if weights is None or len(weights.shape) != 4:
        return False
    return all(max(pads[axis]) < weights.shape[1 + axis] for axis in range(2))
