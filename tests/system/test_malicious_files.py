"""Whatever door a malicious file comes through, nothing that it brings is run, and the error says what is wanted.

CVE-2025-1550, CVE-2025-8747, CVE-2025-9905 and CVE-2025-9906 run code while Keras loads a model, its safe mode or not.
tinynas loads none: networks come as .tflite, whose bytes it reads itself, and weights as arrays without objects.
"""

import ast
import io
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import malicious
import numpy as np
import pytest
from typer.testing import CliRunner

import tinynas
from tinynas.cli import app
from tinynas.config import TaskSection
from tinynas.errors import ConfigError, MalformedModelError, StoreError
from tinynas.model.arrays import read_npz
from tinynas.model.placed import PlacedTask, read_placed
from tinynas.study.cache import TRAINED, Cache

FROZEN = Path(__file__).parents[1] / "study" / "frozen" / "2026-11-24.db"
SOURCES = sorted(Path(tinynas.__file__).parent.rglob("*.py"))


@pytest.fixture
def marker(tmp_path):
    """What exists once something was run."""
    marker = tmp_path / "was run"
    yield marker
    assert not marker.exists(), "code from the file was run"


@pytest.fixture(params=malicious.MODELS)
def model(request, tmp_path, marker, monkeypatch):
    # Commands write to the folder that they are in, where somebody may have exported a network before.
    monkeypatch.chdir(tmp_path)
    path = tmp_path / request.param
    path.write_bytes(malicious.MODELS[request.param](marker))
    return path


def ended(*arguments):
    """The error that a command ends with."""
    return CliRunner().invoke(app, list(map(str, arguments))).exception


def test_the_files_do_run_code_where_they_are_loaded_as_usual(tmp_path):
    marker, path = tmp_path / "was run", tmp_path / "legacy.h5"
    path.write_bytes(malicious.legacy(marker))
    keras = [sys.executable, malicious.__file__, str(path)]
    subprocess.run(keras, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True, check=True)
    assert marker.exists()
    marker.unlink()
    pickle.loads(malicious.pickled(marker))  # noqa: S301
    assert marker.exists()
    marker.unlink()
    np.load(io.BytesIO(malicious.arrays(marker, "x")), allow_pickle=True)["x"]
    assert marker.exists()


@pytest.mark.parametrize(
    "command",
    [("measure",), ("profile",), ("compile", "--output", "out"), ("export", "--to", "c", "--output", "out")],
    ids=lambda command: command[0],
)
def test_a_model_that_is_no_tflite_is_refused_by_its_kind(model, tmp_path, command):
    # What is to be exported is a study unless it is named so.
    path = model.rename(tmp_path / f"{model.name}.tflite") if command[0] == "export" else model
    error = ended(command[0], path, *command[1:])
    assert isinstance(error, MalformedModelError)
    kind = {".keras": "Keras archive", ".h5": "HDF5 file", ".pkl": "pickle"}[model.suffix]
    assert kind in str(error)
    assert ".tflite" in str(error)


def test_data_that_is_no_npz_is_refused(model):
    with pytest.raises(ConfigError, match=r"has no array 'x'|cannot be read as \.npz"):
        read_npz(model, TaskSection())


@pytest.mark.parametrize("name", ["x", "y", "class_names", "groups"])
def test_data_with_objects_is_refused(tmp_path, marker, name):
    path = tmp_path / "data.npz"
    plain = {"x": np.zeros((4, 2)), "y": np.zeros(4, int), "class_names": np.array(["a"]), "groups": np.zeros(4)}
    np.savez(path, **{each: array for each, array in plain.items() if each != name})
    with zipfile.ZipFile(path, "a") as archive, zipfile.ZipFile(io.BytesIO(malicious.arrays(marker, name))) as evil:
        archive.writestr(f"{name}.npy", evil.read(f"{name}.npy"))
    with pytest.raises(ConfigError, match="Object arrays cannot be loaded"):
        read_npz(path, TaskSection())


def test_placed_samples_that_are_none_are_refused(model, monkeypatch):
    monkeypatch.setenv("TINYNAS_HOME", str(model.parent))
    with pytest.raises(ConfigError, match="remove the file and start again"):
        read_placed(PlacedTask(file=Path(model.name), digest="0"))


def test_a_study_that_is_none_is_refused_whatever_opens_it(model):
    for command in ("show", "resume", "report", "proxies", "export"):
        assert isinstance(ended(command, model), StoreError)
    error = ended("search", "--task", "digits", "--space", "mlp", "--start", model, "--dry-run")
    assert isinstance(error, ConfigError)
    assert "an earlier study by its file, *.db" in str(error)


def test_a_study_whose_networks_were_replaced_exports_none(model, tmp_path):
    path = tmp_path / "s.db"
    shutil.copy(FROZEN, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("UPDATE artifacts SET content = ?", (model.read_bytes(),)).rowcount > 3
    for form in ("c", "tflm", "platformio"):
        error = ended("export", path, "--to", form, "--output", tmp_path / form)
        assert isinstance(error, MalformedModelError), error
        assert not (tmp_path / form).exists()


def test_a_cache_with_objects_gives_nothing(tmp_path, marker):
    cache = Cache(tmp_path / "cache.db", 1 << 20)
    for key, content in (
        ("a", malicious.arrays(marker, "record", "tflite", "weights", "inputs", "outputs")),
        ("b", malicious.pickled(marker)),
        ("c", malicious.any_function(marker)),
        ("d", malicious.legacy(marker)),
    ):
        cache.put(key, content)
        assert cache.recall(key, TRAINED) is None


def test_weights_and_trainings_with_objects_are_refused(tmp_path, marker, tensorflow):
    from tinynas.model.inherit import unpack_weights
    from tinynas.model.shared import read_shared
    from tinynas.model.supernet import _restored

    objects = malicious.arrays(marker, "seed", "steps", "losses", "weights:1", "dense/0")
    for content in (objects, malicious.pickled(marker), malicious.legacy(marker)):
        path = tmp_path / "state.npz"
        path.write_bytes(content)
        for load in (lambda: unpack_weights(content), lambda: read_shared(path)):  # noqa: B023
            with pytest.raises(ValueError, match=r"allow_pickle=|Object arrays"):
                load()
        # A training that was cut off is begun anew.
        assert _restored(path, 1).losses == []


def calls():
    """Each call in tinynas: the file, the name of what is called, and the call."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call):
                yield source.name, ast.unparse(node.func), node


def test_no_source_imports_what_runs_code_from_files():
    banned = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "h5py"}
    # What workers send is read by an unpickler that knows tinynas' records alone: tests/cluster/test_messages.py.
    for source in (each for each in SOURCES if each.parts[-2:] != ("cluster", "messages.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not banned & {name.partition(".")[0] for name in names}, source


def test_no_source_loads_a_keras_model_or_arrays_with_objects():
    banned = ("load_model", "load_weights", "model_from_json", "model_from_config", "deserialize")
    loads = 0
    for source, name, call in calls():
        last = name.rpartition(".")[2]
        assert last not in banned, source
        assert name not in ("eval", "exec"), source
        if name in ("np.load", "numpy.load"):
            loads += 1
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert options.get("allow_pickle") == "False", source
    assert loads >= 5
