"""The arena: what is needed at the same time never overlaps, and what need not be copied is not."""

from collections.abc import Sequence
from itertools import pairwise
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
    size = graph.input.elements
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
    assert holds(graph.output.index) == {same[graph.output.index]}
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
        (plan.offsets[0], graph.input.elements),
        (plan.offsets[2], graph.output.elements),
        (plan.scratch_offsets[0], steps[0].scratch_bytes),
    ]
    assert steps[0].scratch_bytes == 2 * 36
    assert sum(size for _, size in places) == plan.arena_bytes
    for (start, size), (following, _) in zip(sorted(places), sorted(places)[1:], strict=False):
        assert start + size <= following


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
