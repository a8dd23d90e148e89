"""What travels is plain data: it arrives as it was, and code in the bytes is refused before it does anything."""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tblib.pickling_support

from tinynas.cluster import depot
from tinynas.cluster.messages import Call, File, Refused, function_named, name_of, pack, unpack
from tinynas.config import TaskSection, TrainSection, load_config
from tinynas.device.messages import ResetCause
from tinynas.errors import InfrastructureError, LimitError
from tinynas.estimate.layers import LayerTable
from tinynas.model.data import load_task, place_task
from tinynas.model.placed import PlacedTask
from tinynas.space.genome import smallest
from tinynas.space.registry import load_space
from tinynas.study import training, work


def call():
    space = load_space("mlp", None)
    architecture = space.decode(smallest(space), (8, 8, 1), 10)
    task = PlacedTask(name="digits", file=Path("data/x.npz"), digest="d" * 64)
    candidate = work.Candidate(task=task, study_seed=3, architecture=architecture, key="mlp:0")
    course = work.Course(origin=work.Origin(architecture=architecture, weights=b"w"), needs={2: 0.5}, state=Path("a"))
    return Call(
        what="training",
        function=name_of(training.train_candidate),
        arguments=(candidate, course, 4, TrainSection(), load_config(None)),
        timeout_s=1.0,
        memory_bytes=1,
        files=(File(path=Path("data/x.npz"), sha256="0" * 64, size=1),),
    )


def test_requests_arrive_as_they_were():
    assert unpack(pack(call())) == call()
    assert isinstance(unpack(pack(call())).arguments[0].task, PlacedTask)
    table = unpack(pack(LayerTable([], 1, 2.0)))
    assert (table.clock_hz, table.outside_cycles) == (1, 2.0)


@pytest.mark.parametrize("array", [np.arange(6, dtype=np.int8).reshape(2, 3), np.zeros(0), np.array(["a", "bc"])])
def test_arrays_arrive_as_they_were(array):
    vectors = unpack(pack(work.Vectors(inputs=array, outputs=array[:1])))
    assert vectors.inputs.dtype == array.dtype
    assert np.array_equal(vectors.inputs, array)
    assert np.array_equal(vectors.outputs, array[:1])


def test_verdicts_arrive_as_they_were():
    # As distributed does when it is imported.
    tblib.pickling_support.install()
    error = unpack(pack(Refused(error=LimitError("needs 3 KB")))).error
    assert isinstance(error, LimitError)
    assert (str(error), error.stage) == ("needs 3 KB", "limits")
    assert unpack(pack({"cause": ResetCause.PIN, "value": np.float64(0.5)})) == {"cause": ResetCause.PIN, "value": 0.5}


class Hostile:
    def __init__(self, function, *arguments):
        self._reduced = function, arguments

    def __reduce__(self):
        return self._reduced


@dataclass
class Stranger:
    value: int = 1


@pytest.mark.parametrize(
    "hostile",
    [
        lambda trace: Hostile(os.system, f"touch {trace}"),
        lambda trace: Hostile(eval, f"open({str(trace)!r}, 'w')"),
        lambda trace: Hostile(open, str(trace), "w"),
        lambda trace: Hostile(getattr, "text", "upper"),
        # Tinynas' own code is no plain data either.
        lambda trace: depot.receive,
        lambda trace: Hostile(depot.receive, "data/x", "", "", 0, b"x"),
        lambda trace: Stranger(),
        lambda trace: [{"deep": (Hostile(os.system, f"touch {trace}"),)}],
    ],
)
def test_bytes_that_hold_code_leave_no_trace(tmp_path, monkeypatch, hostile):
    monkeypatch.setenv("TINYNAS_HOME", str(tmp_path / "home"))
    trace = tmp_path / "trace"
    with pytest.raises(InfrastructureError, match="which is no plain data"):
        unpack(pickle.dumps(hostile(trace)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\x80\x05", b"not a pickle", pack(call())[:-20]])
def test_bytes_that_are_no_message_are_refused(content):
    with pytest.raises(InfrastructureError, match="cannot be understood"):
        unpack(content)


@pytest.mark.parametrize(
    "name", ["os:system", "tinynas.study.work:os", "tinynas.paths:Path", "tinynas.study.work:none"]
)
def test_functions_are_those_of_tinynas_by_their_names(name):
    with pytest.raises(ValueError, match="tinynas"):
        function_named(name)
    with pytest.raises(ValueError, match=r"no module of tinynas|cannot be found|no function"):
        name_of(lambda: None)
    assert function_named("tinynas.study.work:convert_untrained") is work.convert_untrained


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNAS_HOME", str(tmp_path))
    return tmp_path


def test_a_placed_task_is_the_task_itself(home):
    section = TaskSection(name="digits")
    task, file = load_task(section, 3), place_task(section)
    assert place_task(section) == file
    placed = load_task(PlacedTask(**section.model_dump(), file=file, digest=task.digest), 3)
    assert (placed.digest, placed.name, placed.class_names) == (task.digest, task.name, task.class_names)
    assert (placed.offset, placed.scale) == (task.offset, task.scale)
    for name in ("train", "val", "test"):
        assert np.array_equal(getattr(placed, name).x, getattr(task, name).x)
        assert np.array_equal(getattr(placed, name).y, getattr(task, name).y)


def test_other_samples_than_those_of_the_task_are_refused(home):
    file = place_task(TaskSection(name="digits"))
    with pytest.raises(Exception, match=r"make a task of digest .* was expected"):
        load_task(PlacedTask(name="digits", file=file, digest="0" * 64), 3)
    (home / file).write_bytes(b"damaged")
    with pytest.raises(Exception, match=r"cannot be read .*: remove the file"):
        load_task(PlacedTask(name="digits", file=file, digest="0" * 64), 3)


def send(path, content, sha256, sender="a", pieces=2):
    size = max(1, len(content) // pieces)
    for start in range(0, len(content), size):
        assert depot.receive(path, sha256, sender, start, content[start : start + size]) == {}
    return depot.receive(path, sha256, sender, len(content), b"")


def test_a_file_arrives_in_pieces_and_has_its_name_only_when_it_is_whole(home):
    (home / "there").mkdir()
    content = os.urandom(1000)
    (home / "data").mkdir()
    (home / "data" / "sent").write_bytes(content)
    file = depot.file_of(Path("data/sent"))
    (home / "data" / "sent").unlink()
    assert depot.missing([file]) == (file,)
    assert depot.receive("data/sent", file.sha256, "a", 0, content[:500]) == {}
    assert depot.missing([file]) == (file,)
    assert depot.receive("data/sent", file.sha256, "a", 500, content[500:]) == {}
    assert depot.receive("data/sent", file.sha256, "a", 1000, b"") == {}
    assert depot.missing([file]) == ()
    assert [path.name for path in (home / "data").iterdir()] == ["sent"]


def test_a_file_with_another_sha256_is_thrown_away(home):
    assert "arrived with SHA-256" in send("data/sent", b"x" * 100, "0" * 64)["error"]
    assert list((home / "data").iterdir()) == []


@pytest.mark.parametrize("path", ["../x", "/etc/x", "data/../../x", "data", "build/x", "data/.hidden", "data/a/b"])
def test_a_file_goes_nowhere_but_where_files_are_placed(home, path):
    assert "is no place for a file" in depot.receive(path, "", "a", 0, b"x")["error"]
    assert list(home.iterdir()) == []
