"""`tinynas bench` and a bench's file, with emulated boards that really run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[3] / "shared" / "models"
TWO = "".join(f'[boards.{name}]\nboard = "netduinoplus2"\nlink = "emulator"\n' for name in ("left", "right"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def tinynas(tmp_path, home):
    (tmp_path / "bench.toml").write_text(TWO)

    def run(*arguments, code=0):
        result = subprocess.run(
            [sys.executable, "-m", "tinynas", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "TINYNAS_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stderr
        return result

    return run


def test_check_flashes_resets_and_proves_the_power_cycle_by_the_boot_count(tinynas):
    left, right = json.loads(tinynas("bench", "check", "--json").stdout)
    assert (left["name"], left["passed"], right["name"], right["passed"]) == ("left", True, "right", True)
    said = {finding["what"]: finding["said"] for finding in left["findings"]}
    assert "boot count 1 became 2" in said["reset"]
    assert "boot count 2 became 1" in said["power cycle"]
    assert re.search(r"runs in [\d,]+ B of RAM, .* [\d,]+ B were predicted, \+(0|8|16) B \(\+0", said["memory"])
    assert "ok     power cycle" in tinynas("bench", "check", "left").stdout


def test_a_held_board_is_shown_and_not_measured_on(tinynas):
    tinynas("bench", "reserve", "left", "--why", "Ada solders")
    model = MODELS / "ad.tflite"
    if model.is_file():
        tinynas("measure", model, "--bench", "bench.toml", "--json")
    left, right = json.loads(tinynas("bench", "list", "--json").stdout)
    assert (left["state"], left["reason"], left["measurements"]) == ("reserve", "Ada solders", 0)
    assert (right["state"], right["measurements"]) == ("free", 1 if model.is_file() else 0)
    assert "left, reserve: Ada solders" in tinynas("bench", "watch", "--count", "1").stdout
    tinynas("bench", "release", "left")
    assert json.loads(tinynas("bench", "watch", "--count", "1", "--json").stdout)[0]["state"] == "free"


def test_what_is_unknown_is_named(tinynas, tmp_path):
    assert "did you mean left?" in tinynas("bench", "power-cycle", "lefft", code=2).stderr
    assert "cannot be read" in tinynas("bench", "list", "--bench", "none.toml", code=2).stderr
    both = tinynas("search", "--task", "digits", "--bench", "bench.toml", "--port", "COM1", code=2)
    assert "leave out port 'COM1'" in both.stderr


def test_scan_writes_a_file_and_does_not_overwrite_one(tinynas, tmp_path):
    tinynas("bench", "scan", "--output", "found.toml")
    assert (tmp_path / "found.toml").read_text().startswith("# Proposed by tinynas bench scan")
    assert "found.toml exists already" in tinynas("bench", "scan", "--output", "found.toml", code=2).stderr


@pytest.mark.parametrize(
    "command", ["scan", "list", "watch", "check", "reserve", "quarantine", "release", "power-cycle"]
)
def test_every_command_shows_an_example(tinynas, command):
    assert "tinynas bench " in tinynas("bench", command, "--help").stdout.partition("Example")[2]
