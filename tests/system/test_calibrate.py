"""`tinynas calibrate` on the emulated default board, and its estimates beside what the board says."""

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """A home with a calibration of small networks, and what the command printed."""
    home = tmp_path_factory.mktemp("home")
    return home, tinynas(home, "--networks", "8", "--space", "mlp", "--json")


def tinynas(home, *arguments):
    result = subprocess.run(
        [sys.executable, "-m", "tinynas", "calibrate", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "TINYNAS_HOME": str(home)},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_calibration_says_how_far_estimates_are_off(calibrated):
    home, printed = calibrated
    found = json.loads(printed)
    assert found["calibration"] == str(home / "calibrations" / "netduinoplus2.json")
    assert found["source"] == "emulated"
    assert found["validity"]["board"] == "netduinoplus2"
    assert (found["networks"], found["fitted"], found["held_out"]) == (8, 6, 2)
    for method in ("table", "learned"):
        assert found[method]["estimated"] == 2
        assert found[method]["mean_error"] < 0.25


def test_layers_add_up_to_what_the_whole_network_takes(calibrated):
    home, _ = calibrated
    calibration = json.loads((home / "calibrations" / "netduinoplus2.json").read_text())
    for network in calibration["networks"]:
        layers = sum(layer["cycles"] + layer["wait_cycles"] for layer in network["layers"])
        assert layers + network["outside_cycles"] == pytest.approx(network["cycles"], rel=0.03)
        assert network["latency_us"] == pytest.approx(network["cycles"] / 168)


def test_what_is_there_is_shown_again_at_once(calibrated):
    home, _ = calibrated
    shown = tinynas(home, "--networks", "8", "--space", "mlp")
    assert "within 5 %" in shown
    assert "fitted to 6 networks" in shown
