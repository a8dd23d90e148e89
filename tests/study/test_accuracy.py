"""`tinynas measure --accuracy`: what a board makes of a task's test samples, beside what the host does."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tinynas.api import measure
from tinynas.children import Children
from tinynas.compiler import compile_network
from tinynas.config import TaskSection, load_config
from tinynas.errors import ConfigError, WrongOutputError
from tinynas.model.data import load_task
from tinynas.model.quantize import quantize_for
from tinynas.model.score import run_reference
from tinynas.space.architecture import Builder
from tinynas.study import training, work
from tinynas.study.accuracy import LabelledInputs, read_labelled_inputs
from tinynas.study.single import measure_file
from tinynas.study.store import Store

SEED = 3


def _network(seed: int) -> bytes:
    """A small network for digits, trained on the split of `seed`."""
    build = Builder((8, 8, 1), 10)
    architecture = build.finish(build.global_avg_pool(build.conv(0, 16, 3)))
    config = load_config(None, {"task": {"name": "digits"}, "train": {"epochs": 16, "patience": 16}})
    candidate = work.Candidate(task=config.task, study_seed=seed, architecture=architecture, key="a test")
    with Children(1, memory_bytes=8 << 30, prepare=work.configure) as children:
        return children.call(
            "training", 300, training.train_candidate, candidate, work.Course(), 4, config.train
        ).tflite


@pytest.fixture(scope="session")
def digits_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.tflite"
    path.write_bytes(_network(SEED))
    return path


def _measure(model, *arguments):
    command = [sys.executable, "-m", "tinynas", "measure", str(model), "--repeats", "1", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_a_board_is_scored_on_the_samples_that_the_seed_leaves_for_the_test(digits_model, tmp_path):
    settings = tmp_path / "digits.toml"
    settings.write_text(f'[task]\nname = "digits"\n[search]\nseed = {SEED}\n')
    result = _measure(digits_model, "--accuracy", settings, "--samples", 60, "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    test = load_task(TaskSection(name="digits"), SEED).test
    tflite = digits_model.read_bytes()
    expected = run_reference(tflite, quantize_for(tflite, test.x[:60]))
    assert found["outputs"] == expected.tolist()
    correct = int(np.sum(expected.argmax(axis=1) == test.y[:60]))
    # Neither chance nor perfection: the labels matter.
    assert 20 < correct < 60
    accuracy = found["accuracy"]
    assert (accuracy["correct"], accuracy["samples"], accuracy["samples_in_split"]) == (correct, 60, len(test.y))
    assert accuracy["board"] == accuracy["host"] == pytest.approx(correct / 60)
    assert accuracy["low_95"] < accuracy["board"] < accuracy["high_95"]
    assert accuracy["labels_that_differ"] == 0
    assert accuracy["split"] == "test"


def test_a_person_reads_the_accuracy_and_not_the_outputs(digits_model):
    result = _measure(digits_model, "--accuracy", "digits", "--samples", 5)
    assert result.returncode == 0, result.stderr
    assert "accuracy: task digits" in result.stdout
    assert "5 equal to tflite-micro's" in result.stdout


def test_a_notebook_asks_for_the_accuracy_too(digits_model):
    found = measure(digits_model, task="digits", samples=5)
    assert found["accuracy"]["samples"] == len(found["outputs"]) == 5
    assert found["inputs"] == "test split of digits"


def test_a_study_stands_for_the_split_that_it_left_for_the_test(digits_model, tmp_path):
    config = load_config(None, {"task": {"name": "digits"}, "search": {"seed": SEED}})
    with Store.create(tmp_path / "study.db", {"config": config.model_dump(mode="json")}):
        pass
    tflite = digits_model.read_bytes()
    found = read_labelled_inputs(str(tmp_path / "study.db"), None, tflite, compile_network(tflite))
    test = load_task(TaskSection(name="digits"), SEED).test
    assert (found.inputs == quantize_for(tflite, test.x[:100])).all()
    assert (found.labels == test.y[:100]).all()
    assert found.of == len(test.y)


def _samples(labels, dtype="int8"):
    count = len(labels)
    return LabelledInputs(
        task="a", digest="b", inputs=np.zeros((count, 4), np.int8), labels=np.array(labels), of=count, dtype=dtype
    )


def test_the_largest_value_of_its_type_is_the_answer_and_of_equal_ones_the_first():
    rows = np.array([[1, -1, 0], [5, 7, 7]], np.int8)
    assert _samples([0, 0]).answers(rows).tolist() == [0, 1]
    assert _samples([0, 0], "uint8").answers(rows).tolist() == [1, 1]
    real = np.array([[0.5, 2.0], [3.0, -4.0]], np.float32)
    assert _samples([0, 0], "float32").answers(real.view(np.int8)).tolist() == [1, 0]


def test_a_board_that_computes_other_bytes_is_told_with_labels_and_both_accuracies():
    samples = _samples([0, 1, 1, 0])
    host = np.array([[9, 0], [0, 9], [0, 9], [0, 9]], np.int8)
    board = host.copy()
    board[0] = [0, 9]
    board[1, 1] = 8
    with pytest.raises(WrongOutputError, match=r"3 of 8 output bytes.*1 of 4 labels differ: accuracy 50\.00% on"):
        samples.require_equal(board, host, "somewhere")
    samples.require_equal(host, host, "somewhere")
    found = samples.to_json(board, host)
    assert (found["board"], found["host"], found["labels_that_differ"]) == (0.5, 0.75, 1)


def test_the_interval_is_wilsons():
    # k = 8 of n = 10: Brown, Cai and DasGupta, "Interval Estimation for a Binomial Proportion", 2001, equation (4).
    samples, z = _samples([0] * 10), 1.959964
    outputs = np.array([[1, 0]] * 8 + [[0, 1]] * 2, np.int8)
    found = samples.to_json(outputs, outputs)
    middle, half = (8 + z**2 / 2) / (10 + z**2), z * 10**0.5 / (10 + z**2) * (0.8 * 0.2 + z**2 / 40) ** 0.5
    assert (found["low_95"], found["high_95"]) == pytest.approx((middle - half, middle + half), abs=1e-6)


@pytest.mark.parametrize(
    ("task", "count", "message"),
    [
        ("digits", 5000, r"--samples 5,000: the test split of digits has 269"),
        ("fashion_mnist", 5, r"takes 1x8x8x1, a sample of fashion_mnist is 28x28x1"),
        ("digitz", 5, "digits"),
        ("missing.toml", 5, "missing.toml"),
        ("missing.db", 5, "missing.db"),
    ],
)
def test_what_cannot_be_scored_is_refused(digits_model, task, count, message):
    tflite = digits_model.read_bytes()
    with pytest.raises(ConfigError, match=message):
        read_labelled_inputs(task, count, tflite, compile_network(tflite))


def test_a_task_with_other_classes_is_refused(digits_model, tmp_path):
    random = np.random.default_rng(0)
    np.savez(tmp_path / "two.npz", x=random.random((60, 8, 8, 1), np.float32), y=np.arange(60) % 2)
    (tmp_path / "two.toml").write_text('[task]\nkind = "npz"\npath = "two.npz"\n')
    tflite = digits_model.read_bytes()
    with pytest.raises(ConfigError, match="gives 10 values, two has 2 classes"):
        read_labelled_inputs(str(tmp_path / "two.toml"), 5, tflite, compile_network(tflite))


def test_inputs_come_from_one_place_and_samples_are_of_a_task(digits_model):
    with pytest.raises(ConfigError, match="leave one out"):
        measure_file(digits_model, "netduinoplus2", digits_model, task="digits")
    with pytest.raises(ConfigError, match="Name it with --accuracy"):
        measure_file(digits_model, "netduinoplus2", samples=4)
