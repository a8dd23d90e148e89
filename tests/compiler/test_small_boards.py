"""Networks on boards with little memory and other CPUs than a Cortex-M4, byte for byte, and what these boards say."""

from collections.abc import Callable
from pathlib import Path

import pytest
from random_models import draw_models, draw_small_model

from tinynas.boards import load_board
from tinynas.deploy.build import build_empty
from tinynas.device.client import Client
from tinynas.device.emulator import EmulatedBoard
from tinynas.device.messages import ResetCause
from tinynas.study.single import measure_file

BOARDS = (
    "netduino2",
    "stm32vldiscovery",
    "lm3s6965evb",
    "microbit",
    "mps2_an385",
    "mps2_an500",
    "mps2_an505",
    "mps3_an547",
    "sifive_e",
    "arduino_mega2560",
)


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize("operator", ["DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_a_board_gives_the_bytes_that_tflite_micro_gives(
    name: str, operator: str, board_of_the_day: Callable[[str], str], tmp_path: Path
) -> None:
    # The smallest dense layer is a dozen instructions, none of which need take more than a cycle.
    dense = operator == "FULLY_CONNECTED"
    name = board_of_the_day(name) if dense else name
    (tmp_path / "model.tflite").write_bytes(
        draw_models(operator, 1, start=5)[0] if dense else draw_small_model(operator)
    )
    # Outputs that differ from tflite-micro's would raise.
    found = measure_file(tmp_path / "model.tflite", name, repeats=2)
    assert found["latency_source"] == "emulated"
    assert 0 < found["instructions"] < found["cycles"]
    assert found["latency_us"] == pytest.approx(
        (found["cycles"] + found["wait_cycles"]) / load_board(name).clock_hz * 1e6,
        # Medians of an even number of counts are whole cycles, those of times are not.
        abs=1e6 / load_board(name).clock_hz,
    )
    assert found["latency_iqr_us"] < 0.01 * found["latency_us"]
    assert found["sram_bytes"]["stack"] > 0


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_counts_its_starts(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    emulated = EmulatedBoard(board, tmp_path)
    emulated.flash.write_bytes(build_empty(board, tmp_path / "desk").binary)
    for _ in range(2):
        emulated.power_on()
        with Client(emulated.url, baud=board.baud) as client:
            greeting = client.hello()
            assert (greeting.boot_count, greeting.reset_cause) == (1, ResetCause.POWER_ON)
            assert (greeting.board, greeting.clock_hz) == (name, board.clock_hz)
            assert (greeting.stack_bytes, greeting.max_payload) == (board.stack_bytes, board.payload_bytes)
            client.reset()
            greeting = client.hello()
            assert (greeting.boot_count, greeting.reset_cause) == (2, ResetCause.SOFTWARE)
            emulated.reset()
            greeting = client.hello()
            # A register of the chip says so, where the emulator has one.
            assert greeting.boot_count == 3
            assert greeting.reset_cause in (ResetCause.PIN, ResetCause.UNKNOWN)
        emulated.power_off()


def test_a_program_may_be_larger_than_ram(tmp_path: Path) -> None:
    board = load_board("sifive_e")
    emulated = EmulatedBoard(board, tmp_path)
    emulated.flash.write_bytes(build_empty(board, tmp_path / "desk").binary.ljust(2 * board.sram_bytes, b"\xff"))
    emulated.power_on()
    with Client(emulated.url, baud=board.baud) as client:
        assert client.hello().board == "sifive_e"
    emulated.power_off()
