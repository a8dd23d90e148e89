"""MIRROR_PAD. Source: tensorflow/lite/micro/kernels/mirror_pad.cc."""

from tinynas.compiler.graph import Operator
from tinynas.compiler.ops.pad import RANK, read_paddings
from tinynas.compiler.step import Call, Step

_MODES = ("REFLECT", "SYMMETRIC")


def lower(operator: Operator) -> Step:
    """Any constant paddings that the input is large enough to be mirrored into, in up to four dimensions.

    Raises:
        MalformedModelError: paddings that do not lead to the output's shape, or reach beyond what there is to mirror.
        UnsupportedError: more dimensions, or scales of input and output that differ.
    """
    operator.require_operands(2, 2)
    source, output = operator.activation(), operator.output
    before = read_paddings(operator, source, output)
    mode = operator.option(0, "b")
    if not 0 <= mode < len(_MODES):
        operator.malformed(f"mode {mode}; there are {len(_MODES)}")
    edge = int(_MODES[mode] == "REFLECT")
    for start, size, out in zip(before, source.shape, output.shape, strict=True):
        if max(start, out - size - start) > size - edge:
            operator.malformed(f"{list(source.shape)} is too small to be mirrored into {list(output.shape)}")
    missing = RANK - len(before)
    parameters = {"edge": edge}
    for name, values, filler in (("size", source.shape, 1), ("out", output.shape, 1), ("before", before, 0)):
        parameters |= {f"{name}_{axis}": value for axis, value in enumerate((filler,) * missing + tuple(values))}
    call = Call(kernel="tn_mirror_pad", record="tn_mirror_pad", parameters=parameters, arguments=(source, output))
    return Step(operator=operator, calls=(call,), detail=f"{_MODES[mode]}, {list(before)} before")
