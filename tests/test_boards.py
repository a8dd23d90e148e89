"""Board manifests are data from outside: each field is checked, unknown names get the nearest one."""

import json
from pathlib import Path
from typing import get_args

import pytest

from tinynas.boards import Board, Emulator, board_names, load_board, new_board
from tinynas.compiler import TARGETS
from tinynas.deploy.toolchains import TOOLCHAINS
from tinynas.errors import ConfigError

MANIFEST = {
    "name": "A board",
    "tinynas": {
        "port": "stm32f4",
        "link": "serial",
        "verified": "no",
        "sram_bytes": 131_072,
        "flash_bytes": 1_048_576,
        "clock_hz": 168_000_000,
        "power": {"run_ma": 40, "supply_v": 3.3, "source": "datasheet, table 20"},
    },
}


def write(folder, **changes):
    manifest = {**MANIFEST, "tinynas": {**MANIFEST["tinynas"], **changes}}
    (folder / "aboard.json").write_text(json.dumps(manifest))


def test_a_manifest_becomes_a_board(tmp_path):
    write(tmp_path)
    board = load_board("aboard", tmp_path)
    assert (board.title, board.sram_bytes, board.emulated) == ("A board", 131_072, False)
    assert board.power is not None
    assert board.power.run_mw == pytest.approx(132.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sram_bytes": 0}, r"tinynas\.sram_bytes: Input should be greater than 0"),
        ({"sram_bytes": "many"}, r"tinynas\.sram_bytes: Input should be a valid integer"),
        ({"srambytes": 1}, r"tinynas\.srambytes: Extra inputs"),
        ({"link": "emulator"}, "no object tinynas.emulator"),
        ({"link": "string"}, "tinynas.link"),
        ({"target": "cortex-m5"}, "tinynas.target"),
        ({"flash_start": "134217728"}, "tinynas.flash_start"),
        ({"flash_timing": {"wait_states": 5}}, "tinynas.flash_timing.line_bytes"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, changes, message):
    write(tmp_path, **changes)
    with pytest.raises(ConfigError, match=message):
        load_board("aboard", tmp_path)


TIMING = {
    "wait_states": 5,
    "line_bytes": 16,
    "prefetch": True,
    "instruction_lines": 64,
    "data_lines": 8,
    "source": "manual, table 10",
}
SLOW, OWN = {"hz": 60_000_000, "wait_states": 1, "run_ma": 14.0}, {"hz": 168_000_000, "wait_states": 5, "run_ma": 40.0}


def test_a_board_at_a_clock_step_has_its_wait_states_and_its_current(tmp_path):
    write(tmp_path, flash_timing=TIMING, clock_steps=[SLOW, OWN])
    board = load_board("aboard", tmp_path)
    slow = board.at(60_000_000)
    assert (slow.clock_hz, slow.flash_timing.wait_states, slow.power.run_ma) == (60_000_000, 1, 14.0)
    assert slow.at(168_000_000) == board == board.at(None)
    with pytest.raises(ConfigError, match="board aboard cannot run at 84000000 Hz: choose one of 60 MHz, 168 MHz"):
        board.at(84_000_000)


def test_a_board_without_clock_steps_has_its_clock_alone(tmp_path):
    write(tmp_path)
    board = load_board("aboard", tmp_path)
    assert board.at(168_000_000) == board
    with pytest.raises(ConfigError, match="its manifest has no clock_steps, only 168000000 Hz"):
        board.at(60_000_000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clock_steps": [SLOW]}, "clock_steps lack clock_hz 168000000 with 5 wait states and 40 mA"),
        ({"clock_steps": [SLOW, {**OWN, "wait_states": 4}]}, "clock_steps lack clock_hz 168000000 with 5"),
        ({"clock_steps": [OWN, SLOW]}, "not in the order of their hz"),
        ({"clock_steps": [SLOW, SLOW, OWN]}, "not in the order of their hz, each given once"),
        ({"clock_steps": [{**SLOW, "hz": 60_000_001}, OWN]}, "multiple of 1000000"),
        ({"clock_steps": [SLOW, OWN], "flash_timing": None}, "clock_steps need power and flash_timing"),
        ({"clock_steps": [SLOW, OWN], "power": None}, "clock_steps need power and flash_timing"),
        ({"clock_steps": [SLOW, OWN], "port": "arduino"}, "port arduino sets one clock, only stm32f4 others"),
    ],
)
def test_clock_steps_that_contradict_the_manifest_are_refused(tmp_path, changes, message):
    write(tmp_path, **{"flash_timing": TIMING, **changes})
    with pytest.raises(ConfigError, match=message):
        load_board("aboard", tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "x"}', "\xff"])
