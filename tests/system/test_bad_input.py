"""Bad input: one clear message, the right exit code, no traceback, nothing lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def tinynas(*arguments, folder, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tinynas", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refused(result, exit_code, *words):
    assert result.returncode == exit_code, result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--board", "netduinoplus3"], ["netduinoplus3", "did you mean netduinoplus2?"]),
        (["--task", "fashion_mnits"], ["fashion_mnits", "did you mean fashion_mnist?"]),
        (["--space", "imgae"], ["imgae", "did you mean image?"]),
        (["--strategy", "randon"], ["randon", "did you mean random?"]),
        (["--limit-sram", "32 potatoes"], ["32 potatoes", "KB"]),
        (["--budget", "0"], ["search.budget", "greater than 0"]),
        (["--budget", "many"], ["--budget", "valid integer"]),
        (["--config", "absent.toml"], ["absent.toml", "cannot be read"]),
        (["--data", "absent.npz", "--kind", "npz"], ["absent.npz"]),
        (["--space-file", "absent.py"], ["absent.py"]),
        (["--fix", "width"], ["--fix 'width'", "such as width=50"]),
        (["--hardware", "voltage"], ["space.hardware", "'fast_memory', 'clock' or 'activations'"]),
        (["--hardware", "clock", "--board", "mps2_an386"], ["no other clock_steps", "leave gene clock out"]),
        (["--clock", "84 MHz"], ["netduinoplus2 cannot run at 84000000 Hz", "90 MHz"]),
        (["--clock", "fast"], ["board.clock", "'fast' is no quantity", "MHZ"]),
        (["--nonsense"], ["--nonsense"]),
    ],
)
def test_unknown_names_and_values_are_configuration_errors(tmp_path, arguments, words):
    task = [] if {"--task", "--data"} & set(arguments) else ["--task", "digits"]
    refused(tinynas("search", *task, *arguments, folder=tmp_path), 2, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--optimize", "beauty"], ["'beauty'", "speed or size"]),
        (["--patches", "some"], ["'some'", "off, auto"]),
        (["--fast-memory", "much"], ["much", "KB"]),
        (["--fast-memory", "auto"], ["netduinoplus2 has no fast memory of its own", "--fast-memory '16 KB'"]),
    ],
)
def test_unknown_ways_to_compile_are_configuration_errors(tmp_path, arguments, words):
    (tmp_path / "model.tflite").write_bytes(b"")
    refused(tinynas("measure", "model.tflite", *arguments, folder=tmp_path), 2, *words)


def save(path, x, y):
    np.savez(path, x=x, y=y)


def broken_npz(path):
    save(path, np.zeros((100, 4), np.float32), np.zeros(100, np.int64))
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (broken_npz, ["data.npz"]),
        (lambda path: save(path, np.zeros((100, 4)), np.arange(100) % 3 + 5), ["class"]),
        (lambda path: save(path, np.zeros((100, 4)), -np.ones(100, np.int64)), ["-1"]),
        (lambda path: save(path, np.zeros((100, 4)), np.zeros(99, np.int64)), ["100", "99"]),
        (lambda path: save(path, np.full((100, 4), np.nan), np.arange(100) % 2), ["data.npz"]),
    ],
)
def test_bad_data_is_a_configuration_error(tmp_path, make, words):
    make(tmp_path / "data.npz")
    refused(tinynas("search", "--data", "data.npz", "--kind", "npz", "--space", "mlp", folder=tmp_path), 2, *words)


@pytest.mark.parametrize(("key", "words"), [("flip = true", ["flip", "(4,)"]), ("shift = 2", ["shift", "2", "(4,)"])])
def test_samples_that_are_no_images_are_not_mirrored_or_moved(tmp_path, key, words):
    save(tmp_path / "data.npz", np.random.default_rng(0).normal(size=(100, 4)), np.arange(100) % 2)
    (tmp_path / "study.toml").write_text(
        f'[task]\nkind = "npz"\npath = "data.npz"\n[space]\nname = "mlp"\n[train]\n{key}\n'
    )
    refused(tinynas("search", "--config", "study.toml", folder=tmp_path), 2, *words, "leave it out")


def test_limits_that_no_candidate_can_meet_are_refused_before_work(tmp_path):
    refused(tinynas("search", "--task", "digits", "--limit-flash", "20 B", folder=tmp_path), 5, "no candidate", "flash")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tool", "words"), [("arm-none-eabi-gcc", ["gcc-arm-none-eabi"]), ("qemu-system-arm", ["qemu"])]
)
def test_a_missing_tool_is_named_with_the_package_that_has_it(tmp_path, tool, words):
    programs = tmp_path / "bin"
    programs.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for program in Path(folder).glob("*") if Path(folder).is_dir() else ():
            if program.name != tool and not (programs / program.name).exists():
                (programs / program.name).symlink_to(program)
    assert shutil.which(tool, path=str(programs)) is None
    result = tinynas("search", "--task", "digits", folder=tmp_path, PATH=str(programs))
    refused(result, 4, tool, *words)


def test_a_study_that_exists_is_not_overwritten(tmp_path):
    (tmp_path / "s.db").write_bytes(b"precious")
    result = tinynas("search", "--task", "digits", "--study", "s.db", folder=tmp_path)
    refused(result, 4, "s.db")
    assert (tmp_path / "s.db").read_bytes() == b"precious"


@pytest.mark.parametrize("command", [["show"], ["resume"], ["report"], ["export"]])
def test_a_missing_study_is_a_configuration_error(tmp_path, command):
    refused(tinynas(*command, "absent.db", folder=tmp_path), 2, "absent.db", "does not exist")


@pytest.mark.parametrize("content", [b"", b"TFL3", bytes(1000), b"\x1c\0\0\0TFL3" + bytes(range(256)) * 4])
def test_what_is_no_tflite_is_refused(tmp_path, content):
    (tmp_path / "m.tflite").write_bytes(content)
    refused(tinynas("measure", "m.tflite", folder=tmp_path), 1)
    refused(tinynas("compile", "m.tflite", folder=tmp_path), 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.tflite"]


def test_help_shows_examples_and_exit_codes(tmp_path):
    assert "130 interrupted" in tinynas("--help", folder=tmp_path).stdout
    assert "Example: tinynas search" in tinynas("search", "--help", folder=tmp_path).stdout
