"""Several networks in one image: the figures and the bytes that each has in an image of its own."""

from pathlib import Path

import numpy as np
import pytest
from random_models import draw_small_model

from tinynas.boards import load_board
from tinynas.compiler import compile_network
from tinynas.cost import Cost
from tinynas.deploy.build import build, build_together
from tinynas.device.bench import Bench
from tinynas.device.emulator import EmulatedBoard
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import to_cost
from tinynas.device.station import EmulatedStation

SHARED = Path(__file__).resolve().parents[3] / "shared" / "models"
# They differ in what they need of the C library, in the alignment of their code, and in size.
OPERATORS = ("SOFTMAX", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_2D", "LOGISTIC")


def require_same(found: Cost, expected: Cost, *, interrupted: bool) -> None:
    """interrupted: an Arduino core's timer interrupts inferences for 3 us each time, in images of their own as well."""
    if not interrupted:
        assert found == expected
        return
    assert found.latency_us == pytest.approx(expected.latency_us, abs=12.0)
    assert (found.sram.static, found.sram.arena, found.flash) == (
        expected.sram.static,
        expected.sram.arena,
        expected.flash,
    )


def figures_alone_and_together(board_name: str, models: list[bytes], folder: Path) -> None:
    board = load_board(board_name)
    programs = [
        compile_network(model, name=f"network_{number}", target=board.target, constants=board.constants)
        for number, model in enumerate(models)
    ]
    alone = [build(board, program, folder / "desk") for program in programs]
    together = build_together(board, alone, folder / "desk")
    (folder / "board").mkdir()
    station = EmulatedStation(EmulatedBoard(board, folder / "board"), board)
    random = np.random.default_rng(0)
    with Bench([station]) as bench:
        for own, shared, program in zip(alone, together, programs, strict=True):
            inputs = random.integers(-128, 128, (3, program.inputs_bytes), np.int8, endpoint=False)
            expected = flash_and_measure(bench, own, inputs, repeats=2)
            found = flash_and_measure(bench, shared, inputs, repeats=2)
            assert found.greeting.networks == len(models)
            np.testing.assert_array_equal(found.outputs, expected.outputs)
            figures = [to_cost(each, own, board) for each in (found, expected)]
            require_same(*figures, interrupted=board.port == "arduino")
    station.give_up()


@pytest.mark.parametrize(
    ("board", "count"), [("netduinoplus2", 5), ("netduino2", 3), ("sifive_e", 3), ("arduino_mega2560", 2)]
)
def test_networks_cost_together_what_they_cost_alone(board: str, count: int, tmp_path: Path) -> None:
    figures_alone_and_together(board, [draw_small_model(name) for name in OPERATORS[:count]], tmp_path)


def test_large_networks_cost_together_what_they_cost_alone(tmp_path: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip("no ../shared")
    models = [(SHARED / f"{name}.tflite").read_bytes() for name in ("sww", "kws", "ad")]
    figures_alone_and_together("netduinoplus2", models, tmp_path)