def test_what_is_no_manifest_is_refused(tmp_path, content):
    (tmp_path / "aboard.json").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigError, match="board manifest"):
        load_board("aboard", tmp_path)


def test_an_unknown_board_gets_the_nearest_name(tmp_path):
    write(tmp_path)
    with pytest.raises(ConfigError, match="did you mean aboard"):
        load_board("abord", tmp_path)
    with pytest.raises(ConfigError, match="known are aboard"):
        load_board("../../etc/passwd", tmp_path)


def test_a_board_names_a_target_of_the_compiler():
    assert get_args(Board.model_fields["target"].annotation) == TARGETS
    emulated = [board for board in map(load_board, board_names()) if board.emulated]
    targets = {board.flags[0]: board.target for board in emulated}
    assert targets == {
        "-mcpu=cortex-m0": "cortex-m0",
        "-mcpu=cortex-m3": "cortex-m0",
        "-mcpu=cortex-m4": "cortex-m4",
        "-mcpu=cortex-m7": "cortex-m4",
        "-mcpu=cortex-m33": "cortex-m4",
        "-mcpu=cortex-m55": "cortex-m55",
        "-march=rv32imac": "portable",
        "-mmcu=atmega2560": "portable",
    }


def test_the_cycles_of_every_core_are_described_with_the_test_that_holds_them():
    rows = (Path(__file__).parents[1] / "docs" / "cycles.md").read_text().splitlines()
    held = {row.split("|")[1].strip(" `"): row.split("|")[4].strip(" `") for row in rows if row.startswith("| `")}
    boards = {row.split("|")[1].strip(" `"): row.split("|")[2] for row in rows if row.startswith("| `")}
    assert set(held) == set(get_args(Emulator.model_fields["core"].annotation))
    assert all((Path(__file__).parent / "firmware" / test).is_file() for test in held.values())
    for board in map(load_board, board_names()):
        if board.emulator and board.emulator.program != "simavr":
            assert f"`{board.name}`" in boards[board.emulator.core]


def test_every_board_that_travels_with_tinynas_loads():
    assert [load_board(name).name for name in board_names()] == board_names()


def test_a_toolchain_of_a_board_is_known():
    assert set(get_args(Board.model_fields["toolchain"].annotation)) == {*TOOLCHAINS, "vendor"}


def test_a_vendors_board_says_where_its_figures_are_from_and_that_nobody_ran_it():
    vendors = [board for board in map(load_board, board_names()) if board.vendor]
    assert len(vendors) == 14
    assert all(board.vendor.source and board.verified == "no" and not board.emulated for board in vendors)


def test_a_new_boards_skeleton_asks_for_what_is_missing(tmp_path):
    path = new_board("my_board", tmp_path)
    with pytest.raises(ConfigError, match=r"tinynas\."):
        load_board("my_board", tmp_path)
    manifest = json.loads(path.read_text())
    manifest["tinynas"]["vendor"]["platform"] = "ststm32"
    manifest["tinynas"] |= {"sram_bytes": 20480, "flash_bytes": 65536, "clock_hz": 72_000_000}
    path.write_text(json.dumps(manifest))
    assert load_board("my_board", tmp_path).vendor.board == "my_board"
    with pytest.raises(ConfigError, match="is there already"):
        new_board("my_board", tmp_path)
    with pytest.raises(ConfigError, match="small letters"):
        new_board("../evil", tmp_path)


def test_a_vendors_toolchain_needs_its_platform(tmp_path):
    write(tmp_path, toolchain="vendor")
    with pytest.raises(ConfigError, match=r"go together"):
        load_board("aboard", tmp_path)
