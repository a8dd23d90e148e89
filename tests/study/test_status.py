"""A running search's word to outsiders: whole whenever it is read, gone with the search, and never in its way."""

import json
import os
import threading
import time

from tinynas.study import status
from tinynas.study.status import SILENT_S, Status, StatusFile, read_status, status_path


def current(**changes):
    return Status(pid=os.getpid(), host="here", phase="searching", **changes)


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_changes_is_told_soon_and_the_file_goes_with_the_search(tmp_path):
    study, told = tmp_path / "s.db", [current(judged=1)]
    file = StatusFile(study, lambda: told[-1])
    file.start()
    until(lambda: read_status(study) is not None)
    told.append(current(judged=2))
    file.change()
    until(lambda: read_status(study).status.judged == 2)
    assert not read_status(study).silent
    file.end()
    assert read_status(study) is None
    assert list(tmp_path.iterdir()) == []


def test_it_is_renewed_while_nothing_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "RENEWED_S", 0.6)
    study = tmp_path / "s.db"
    file = StatusFile(study, current)
    file.start()
    until(lambda: read_status(study) is not None)
    before = status_path(study).stat().st_mtime_ns
    until(lambda: status_path(study).stat().st_mtime_ns > before)
    file.end()


def test_a_reader_always_sees_a_whole_status(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "_LEAST_APART_S", 0.0)
    monkeypatch.setattr(status, "RENEWED_S", 0.0)
    boards = tuple(status.BoardStatus(name=f"board {index}", kind="k") for index in range(200))
    study = tmp_path / "s.db"
    file = StatusFile(study, lambda: current(boards=boards))
    file.start()
    until(lambda: read_status(study) is not None)
    assert all(len(read_status(study).status.boards) == 200 for _ in range(300))
    file.end()


def test_a_search_that_says_nothing_is_silent(tmp_path):
    study = tmp_path / "s.db"
    status_path(study).write_text(current().model_dump_json())
    assert not read_status(study).silent
    then = time.time() - SILENT_S - 1
    os.utime(status_path(study), (then, then))
    assert read_status(study).silent


def test_what_is_no_status_is_none(tmp_path):
    study = tmp_path / "s.db"
    good = json.loads(current().model_dump_json())
    for text in ("", "[]", "\0" * 100, json.dumps({**good, "under_way": [{"number": "x"}]}), "[" * 5000, "9" * 99999):
        status_path(study).write_text(text)
        assert read_status(study) is None
    status_path(study).unlink()
    status_path(study).mkdir()
    assert read_status(study) is None


def test_where_it_cannot_be_written_the_search_goes_on(tmp_path, caplog):
    file = StatusFile(tmp_path / "absent" / "s.db", current)
    file.start()
    until(lambda: "is not written" in caplog.text)
    file.change()
    started = time.monotonic()
    file.end()
    assert time.monotonic() - started < 5
    assert caplog.text.count("is not written") == 1


def test_whoever_tells_of_a_change_never_waits_for_the_disk(tmp_path):
    held = threading.Event()

    def slow():
        held.wait(5)
        return current()

    file = StatusFile(tmp_path / "s.db", slow)
    file.start()
    started = time.monotonic()
    for _ in range(10_000):
        file.change()
    assert time.monotonic() - started < 1
    held.set()
    file.end()
