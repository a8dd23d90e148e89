"""`tinynas calibrate` on the emulated default board, and its estimates beside what the board says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinynas.boards import load_board
from tinynas.compiler import compile_network
from tinynas.estimate.calibration import read_calibration
from tinynas.estimate.latency import analytic_estimator, relative_errors
from tinynas.estimate.loops import work_of
from tinynas.study.store import Store
from tinynas.study.summary import search_front

MODELS = Path(__file__).parents[3] / "shared" / "models"
needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason="the reference networks are not beside the checkout")


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


def test_the_instruction_model_agrees_with_the_board(calibrated):
    home, _ = calibrated
    calibration = read_calibration(home / "calibrations" / "netduinoplus2.json")
    errors = relative_errors(analytic_estimator(load_board("netduinoplus2")), calibration.networks)
    assert len(errors) == len(calibration.networks)
    assert max(map(abs, errors)) < 0.05


@needs_models
@pytest.mark.parametrize("name", ["ic"])
def test_the_instruction_model_agrees_with_the_board_on_a_reference_network(name, tmp_path_factory):
    board, path = load_board("netduinoplus2"), MODELS / f"{name}.tflite"
    ran = run_tinynas(tmp_path_factory.getbasetemp(), "profile", path, "--keep-constant-channels", "--json")
    assert ran.returncode == 0, ran.stderr
    options = {"target": board.target, "constants": board.constants, "keep_constant_channels": True}
    works = work_of(compile_network(path.read_bytes(), **options))
    model, estimated, taken = analytic_estimator(board).model, 0.0, 0
    for work, layer in zip(works, json.loads(ran.stdout)["layers"], strict=True):
        cycles = model.cycles(work)
        # What no network of the spaces has is unknown: SOFTMAX, and a convolution that adds.
        assert (cycles is None) == (layer["op"] == "SOFTMAX" or "_add" in work.family or work.kind == "free")
        estimated += cycles or 0
        taken += layer["cycles"] + layer["wait_cycles"] if cycles is not None else 0
    assert estimated == pytest.approx(taken, rel=0.05)


def test_what_is_there_is_shown_again_at_once(calibrated):
    home, _ = calibrated
    shown = tinynas(home, "--networks", "8", "--space", "mlp")
    assert "within 5 %" in shown
    assert "fitted to 6 networks" in shown


SEARCH = """
[task]
name = "digits"
[space]
name = "mlp"
[estimate]
latency = "learned"
[search]
budget = 4
population = 4
workers = 1
[train]
epochs = 1
samples = 200
val_samples = 100
[final]
count = 1
epochs = 1
"""


def run_tinynas(home, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "tinynas", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "TINYNAS_HOME": str(home)},
    )


@pytest.mark.slow
def test_a_search_on_estimates_measures_what_survives_and_says_what_is_which(calibrated, tmp_path):
    home, _ = calibrated
    config, path = tmp_path / "study.toml", tmp_path / "study.db"
    config.write_text(SEARCH)
    result = run_tinynas(home, "search", "--config", config, "--study", path, "--json")
    assert result.returncode == 0, result.stderr
    with Store.open_to_read(path) as store:
        trials = store.trials()
        front = search_front(trials, ("error", "latency_us"))
    assert len(trials) == 4
    assert {point.cost.latency_source for point in front} == {"emulated"}
    for trial in trials:
        assert trial.estimate.latency_source == trial.estimate.sram_source == "estimated"
        assert (trial.cost.latency_source == "emulated") or trial.cost == trial.estimate
        if not trial.unmeasured:
            assert trial.estimate.latency_us == pytest.approx(trial.cost.latency_us, rel=0.25)
            assert trial.estimate.flash == trial.cost.flash
            assert trial.estimate.sram.arena == trial.cost.sram.arena
    assert json.loads(result.stdout)["front"][0]["latency_source"] == "emulated"


def test_without_a_calibration_a_search_on_estimates_says_what_to_run(tmp_path):
    result = run_tinynas(tmp_path, "search", "--task", "digits", "--space", "mlp", "--estimate", "table", "--dry-run")
    assert result.returncode == 2
    assert "run tinynas calibrate --board netduinoplus2" in result.stderr
