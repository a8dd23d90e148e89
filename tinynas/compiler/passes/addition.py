"""ADD becomes part of the convolution before it, and then needs no image of its own between the two.

A few pixels of the convolution's output are added to the other input's as soon as they are there, and the sums take
that input's place. It saves the distance that the convolution's output would otherwise keep from its input.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tinynas.compiler.graph import Graph, Tensor
from tinynas.compiler.step import Argument, Call, Scratch, Step, Trail

# Pixels that a kernel works on at once.
_BLOCKS = {"tn_conv": 2, "tn_pair_conv": 3, "tn_mve_conv": 3}
_SWAPPED = {"multiplier_a": "multiplier_b", "multiplier_b": "multiplier_a"}


def fold_additions(graph: Graph, steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps without each ADD that a convolution can do in passing.

    It can where it alone produces one input, for the ADD alone, and the other one is there before; and where the ADD is
    done with one rounding.
    """
    readers = Counter(tensor.index for step in steps for tensor in step.operator.activations)
    readers.update(tensor.index for tensor in graph.outputs)
    producer = {tensor.index: -1 for tensor in graph.inputs}
    producer.update((step.operator.output.index, number) for number, step in enumerate(steps))
    folded: dict[int, Step | None] = {}
    for number, step in enumerate(steps):
        pair = step.operator.activations
        if [call.kernel for call in step.calls] != ["tn_add_linear"] or len(pair) != 2 or step.parts:
            continue
        residual, result = sorted(pair, key=lambda tensor: producer[tensor.index])
        place = producer[result.index]
        if place >= 0 and readers[result.index] == 1 and place not in folded and _can_add(steps[place]):
            folded[place] = _with_addition(steps[place], step, residual)
            folded[number] = None
    merged = (folded.get(number, step) for number, step in enumerate(steps))
    return tuple(step for step in merged if step is not None)


def _can_add(step: Step) -> bool:
    return len(step.calls) == 1 and step.calls[0].record in _BLOCKS and not step.parts


def _with_addition(step: Step, addition: Step, residual: Tensor) -> Step:
    """One step for both; `residual` is the input of the ADD that the convolution does not produce."""
    call, add = step.calls[0], addition.calls[0]
    convolution, output = step.operator, addition.operator.output
    swapped = addition.operator.activations[0] is residual
    fields = {_SWAPPED.get(name, name) if swapped else name: value for name, value in add.parameters.items()}
    sums = -(-step.scratch_bytes // 4) * 4
    block = _BLOCKS[call.record] * call.parameters["matmul.channels"]
    source = convolution.activation()
    fused = Call(
        kernel=call.kernel.replace(call.record, f"{call.record}_add"),
        record=f"{call.record}_add",
        parameters={
            **{f"conv.{name}": value for name, value in call.parameters.items()},
            **{f"addition.{name}": value for name, value in fields.items()},
            "sums": sums,
        },
        arguments=tuple(_arguments(call, convolution.output, (residual, output), Scratch(size=sums + block))),
    )
    inputs = (*convolution.inputs, residual)
    remarks = (*convolution.remarks, *addition.operator.remarks, f"with the ADD of operator {addition.operator.index}")
    return replace(
        step,
        operator=replace(convolution, inputs=inputs, outputs=(output,), remarks=remarks),
        calls=(fused,),
        overwrites=() if residual is source else (residual,),
        # Where it adds its own input, pixels are read once more when they are written.
        trails=tuple(
            Trail(tensor=trail.tensor, lag=max(trail.lag, 0) if residual is source else trail.lag)
            for trail in step.trails
        ),
    )


def _arguments(call: Call, result: Tensor, instead: tuple[Tensor, Tensor], scratch: Scratch) -> Iterator[Argument]:
    """The convolution's arguments, with two tensors instead of its result, and more scratch memory."""
    for argument in call.arguments:
        if argument is result:
            yield from instead
        else:
            yield scratch if isinstance(argument, Scratch) else argument
