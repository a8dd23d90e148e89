"""Constants in memory that never makes the CPU wait: which they are, and that they get there."""

from pathlib import Path

import numpy as np
import pytest
from cases import reference_outputs
from tflite_writer import Operation, Tensor, write_model

from tinynas import paths
from tinynas.boards import load_board
from tinynas.compiler import compile_network
from tinynas.deploy.build import build
from tinynas.device.bench import open_bench
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import to_cost


def network() -> bytes:
    """A convolution over 64 pixels and a dense layer, whose constants are larger and read once."""
    rng = np.random.default_rng(3)
    tensors = [
        Tensor([1, 8, 8, 4], 0.1, 3),
        Tensor([8, 3, 3, 4], 0.01, data=rng.integers(-127, 128, (8, 3, 3, 4))),
        Tensor([1, 8, 8, 8], 0.4, -128),
        Tensor([10, 512], 0.01, data=rng.integers(-127, 128, (10, 512))),
        Tensor([1, 10], 2.0, 0),
    ]
    operations = [
        Operation("CONV_2D", [0, 1], [2], "Conv2D", {"strideH": 1, "strideW": 1}),
        Operation("FULLY_CONNECTED", [2, 3], [4], "FullyConnected"),
    ]
    return write_model(tensors, operations)


def test_what_is_read_most_often_for_its_size_comes_first_and_the_rest_where_it_fits() -> None:
    convolution, dense = (layer.constants_bytes for layer in compile_network(network()).layers)
    assert convolution < dense
    for budget, expected in (
        (0, 0),
        (convolution - 1, 0),
        (convolution, convolution),
        (convolution + dense - 1, convolution),
        (1 << 20, convolution + dense),
    ):
        program = compile_network(network(), fast_bytes=budget)
        assert program.fast_bytes == expected
        assert program.constants_bytes == convolution + dense
    assert b".section .tn_fast" in compile_network(network(), fast_bytes=convolution).files["network_constants.S"]
    assert b".tn_fast" not in compile_network(network()).files["network_constants.S"]


@pytest.mark.parametrize("name", ["netduinoplus2", "mps2_an386", "sifive_e"])
def test_a_board_copies_them_and_computes_the_same(name: str, tmp_path: Path) -> None:
    """netduinoplus2 and sifive_e have no fast memory but SRAM, mps2_an386 has block RAM."""
    board = load_board(name)
    inputs = np.random.default_rng(1).integers(-128, 128, (2, 256)).astype(np.int8)
    costs = []
    for budget in (0, 1 << 20):
        program = compile_network(network(), target=board.target, fast_bytes=budget)
        image = build(board, program, tmp_path / f"desk {budget}")
        with open_bench(board, count=1, directory=paths.home() / "bench") as bench:
            measurement = flash_and_measure(bench, image, inputs, repeats=1)
        assert np.array_equal(measurement.outputs, reference_outputs(network(), inputs))
        costs.append(to_cost(measurement, image, board))
    flash, fast = costs
    assert fast.flash is not None
    assert flash.flash is not None
    assert fast.sram is not None
    assert flash.sram is not None
    assert fast.flash.constants == flash.flash.constants == program.constants_bytes
    assert fast.sram.static - flash.sram.static == (0 if board.fast_memory else program.fast_bytes)
    if flash.wait_cycles:
        assert fast.wait_cycles is not None
        assert fast.wait_cycles < 0.2 * flash.wait_cycles
