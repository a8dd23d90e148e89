"""`tinynas profile` on a reference network, on the emulated default board."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[3] / "shared" / "models"
needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason="the reference networks are not beside the checkout")


def tinynas(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tinynas", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def profile(name, *arguments):
    result = tinynas("profile", MODELS / f"{name}.tflite", "--input", MODELS / f"{name}.in.bin", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


@needs_models
def test_layers_add_up_to_what_measure_says_and_the_picture_is_drawn(tmp_path):
    found = json.loads(profile("sww", "--json", "--picture", tmp_path / "arena.svg"))
    measured = tinynas("measure", MODELS / "sww.tflite", "--input", MODELS / "sww.in.bin", "--json", "--repeats", "1")
    cost = json.loads(measured.stdout)
    assert found["instructions"] == cost["instructions"]
    assert found["cycles"] == cost["cycles"]
    assert found["sram_bytes"] == cost["sram_bytes"]
    everything = [*found["layers"], found["outside_layers"]]
    for figure in ("instructions", "loads", "stores"):
        assert sum(each[figure] for each in everything) == found[figure], figure
    # A branch costs a cycle more where marks move its target off a word's start.
    assert abs(sum(each["cycles"] for each in everything) - found["cycles"]) <= 2
    assert abs(found["displaced"]) < 0.002
    assert found["source"] == "emulated"
    free = [layer for layer in found["layers"] if layer["op"] == "RESHAPE"]
    assert [layer["instructions"] for layer in free] == [0]
    assert all(layer["instructions"] > layer["macs"] / 2 for layer in found["layers"] if layer not in free)
    assert sum(each["bytes"] for each in found["arena"]["blocks"]) > found["arena"]["bytes"]
    assert ET.parse(tmp_path / "arena.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"


@needs_models
def test_layers_in_patches_add_up_as_well():
    found = json.loads(profile("ic", "--json", "--patches", "4"))
    assert found["patched"]["patches"] == 4
    everything = [*found["layers"], found["outside_layers"]]
    assert sum(each["instructions"] for each in everything) == found["instructions"]
    assert abs(found["displaced"]) < 0.01
    shown = profile("ic", "--patches", "4")
    assert "layers run in 4 patches of rows" in " ".join(shown.split())


@needs_models
@pytest.mark.parametrize("board", ["netduinoplus2", "mps2_an386"])
def test_a_profile_repeats_to_the_instruction(board):
    first, second = (json.loads(profile("ad", "--json", "--board", board)) for _ in range(2))
    assert first == second
    assert first["board"] == board
    assert (first["wait_cycles"] == 0) is (board == "mps2_an386")


@needs_models
def test_the_benchmark_sets_a_network_beside_the_published_figures():
    script = Path(__file__).parents[1] / "benchmarks" / "engine.py"
    command = [sys.executable, str(script), "ad", "--board", "mps2_an386", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    network = found["networks"]["ad"]
    assert network["ram"] == network["arena"] + network["static"] + network["stack"]
    assert network["cycles"] > network["instructions"]
    assert network["goals"]["instructions"] == 270_000
    # KERNELS.md: 0.582 million instructions with CMSIS-NN.
    assert network["instructions_ratio"]["TFLM + CMSIS-NN"] == pytest.approx(582_000 / network["instructions"])
    assert found["geometric_mean_ratio"] == network["instructions_ratio"]["TFLM + CMSIS-NN"]


@needs_models
def test_the_table_shows_layers_totals_and_the_arena():
    shown = profile("ad")
    assert "emulated" in shown
    assert "0 FULLY_CONNECTED   640 -> 128" in shown
    assert "whole inference" in shown
    assert "├input─" in shown


def test_bad_input_is_refused_before_any_work(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"")
    for arguments, words in (
        (("absent.tflite",), "absent.tflite cannot be read"),
        ((tmp_path / "model.tflite", "--board", "netduinoplus3"), "did you mean netduinoplus2?"),
        ((tmp_path / "model.tflite", "--picture", "arena.png"), "give its name the ending .svg"),
    ):
        result = tinynas("profile", *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert words in result.stderr
        assert "Traceback" not in result.stderr
