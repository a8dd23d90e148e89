"""Exports of a study's trials and of a file: which network is taken, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmark_networks import classifier, with_vector
from like_a_search import FACTS

from tinynas.cost import Cost, Flash, Sram
from tinynas.errors import ConfigError, StoreError
from tinynas.study.conclude import export_model, export_trial
from tinynas.study.export import MANIFEST
from tinynas.study.store import Finalist, Store, Trial

COST = Cost(
    latency_us=100.0,
    latency_source="emulated",
    sram=Sram(static=0, arena=512, stack=100),
    sram_source="emulated",
    flash=Flash(code=100, constants=100),
    flash_source="emulated",
)


@pytest.fixture
def study(digits_network, tmp_path):
    return write_study(tmp_path / "study.db", digits_network)


def write_study(path, network):
    """Trial 0 is a finalist, trial 1 is infeasible, trial 2 is complete and less accurate; all with one network."""
    facts = {
        **FACTS,
        "task": {**FACTS["task"], "digest": "0" * 64, "sizes": [1000, 400, 397]},
        "space": {"name": "mlp", "axes": [{"name": "depth", "choices": [0, 1, 2, 3]}]},
        "seed": 0,
        "bounds": {"latency_us": 5000.0},
        "validity": {"board": "b", "clock_hz": 1, "toolchain": "gcc", "flags": "-O2", "firmware": "f"},
        "elapsed_s": 1.0,
    }
    complete = {"state": "complete", "violation": 0.0, "cost": COST}
    vectors = {"inputs": network.inputs, "outputs": network.outputs}
    finalist = Finalist(
        trial=0,
        method="ptq",
        accuracy_float_val=0.9,
        accuracy_ptq_val=0.9,
        accuracy_int8_val=0.875,
        accuracy_int8_test=0.85,
        epochs=3,
        cost=COST,
    )
    with Store.create(path, facts) as store:
        for number, accuracy in ((0, 0.8), (2, 0.7)):
            trial = Trial(number=number, genome=f"mlp:{number}", accuracy_int8_val=accuracy, **complete)
            artifacts = {f"model.{name}": content for name, content in vectors.items()}
            store.add_trial(trial, {**artifacts, "model.tflite": network.tflite})
        store.add_trial(Trial(number=1, genome="mlp:1", state="infeasible", reason="needs 90 KB of SRAM"), {})
        artifacts = {f"final.{name}": content for name, content in vectors.items()}
        store.put_finalist(finalist, {**artifacts, "final.tflite": network.tflite})
    return path


def readme(folder):
    return (folder / "README.md").read_text()


def test_without_a_number_the_fronts_most_accurate_is_exported_in_its_final_form(study, tmp_path):
    export_trial(study, None, to="c", folder=tmp_path / "out")
    assert "trial 0 of study study.db" in readme(tmp_path / "out")
    assert "87.5 % on the validation split, 85.0 % on the test split" in readme(tmp_path / "out")
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["cost"]["latency_us"] == 100.0


def test_a_trial_is_exported_for_any_board_of_its_study_with_its_figures_there(study, tmp_path):
    with Store.open_to_write(study) as store:
        validity = {**store.fact("validity"), "board": "pico"}
        store.set_fact("also", {"pico": {"validity": validity, "estimate": None}})
        (finalist,) = store.finalists()
        store.put_finalist(replace(finalist, also_cost={"pico": replace(COST, latency_us=7000.0)}), {})
    export_trial(study, None, to="c", folder=tmp_path / "out", board="pico")
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["cost"]["latency_us"] == 7000.0
    assert "On board pico" in readme(tmp_path / "out")
    with pytest.raises(ConfigError, match="not for board teensy41: it is for netduinoplus2, pico"):
        export_trial(study, None, to="c", folder=tmp_path / "other", board="teensy41")


def test_any_complete_trial_can_be_exported_in_every_form(study, tmp_path):
    for to in ("c", "tflm", "platformio"):
        written = export_trial(study, 2, to=to, folder=tmp_path / to)
        assert (tmp_path / to / MANIFEST).is_file()
        assert written["arena_bytes"] > 0
        assert "70.0 % on the validation split." in readme(tmp_path / to)


def test_a_trial_becomes_the_benchmark_whose_input_it_takes(tmp_path):
    study = write_study(tmp_path / "study.db", with_vector(classifier(490, 12)))
    written = export_trial(study, 2, to="mlperf", folder=tmp_path / "out")
    assert written["name"] == "kws01"
    assert "# kws01: a firmware for MLPerf Tiny's runner" in readme(tmp_path / "out")
    assert "trial 2 of study study.db" in readme(tmp_path / "out")


def test_a_trial_that_takes_no_benchmarks_input_is_refused_with_both_numbers(study, tmp_path):
    for name, said in ((None, r"takes 64 values, a benchmark .* 490 \(kws01\)"), ("ic01", "takes 64 values, .* 3,072")):
        with pytest.raises(ConfigError, match=said):
            export_trial(study, 2, to="mlperf", folder=tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("number", "said"), [(1, "needs 90 KB of SRAM"), (9, "no trial 9")])
def test_a_trial_without_a_network_is_refused_with_the_reason(study, tmp_path, number, said):
    with pytest.raises(ConfigError, match=said):
        export_trial(study, number, to="c", folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_is_exported_with_a_vector_from_tflite_micro(digits_network, tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(digits_network.tflite)
    written = export_model(model, to="tflm", folder=tmp_path / "out")
    assert written["arena_bytes"] == digits_network.arena_bytes
    assert "model.tflite" in readme(tmp_path / "out")


def test_a_missing_file_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        export_model(Path("nowhere.tflite"), to="c", folder=tmp_path / "out")


def test_a_study_that_was_tampered_with_is_refused(study, tmp_path):
    with Store.open_to_write(study) as store:
        store.set_fact("task", {"name": ["digits"]})
    with pytest.raises(StoreError, match="damaged"):
        export_trial(study, None, to="c", folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()
