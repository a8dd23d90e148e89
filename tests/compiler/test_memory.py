"""The arena: what is needed at the same time never overlaps, and what need not be copied is not."""

import random
import statistics
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network
from tinynas.compiler.graph import Graph, read_graph
from tinynas.compiler.memory import ALIGNMENT, Plan, plan_memory
from tinynas.compiler.ops import lower
from tinynas.compiler.step import Step
from tinynas.compiler.window import Window, trailing_lag

POOL = {"padding": 0, "strideH": 1, "strideW": 1, "filterHeight": 2, "filterWidth": 2}


def planned(tensors: Sequence[Tensor], operations: Sequence[Operation]) -> tuple[Graph, list[Step], Plan]:
    graph = read_graph(write_model(tensors, operations))
    steps = [lower(operator, "portable") for operator in graph.operators]
    return graph, steps, plan_memory(graph, steps)


@st.composite
def networks(draw: Any) -> tuple[list[Tensor], list[Operation]]:
    """Chains of pools, tables, reshapes and additions, with inputs from anywhere before."""
    shape = [1, 4, draw(st.integers(1, 9)), draw(st.integers(1, 9))]
    tensors, operations = [Tensor(shape, name="input")], []
    for number in range(1, draw(st.integers(1, 14)) + 1):
        tensors.append(Tensor(shape, name=f"of_{number}"))
        first, second = draw(st.integers(0, number - 1)), draw(st.integers(0, number - 1))
        operations.append(
            draw(
                st.sampled_from(
                    [
                        Operation("MAX_POOL_2D", [first], [number], "Pool2D", POOL),
                        Operation("RELU", [first], [number]),
                        Operation("RESHAPE", [first], [number]),
                        Operation("ADD", [first, second], [number], "Add"),
                    ]
                )
            )
        )
    return tensors, operations


@given(networks())
@settings(deadline=None, max_examples=300)
def test_what_a_later_step_reads_is_not_overwritten(network: tuple[list[Tensor], list[Operation]]) -> None:
    """Runs the plan on a memory that knows whose bytes it holds."""
    tensors, operations = network
    graph, steps, plan = planned(tensors, operations)
    size = graph.inputs[0].elements
    owner: list[int] = [-1] * plan.arena_bytes

    def write(tensor: int) -> None:
        offset = plan.offsets[tensor]
        assert offset % ALIGNMENT == 0
        assert offset + size <= plan.arena_bytes
        owner[offset : offset + size] = [tensor] * size

    def holds(tensor: int) -> set[int]:
        return set(owner[plan.offsets[tensor] : plan.offsets[tensor] + size])

    same = {tensor: tensor for tensor in range(len(tensors))}
    write(0)
    for step in steps:
        for tensor in step.operator.activations:
            assert holds(tensor.index) == {same[tensor.index]}
        if step.calls:
            write(step.operator.output.index)
        else:
            same[step.operator.output.index] = same[step.operator.activations[0].index]
    assert holds(graph.outputs[0].index) == {same[graph.outputs[0].index]}
    assert plan.arena_bytes >= plan.lower_bound_bytes


def test_a_reshape_and_an_element_wise_operator_need_no_memory_of_their_own() -> None:
    tensors = [Tensor([1, 4, 4, 4]), Tensor([1, 64]), Tensor([1, 64])]
    _, _, plan = planned(tensors, [Operation("RESHAPE", [0], [1]), Operation("RELU", [1], [2])])
    assert plan.arena_bytes == plan.lower_bound_bytes == 64


def test_an_addition_takes_over_the_input_that_nobody_else_needs() -> None:
    tensors = [Tensor([1, 4, 4, 4]) for _ in range(4)]
    operations = [
        Operation("MAX_POOL_2D", [0], [1], "Pool2D", POOL),
        Operation("ADD", [0, 1], [2], "Add"),
        Operation("ADD", [0, 2], [3], "Add"),
    ]
    _, _, plan = planned(tensors, operations)
    assert plan.offsets[2] == plan.offsets[1]
    assert plan.arena_bytes == 128


def test_scratch_memory_lies_beside_what_its_step_uses() -> None:
    weights = Tensor([8, 3, 3, 4], 0.01, data=np.ones((8, 3, 3, 4)))
    tensors = [Tensor([1, 5, 5, 4]), weights, Tensor([1, 5, 5, 8])]
    options = {"strideH": 1, "strideW": 1}
    graph, steps, plan = planned(tensors, [Operation("CONV_2D", [0, 1], [2], "Conv2D", options)])
    places = [
        (plan.offsets[0], graph.inputs[0].elements),
        (plan.offsets[2], graph.outputs[0].elements),
        (plan.scratch_offsets[0], steps[0].scratch_bytes),
    ]
    assert steps[0].scratch_bytes == 2 * 36
    scratch = places.pop()
    assert all(start + size <= scratch[0] or scratch[0] + scratch[1] <= start for start, size in places)


