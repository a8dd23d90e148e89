"""`tinynas boards check` on every emulated board, each with the image that the chip would run."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tinynas import cli_boards
from tinynas.boards import board_names, load_board

EMULATED = [name for name in board_names() if load_board(name).emulated]


@pytest.fixture(scope="module")
def tinynas(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")

    def run(*arguments, code=0):
        result = subprocess.run(
            [sys.executable, "-m", "tinynas", *map(str, arguments)],
            cwd=home,
            env={**os.environ, "TINYNAS_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == code, result.stdout + result.stderr
        return result

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", EMULATED)
def test_an_emulated_board_passes_its_self_test(tinynas, board_of_the_day, name):
    found = json.loads(tinynas("boards", "check", board_of_the_day(name), "--json").stdout)
    assert (found["board"], found["passed"]) == (name, True)
    whats = ["flashing", "flash", "SRAM", "fast memory", "stack", "clock", "sync pin", "kernels", "link"]
    board = load_board(name)
    if board.emulator.program != "simavr":
        whats += ["link at 57,600 Bd", "link at 230,400 Bd", "flashing again"]
    expected = dict.fromkeys(whats, True)
    if board.fast_memory is None:
        expected["fast memory"] = None
    if not board.own_memory_map:
        expected["flash"] = None
    assert {finding["what"]: finding["passed"] for finding in found["findings"]} == expected


@pytest.mark.slow
def test_the_emulated_meter_is_asked_about_the_sync_pin(tinynas):
    said = tinynas("boards", "check", "netduinoplus2", "--meter", "emulated").stdout
    assert "ok     sync pin: 10 inferences were as many pulses for emulated" in said


def test_what_is_unknown_or_not_here_is_named(tinynas, tmp_path):
    assert "did you mean netduinoplus2?" in tinynas("boards", "check", "netduinoplus", code=2).stderr
    assert "takes no port" in tinynas("boards", "check", "netduinoplus2", "--port", "COM1", code=2).stderr


def test_boards_without_a_subcommand_lists_them(tinynas):
    assert [row["name"] for row in json.loads(tinynas("boards", "--json").stdout)] == board_names()
    assert all(name in tinynas("boards").stdout for name in board_names())


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_failure_is_shown_and_ends_with_exit_code_4(monkeypatch, flags):
    findings = [
        {"what": "stack", "passed": False, "said": "painting does not find what is used", "seconds": 0.1},
        {"what": "sync pin", "passed": None, "said": "no instrument looks at it", "seconds": 0.0},
    ]
    found = {"board": "netduinoplus2", "name": "left", "passed": False, "findings": findings}
    monkeypatch.setattr("tinynas.study.selftest.check_kind", lambda *given, **options: found)
    result = CliRunner().invoke(cli_boards.app, ["check", "netduinoplus2", *flags])
    assert result.exit_code == 4
    if flags:
        assert json.loads(result.stdout) == found
    else:
        assert "  FAILED stack: painting does not find what is used\n  -      sync pin: no inst" in result.stdout
