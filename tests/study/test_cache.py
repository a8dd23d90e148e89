"""The cache across studies: what is found is what was put there, or nothing is."""

import sqlite3
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tinynas.boards import load_board
from tinynas.config import FinalSection, TaskSection, TrainSection, load_config
from tinynas.cost import Cost, Flash, Sram
from tinynas.space.architecture import Builder
from tinynas.study import lab
from tinynas.study.cache import COST, TRAINED, Cache, cost_key, training_key
from tinynas.study.run import search
from tinynas.study.store import Store
from tinynas.study.work import Candidate, Course, Origin, Trained, Vectors

TRAINED_NETWORK = Trained(
    tflite=b"\x1c\0\0\0TFL3",
    vectors=Vectors(inputs=np.arange(6, dtype=np.int8).reshape(2, 3), outputs=np.zeros((2, 1), np.int8)),
    method="ptq",
    accuracy_float_val=0.1 + 0.2,
    accuracy_ptq_val=0.25,
    accuracy_int8_val=0.25,
    epochs=3,
    curve=(0.1, 0.1 + 0.2, 0.2),
    stopped=False,
    weights=b"weights",
    seconds={},
)
EMULATED = Cost(
    latency_us=1 / 3,
    latency_source="emulated",
    sram=Sram(static=0, arena=100, stack=10),
    flash=Flash(code=100, constants=100),
)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "home" / "cache.db", 1000)


def candidate(filters=8, **changes):
    build = Builder((8, 8, 1), 10)
    architecture = build.finish(build.global_avg_pool(build.conv(0, filters, 3)))
    section = TaskSection(name="digits")
    return replace(Candidate(task=section, study_seed=1, architecture=architecture, key="a"), **changes)


def test_what_was_put_is_found_and_nothing_else(cache):
    assert cache.get("a") is None
    cache.put("a", b"one")
    cache.put("b", b"two")
    cache.put("a", b"three")
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (b"three", b"two", None)


def test_results_come_back_to_the_last_bit(cache):
    cache.put("a", COST.pack(EMULATED))
    assert cache.recall("a", COST) == EMULATED
    big = Cache(cache.path, 1 << 20)
    big.put("b", TRAINED.pack(TRAINED_NETWORK))
    found = big.recall("b", TRAINED)
    assert replace(found, vectors=TRAINED_NETWORK.vectors) == TRAINED_NETWORK
    assert np.array_equal(found.vectors.inputs, TRAINED_NETWORK.vectors.inputs)
    assert found.vectors.inputs.dtype == np.int8


def test_beyond_its_size_what_was_not_used_for_longest_goes(cache):
    for name in "abcd":
        cache.put(name, bytes(250))
    cache.get("a")
    cache.put("e", bytes(250))
    assert [name for name in "abcde" if cache.get(name) is not None] == ["a", "c", "d", "e"]
    cache.put("f", bytes(1001))
    assert cache.get("f") is None
    assert cache.get("a") is not None


def test_a_damaged_entry_is_said_and_worked_out_again(cache, caplog):
    cache.put("a", b"one")
    with sqlite3.connect(cache.path) as connection:
        connection.execute("UPDATE entries SET content = x'00'")
    connection.close()
    assert cache.recall("a", COST) is None
    assert "entry a is damaged (its SHA-256 is another)" in caplog.text
    cache.put("a", b'{"latency_us": 1}')
    assert cache.recall("a", COST) is None
    assert "KeyError" in caplog.text
    assert cache.get("a") is None


def test_a_file_that_is_no_cache_is_said_and_left_alone(cache, caplog):
    cache.path.parent.mkdir()
    cache.path.write_bytes(
        b"something else entirely, and longer than a header of SQLite, which has a hundred bytes" * 2
    )
    before = cache.path.read_bytes()
    cache.put("a", b"one")
    assert cache.get("a") is None
    assert "cannot be used" in caplog.text
    assert "--no-cache" in caplog.text
    assert cache.path.read_bytes() == before


