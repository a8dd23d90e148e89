"""A convolution that does the ADD after it needs less memory, and the outputs stay the reference's."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import CORTEX_M4, CORTEX_M55, Machine
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import TARGETS, Target, compile_network
from tinynas.compiler.graph import read_graph
from tinynas.compiler.memory import plan_memory
from tinynas.compiler.ops import lower
from tinynas.compiler.passes import fold_additions, fold_padding

SIDE = 9
IC = Path(__file__).parents[3] / "shared" / "models" / "ic.tflite"


def residual(
    *,
    channels: int = 8,
    size: int = 3,
    itself: bool = False,
    second: bool = False,
    shortcut: bool = False,
    activation: int = 0,
    addition: tuple[float, int, int] = (0.07, 4, 0),
    read_twice: bool = False,
) -> bytes:
    """A convolution, another one over it, and the sum of both.

    itself: the first one is the network's input; second: the sum names the second convolution first; shortcut: the
    other summand goes through a convolution of its own; addition: the sum's scale, zero point and fused activation.
    """
    rng = np.random.default_rng(9)
    shape = [1, SIDE, SIDE, channels]
    options = {"padding": 0, "strideH": 1, "strideW": 1, "fusedActivationFunction": activation}
    tensors = [Tensor(shape, 0.05, 3)]
    operations: list[Operation] = []

    def convolve(source: int) -> int:
        tensors.append(
            Tensor(
                [channels, size, size, channels], 0.01, data=rng.integers(-127, 128, (channels, size, size, channels))
            )
        )
        tensors.append(Tensor(shape, 0.06, -5))
        operations.append(Operation("CONV_2D", [source, len(tensors) - 2], [len(tensors) - 1], "Conv2D", options))
        return len(tensors) - 1

    first = 0 if itself else convolve(0)
    summand = convolve(first)
    other = convolve(first) if shortcut else first
    scale, zero_point, fused = addition
    tensors.append(Tensor(shape, scale, zero_point))
    pair = [summand, other] if second else [other, summand]
    operations.append(Operation("ADD", pair, [len(tensors) - 1], "Add", {"fusedActivationFunction": fused}))
    outputs = [len(tensors) - 1]
    if read_twice:
        tensors.append(Tensor(shape, 0.06, -5))
        operations.append(Operation("RELU", [summand], [len(tensors) - 1]))
        outputs.append(len(tensors) - 1)
    return write_model(tensors, operations, outputs=outputs)


FOLDED = [
    residual(),
    residual(second=True),
    residual(itself=True),
    residual(shortcut=True),
    residual(shortcut=True, second=True),
    residual(size=1, itself=True),
    residual(channels=7),
    residual(channels=5, size=2, activation=1),
    residual(activation=3),
    residual(addition=(0.07, -128, 1)),
    residual(addition=(0.05, 100, 3)),
]


def layers(model: bytes, target: Target = "cortex-m4") -> list[str]:
    return [layer.op for layer in compile_network(model, target=target).layers]


@pytest.mark.parametrize("target", TARGETS)
def test_the_image_between_the_two_is_saved(target: Target) -> None:
    program = compile_network(residual(channels=8), target=target)
    assert [layer.op for layer in program.layers] == ["CONV_2D", "CONV_2D"]
    apart = compile_network(residual(channels=8, read_twice=True), target=target)
    assert program.arena_bytes < apart.arena_bytes


def test_sums_are_those_of_the_reference(check_equal: Callable[..., None]) -> None:
    assert sum("ADD" not in layers(model) for model in FOLDED) >= len(FOLDED) - 2
    check_equal(FOLDED)


@pytest.mark.parametrize("machine", [CORTEX_M4, CORTEX_M55])
def test_sums_are_those_of_the_reference_on_the_board(check_equal: Callable[..., None], machine: Machine) -> None:
    check_equal(FOLDED, machine=machine)


@pytest.mark.skipif(not IC.exists(), reason="shared/models is not there")
def test_the_networks_arena_shrinks_by_the_distance_at_which_the_output_trailed() -> None:
    graph = fold_padding(read_graph(IC.read_bytes()))
    steps = [lower(operator, "cortex-m4") for operator in graph.operators]
    apart, together = plan_memory(graph, steps), plan_memory(graph, fold_additions(graph, steps))
    assert (apart.arena_bytes, together.arena_bytes) == (34_176, 33_696)


def test_what_another_operator_reads_stays(check_equal: Callable[..., None]) -> None:
    assert "ADD" in layers(residual(read_twice=True))
    check_equal([residual(read_twice=True)])