@st.composite
def windows(draw: Any) -> Window:
    """Windows whose every output pixel has a pixel of the image in its reach."""
    sizes = [draw(st.tuples(st.integers(1, 9), st.integers(1, 9))) for _ in range(2)]
    image, size = sizes[0], (min(sizes[1][0], sizes[0][0]), min(sizes[1][1], sizes[0][1]))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    before = draw(st.tuples(st.integers(0, size[0] - 1), st.integers(0, size[1] - 1)))
    output = tuple((image[axis] + before[axis] - 1) // stride[axis] + 1 for axis in range(2))
    return Window(
        input=image,
        channels=draw(st.integers(1, 5)),
        output=(output[0], output[1]),
        size=size,
        stride=stride,
        dilation=(1, 1),
        before=before,
        padding="VALID",
    )


def reads(window: Window, pixel: int) -> set[int]:
    """The bytes of the input that an output pixel needs."""
    y, x = divmod(pixel, window.output[1])
    top, left = y * window.stride[0] - window.before[0], x * window.stride[1] - window.before[1]
    return {
        (row * window.input[1] + column) * window.channels + channel
        for row in range(max(top, 0), min(top + window.size[0], window.input[0]))
        for column in range(max(left, 0), min(left + window.size[1], window.input[1]))
        for channel in range(window.channels)
    }


@given(windows(), st.integers(1, 9), st.integers(1, 3), st.booleans())
@settings(deadline=None, max_examples=300)
def test_an_output_that_trails_behind_overwrites_nothing_that_is_still_read(
    window: Window, channels: int, block: int, staged: bool
) -> None:
    """Goes through the output as the kernels do, with the output as close as it may be: then one byte is too close."""
    lag = trailing_lag(window, channels, block=block, staged=staged)
    pixels = window.output[0] * window.output[1]

    def survives(distance: int) -> bool:
        overwritten: set[int] = set()
        starts = [*range(0, pixels // block * block, block), *range(pixels // block * block, pixels)]
        for first, end in pairwise([*starts, pixels]):
            numbers = range(first, end)
            written = {index - distance for index in range(first * channels, end * channels)}
            if not staged:
                overwritten |= written
            if any(reads(window, pixel) & overwritten for pixel in numbers):
                return False
            overwritten |= written
        return True

    assert survives(lag)
    if window.size == (1, 1) and pixels > (block if staged else 0):
        assert not survives(lag - 1)


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=50)
def test_what_trails_behind_lies_where_it_may_and_all_else_apart(seed: int) -> None:
    graph, steps, plan = planned(*random_network(random.Random(seed)))
    lags = {(step.operator.output.index, t.tensor.index): t.lag for step in steps for t in step.trails}
    for one, other in combinations(plan.placed, 2):
        if one.last < other.first or other.last < one.first:
            continue
        apart = one.offset + one.size <= other.offset or other.offset + other.size <= one.offset
        behind = [
            low.offset + lags[output, source] <= high.offset and high.last == low.first
            for low, high in ((one, other), (other, one))
            for output in low.tensors
            for source in high.tensors
            if (output, source) in lags
        ]
        assert apart or any(behind)
    assert plan.offsets[graph.outputs[0].index] + graph.outputs[0].elements <= plan.arena_bytes


def random_network(rng: random.Random) -> tuple[list[Tensor], list[Operation]]:
    """Convolutions of random strides and widths, additions where shapes allow, joined to anything before."""
    tensors, operations = [Tensor([1, 16, 16, rng.choice([1, 3, 4])], name="input")], []
    activations = [0]
    for _ in range(rng.randrange(3, 16)):
        source = rng.choice(activations[-4:])
        shape = tensors[source].shape
        same = [number for number in activations if number != source and tensors[number].shape == shape]
        if same and rng.random() < 0.5:
            tensors.append(Tensor(shape))
            operations.append(Operation("ADD", [source, rng.choice(same)], [len(tensors) - 1], "Add"))
        else:
            size, stride, channels = rng.choice([1, 3]), rng.choice([1, 1, 2]), rng.choice([4, 8, 12, 16])
            tensors.append(
                Tensor([channels, size, size, shape[3]], 0.01, data=np.ones((channels, size, size, shape[3])))
            )
            tensors.append(Tensor([1, -(-shape[1] // stride), -(-shape[2] // stride), channels]))
            options = {"padding": 0, "strideH": stride, "strideW": stride}
            ends = [len(tensors) - 2, len(tensors) - 1]
            operations.append(Operation("CONV_2D", [source, ends[0]], [ends[1]], "Conv2D", options))
        activations.append(len(tensors) - 1)
    return tensors, operations


def test_plans_come_within_five_percent_of_their_lower_bounds() -> None:
    ratios = []
    for seed in range(200):
        _, _, plan = planned(*random_network(random.Random(seed)))
        ratios.append(plan.ratio)
    assert min(ratios) >= 1.0
    assert statistics.fmean(ratios) < 1.05


@given(networks())
@settings(deadline=None, max_examples=100)
def test_the_program_tells_where_every_tensor_lies_and_how_long(
    network: tuple[list[Tensor], list[Operation]],
) -> None:
    program = compile_network(write_model(*network))
    assert max(block.offset + block.bytes for block in program.arena) == program.arena_bytes
    named = [name for block in program.arena for name in block.tensors]
    assert sorted(named) == sorted({program.inputs[0].name, *(layer.name for layer in program.layers)})
    for at, layer in enumerate(program.layers):
        (block,) = (block for block in program.arena if layer.name in block.tensors)
        assert block.first <= at <= block.last
    for position in range(-1, len(program.layers) + 1):
        live = [block for block in program.arena if block.first <= position <= block.last]
        for below, above in pairwise(sorted(live, key=lambda block: block.offset)):
            assert below.offset + below.bytes <= above.offset