WRITER = """
import sys
from pathlib import Path
from tinynas.study.cache import Cache
cache = Cache(Path(sys.argv[1]), 1 << 20)
for number in range(25):
    cache.put(f"{sys.argv[2]}{number}", sys.argv[2].encode() * 100)
    assert cache.get(f"{sys.argv[2]}{number}") == sys.argv[2].encode() * 100
"""


def test_two_processes_write_at_once_and_nothing_is_lost(cache):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(cache.path), name], stderr=subprocess.PIPE) for name in "xy"
    ]
    assert [(writer.communicate(timeout=120)[1], writer.returncode) for writer in writers] == [(b"", 0)] * 2
    assert all(cache.get(f"{name}{number}") == name.encode() * 100 for name in "xy" for number in range(25))


def begins_with(weights):
    return Course(origin=Origin(architecture=candidate(filters=4).architecture, weights=weights))


def test_whatever_a_training_depends_on_is_in_its_key():
    train = TrainSection()
    keys = {
        training_key("d", candidate(), Course(), train, 16),
        training_key("e", candidate(), Course(), train, 16),
        training_key("d", candidate(filters=12), Course(), train, 16),
        training_key("d", candidate(study_seed=2), Course(), train, 16),
        training_key("d", candidate(key="b"), Course(), train, 16),
        training_key("d", candidate(activation_bits=16), Course(), train, 16),
        training_key("d", candidate(), Course(), TrainSection(epochs=9), 16),
        training_key("d", candidate(), Course(), train, FinalSection(), 16),
        training_key("d", candidate(), Course(), train, FinalSection(prune=0.25), 16),
        training_key("d", candidate(), Course(), train, FinalSection(distill=0.5), 16),
        training_key("d", candidate(), Course(), train, 17),
        training_key("d", candidate(), Course(needs={2: 0.5}), train, 16),
        training_key("d", candidate(), begins_with(b"a"), train, 16),
        training_key("d", candidate(), begins_with(b"b"), train, 16),
        training_key("d", candidate(), Course(teacher=begins_with(b"a").origin), train, 16),
    }
    assert len(keys) == 15


def test_neither_the_datas_place_nor_a_deadline_is_in_the_key():
    moved = candidate(task=TaskSection(name="elsewhere"))
    assert training_key("d", candidate(), Course(), TrainSection(), 16) == training_key(
        "d", moved, Course(), TrainSection(timeout=9.0), 16
    )


def test_what_a_physical_board_measures_has_no_key():
    emulated = load_board("netduinoplus2")
    assert cost_key("d", b"a", emulated, 3) == cost_key("d", b"a", emulated, 3)
    assert len({cost_key("d", *rest) for rest in ((b"a", emulated, 3), (b"b", emulated, 3), (b"a", emulated, 4))}) == 3
    with pytest.raises(ValueError, match="not the same every time"):
        cost_key("d", b"a", emulated.model_copy(update={"emulator": None}), 3)


@pytest.mark.slow
def test_a_second_study_trains_and_measures_nothing_again_and_finds_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(lab, "Cache", lambda path, size: Cache(tmp_path / path.name, size))
    settings = {
        "task": {"name": "digits"},
        "space": {"name": "mlp"},
        "board": {"samples": 4},
        "search": {"budget": 3, "strategy": "random", "workers": 1},
        "train": {"epochs": 1, "samples": 200, "val_samples": 50},
        "final": {"count": 1, "epochs": 1},
        "cache": {"enabled": True},
    }
    found, seconds = [], []
    for name in ("first", "second"):
        search(load_config(None, settings), tmp_path / f"{name}.db", lambda event: None)
        with Store.open_to_read(tmp_path / f"{name}.db") as store:
            trials, (finalist,) = store.trials(), store.finalists()
            found.append([replace(trial, seconds={}, finished_at=0.0) for trial in trials])
            found[-1] += [replace(finalist, seconds={}), store.artifact(finalist.trial, "final.tflite")]
            seconds.append([trial.seconds for trial in trials] + [finalist.seconds])
    assert found[0] == found[1]
    assert all({"build", "measure", "train"} <= set(each) for each in seconds[0])
    assert not any({"train", "measure"} & set(each) for each in seconds[1][:-1])
    assert "train" not in seconds[1][-1]
