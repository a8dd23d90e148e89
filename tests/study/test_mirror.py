"""A study that is looked at again and again: only what changed is told, and neither side waits for the other."""

import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from like_a_search import FACTS, finalist_of, trials_like_a_search

from tinynas.errors import StoreError
from tinynas.study import mirror
from tinynas.study.mirror import Mirror
from tinynas.study.status import Status, status_path
from tinynas.study.store import Store
from tinynas.study.summary import search_front

RUNNING = {**FACTS, "finished": False}
# Whoever writes here has a trial each time that the reader blinks, and lets the log be written back all the while.
WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from like_a_search import FACTS, trials_like_a_search
from tinynas.study.store import Store
trials = list(trials_like_a_search(40))
with Store.create(Path(sys.argv[1]), {**FACTS, "finished": False}) as store:
    print("writing", flush=True)
    for number in range(400):
        trial = replace(trials[number % 40], number=number, genome=f"image:{number}")
        store.add_trial(trial, {"model.tflite": bytes(20_000)})
        store.set_fact("elapsed_s", float(number))
        if number % 7 == 0:
            store.replace_trial(replace(trial, reason="measured"))
"""


@pytest.fixture(autouse=True)
def always_read(monkeypatch):
    monkeypatch.setattr(mirror, "_FRESH_S", 0.0)


@pytest.fixture
def study(tmp_path):
    with Store.create(tmp_path / "study.db", RUNNING) as store:
        for trial in trials_like_a_search(30):
            store.add_trial(trial, {})
    return tmp_path / "study.db"


def test_at_first_all_is_told_and_then_what_changed(study):
    watched = Mirror(study)
    first = watched.state("")
    assert (first["whole"], len(first["trials"]), first["problem"], first["now"]) == (True, 30, None, None)
    assert [point["number"] for point in first["front"]] == [
        point.trial.number for point in search_front(list(trials_like_a_search(30)), ("error", "latency_us"))
    ]
    assert "trials" not in watched.state(first["version"])
    trials = list(trials_like_a_search(31))
    complete = next(trial for trial in trials if trial.state == "complete")
    with Store.open_to_write(study) as store:
        store.add_trial(trials[30], {})
        store.replace_trial(replace(complete, reason="measured now"))
        store.forget(7)
    second = watched.state(first["version"])
    assert not second["whole"]
    assert {row["number"] for row in second["trials"]} == {30, complete.number}
    assert 7 not in second["numbers"]
    with Store.open_to_write(study) as store:
        store.put_finalist(finalist_of(complete), {})
        store.set_fact("finished", True)
    third = watched.state(second["version"])
    assert [row["final"] for row in third["trials"]] == [
        [finalist_of(complete).accuracy_int8_val, finalist_of(complete).accuracy_int8_test]
    ]
    assert [point["number"] for point in third["front"]] == [complete.number]


@pytest.mark.parametrize("known", ["0.1", "x", "", ".", "0" * 16 + ".99999999999999999999", "é.²"])
def test_a_version_of_another_mirror_is_told_all(study, known):
    answer = Mirror(study).state(known)
    assert answer["whole"]
    assert len(answer["trials"]) == 30


def test_a_study_that_comes_goes_and_comes_again_is_followed(study, tmp_path):
    watched = Mirror(tmp_path / "moved.db")
    assert watched.state("") == {"problem": None, "now": None, "there": False, "version": "", "whole": True}
    study.rename(tmp_path / "moved.db")
    there = watched.state("")
    assert (there["there"], len(there["trials"])) == (True, 30)
    (tmp_path / "moved.db").unlink()
    gone = watched.state(there["version"])
    assert (gone["there"], gone["version"]) == (False, there["version"])
    assert gone["problem"] is None
    with pytest.raises(StoreError, match="does not exist"):
        watched.seen()
    with Store.create(tmp_path / "moved.db", RUNNING) as store:
        store.add_trial(replace(next(trials_like_a_search(1)), reason="another study"), {})
    again = watched.state(there["version"])
    assert (again["numbers"], [row["reason"] for row in again["trials"]]) == ([0], ["another study"])


@pytest.mark.parametrize("content", [b"", b"no database", bytes(5000)])
def test_what_is_no_study_is_said_in_a_sentence(tmp_path, content):
    (tmp_path / "s.db").write_bytes(content)
    assert "study" in Mirror(tmp_path / "s.db").state("")["problem"]


def test_a_foreign_schema_and_foreign_settings_are_named(study):
    with sqlite3.connect(study) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "schema 99" in Mirror(study).state("")["problem"]
    with sqlite3.connect(study) as connection:
        connection.execute("PRAGMA user_version = 1")
        connection.execute("UPDATE facts SET value = '{\"moon\": 1}' WHERE name = 'config'")
    connection.close()
    assert "does not know" in Mirror(study).state("")["problem"]


def test_what_the_search_says_of_itself_is_passed_on_until_it_is_silent(study):
    status_path(study).write_text(Status(pid=7, host="h", phase="searching").model_dump_json())
    assert Mirror(study).state("")["now"]["silent"] is False
    os.utime(status_path(study), (1, 1))
    assert Mirror(study).state("")["now"]["silent"] is True


def test_neither_a_writer_in_a_tight_loop_nor_its_readers_ever_find_the_study_locked(tmp_path):
    path = tmp_path / "busy.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watched, version, seen, problems = Mirror(path), "", set(), set()
    while writer.poll() is None:
        answer = watched.state(version)
        version = answer["version"]
        seen |= {row["number"] for row in answer.get("trials", ())}
        problems.add(answer["problem"])
        time.sleep(0.01)
    assert writer.returncode == 0, writer.communicate()[1]
    writer.communicate()
    seen |= {row["number"] for row in watched.state(version).get("trials", ())}
    assert problems == {None}
    assert seen == set(range(400))
    assert watched.state("")["elapsed_s"] == 399.0
