"""`tinynas measure` on the reference networks of MLPerf Tiny, on the emulated default board."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinynas.model.score import run_reference

sys.path.insert(0, str(Path(__file__).parents[1] / "compiler"))
from mixed_ends import mixed_ends

MODELS = Path(__file__).parents[3] / "shared" / "models"
needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason="the reference networks are not beside the checkout")


def measure(model, *arguments):
    result = subprocess.run(
        [sys.executable, "-m", "tinynas", "measure", str(model), "--json", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@needs_models
@pytest.mark.parametrize("name", ["kws", "vww", "ic", "ad", "sww"])
def test_a_reference_network_gives_its_expected_output_on_the_board(name):
    found = measure(MODELS / f"{name}.tflite", "--board", "netduinoplus2", "--input", MODELS / f"{name}.in.bin")
    expected = [byte - 256 if byte > 127 else byte for byte in (MODELS / f"{name}.out.bin").read_bytes()]
    assert found["outputs"] == [expected]
    assert found["board"] == "netduinoplus2"
    assert found["latency_source"] == "emulated"
    assert found["energy_source"] == "estimated"
    assert found["latency_us"] == pytest.approx((found["cycles"] + found["wait_cycles"]) / 168)
    for figure, parts in (("sram_bytes", ("static", "arena", "stack")), ("flash_bytes", ("code", "constants"))):
        assert found[figure]["total"] == sum(found[figure][part] for part in parts)
        assert all(found[figure][part] >= 0 for part in parts)
    assert found["flash_bytes"]["image"] > found["flash_bytes"]["total"]


@needs_models
def test_a_measurement_repeats_to_the_instruction_and_takes_several_inputs(tmp_path):
    inputs = tmp_path / "inputs.bin"
    inputs.write_bytes((MODELS / "ad.in.bin").read_bytes() * 3)
    first, second = (measure(MODELS / "ad.tflite", "--input", inputs) for _ in range(2))
    assert first["instructions"] == second["instructions"]
    assert first["outputs"] == [first["outputs"][0]] * 3
    assert first["latency_iqr_us"] < 0.1


@needs_models
def test_constant_channels_cost_time_and_flash_and_change_no_output(tmp_path):
    given = (MODELS / "vww.tflite", "--input", MODELS / "vww.in.bin", "--repeats", 1)
    slim, whole = measure(*given), measure(*given, "--keep-constant-channels")
    assert slim["outputs"] == whole["outputs"]
    assert slim["channels_left_out"] > whole["channels_left_out"] == 0
    assert slim["instructions"] < 0.7 * whole["instructions"]
    assert slim["flash_bytes"]["constants"] < 0.25 * whole["flash_bytes"]["constants"]


@needs_models
def test_patches_take_less_memory_and_change_no_output():
    given = (MODELS / "vww.tflite", "--input", MODELS / "vww.in.bin", "--repeats", 1)
    whole, patched = measure(*given), measure(*given, "--patches", "auto")
    assert whole["patched"] is None
    assert patched["patched"]["recomputed_macs"] == 0
    assert patched["outputs"] == whole["outputs"]
    assert patched["sram_bytes"]["arena"] < 0.7 * whole["sram_bytes"]["arena"]
    assert patched["patched"]["arena_bytes_without"] == whole["sram_bytes"]["arena"]


@needs_models
def test_an_input_of_another_size_is_refused_with_both_numbers(tmp_path):
    (tmp_path / "short.bin").write_bytes(bytes(639))
    result = subprocess.run(
        [sys.executable, "-m", "tinynas", "measure", str(MODELS / "ad.tflite"), "--input", str(tmp_path / "short.bin")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "639" in result.stderr
    assert "640" in result.stderr


def test_several_inputs_and_outputs_of_any_type_are_measured(tmp_path):
    random = np.random.default_rng(4)
    whole, real = random.integers(-128, 128, (2, 75)).astype(np.int8), random.standard_normal((2, 75), np.float32)
    inputs = np.concatenate([whole, real.view(np.int8)], axis=1)
    (tmp_path / "model.tflite").write_bytes(mixed_ends())
    (tmp_path / "inputs.bin").write_bytes(inputs.tobytes())
    found = measure(tmp_path / "model.tflite", "--input", tmp_path / "inputs.bin")
    expected = run_reference(mixed_ends(), inputs)
    assert [[len(output) for output in outputs] for outputs in found["outputs"]] == [[75, 200, 8]] * 2
    for outputs, row in zip(found["outputs"], expected, strict=True):
        assert outputs[0] == row[:75].view(np.uint8).tolist()
        assert outputs[1] == row[75:875].view(np.float32).tolist()
        assert outputs[2] == row[875:].view(np.int16).tolist()
    without_file = measure(tmp_path / "model.tflite")
    assert len(without_file["outputs"]) == 16


@needs_models
def test_size_takes_less_code_and_fast_memory_less_time_and_neither_changes_an_output():
    given = (MODELS / "kws.tflite", "--input", MODELS / "kws.in.bin", "--repeats", 1)
    plain, small = measure(*given), measure(*given, "--optimize", "size")
    fast = measure(*given, "--fast-memory", "32 KB")
    assert plain["outputs"] == small["outputs"] == fast["outputs"]
    assert small["flash_bytes"]["code"] < 0.85 * plain["flash_bytes"]["code"]
    assert plain["instructions"] < small["instructions"] < 1.1 * plain["instructions"]
    assert fast["instructions"] == plain["instructions"]
    assert fast["latency_us"] < 0.93 * plain["latency_us"]
    assert fast["sram_bytes"]["static"] - plain["sram_bytes"]["static"] == fast["fast_bytes"] > 20_000
