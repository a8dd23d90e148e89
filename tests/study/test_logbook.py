"""A run's events in its log."""

import json
from contextlib import suppress

import pytest

from tinynas.cost import Cost
from tinynas.errors import BenchError, ConfigError, StoppedError
from tinynas.study.logbook import logbook
from tinynas.study.session import Event
from tinynas.study.store import Trial

TRIAL = Trial(
    number=3,
    genome="mlp:1",
    state="complete",
    accuracy_int8_val=0.75,
    cost=Cost(latency_us=12.5, latency_source="emulated"),
    seconds={"train": 2.0, "measure": 0.5},
)
COURSE = (
    Event(kind="stage", number=3, genome="mlp:1", stage="train"),
    Event(kind="stage", number=3, genome="mlp:1", stage="measure"),
    Event(kind="judged", number=3, trial=TRIAL, judged=1, budget=8),
)


def told(study, *happened, log=None, end=None):
    """The lines of a run that ends with an exception or not, and what whoever watches heard."""
    heard = []
    with suppress(StoppedError, BenchError, KeyboardInterrupt), logbook(study, log, heard.append) as notify:
        for each in happened:
            notify(each)
        if end is not None:
            raise end
    return [json.loads(line) for line in (log or study.with_suffix(".log")).read_text().splitlines()], heard


def test_each_stage_of_a_candidate_is_logged_when_it_is_over_and_then_its_verdict(tmp_path):
    lines, heard = told(tmp_path / "s.db", *COURSE)
    assert heard == list(COURSE)
    assert [line["event"] for line in lines] == ["begin", "stage", "stage", "judged", "end"]
    assert {line["study"] for line in lines} == {str(tmp_path / "s.db")}
    assert [line.get("stage") for line in lines] == [None, "train", "measure", None, None]
    assert all(line["candidate"] == 3 and line["genome"] == "mlp:1" for line in lines[:4])
    assert all(0 <= line["seconds"] < 1 for line in lines[1:3])
    verdict = {name: value for name, value in lines[3].items() if name not in ("at", "event", "study")}
    assert verdict == {
        "candidate": 3,
        "genome": "mlp:1",
        "state": "complete",
        "accuracy_int8_val": 0.75,
        "latency_us": 12.5,
        "latency_source": "emulated",
        "seconds": 2.5,
    }


@pytest.mark.parametrize(
    ("end", "outcome", "reason"),
    [
        (None, "finished", None),
        (StoppedError("stopped"), "stopped", None),
        (KeyboardInterrupt(), "stopped", None),
        (BenchError("no board is left"), "failed", "BenchError: no board is left"),
    ],
)
def test_the_last_line_says_how_the_run_ended(tmp_path, end, outcome, reason):
    lines, _ = told(tmp_path / "s.db", Event(kind="stopping"), end=end)
    assert [line["event"] for line in lines] == ["stopping", "end"]
    assert (lines[-1]["outcome"], lines[-1].get("reason")) == (outcome, reason)


def test_a_run_that_is_refused_before_anything_happens_leaves_no_file(tmp_path):
    with pytest.raises(ConfigError), logbook(tmp_path / "studies" / "s.db", None, lambda event: None):
        raise ConfigError("board 'x' is not known")
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_taken_where_one_is_named(tmp_path):
    lines, _ = told(tmp_path / "s.db", log=tmp_path / "elsewhere")
    assert len(lines) == 1
    assert not (tmp_path / "s.log").exists()
