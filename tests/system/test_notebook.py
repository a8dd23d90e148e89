"""The few lines of Python that the README shows, and a space of one's own, on the emulated board."""

import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tinynas.api import search
from tinynas.errors import NothingFeasibleError
from tinynas.study.mirror import Mirror
from tinynas.study.status import status_path

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "tiny_space.py"
QUICK = {
    "task": {"name": "digits"},
    "train": {"epochs": 1, "samples": 200, "val_samples": 50},
    "final": {"count": 1, "epochs": 1},
}


@contextmanager
def watched_from_outside(path):
    """Look at a study twenty times a second, as its dashboard does. Yields what is seen."""
    seen = SimpleNamespace(problems=set(), numbers=set(), stages=set(), working=set())
    ended, mirror = threading.Event(), Mirror(path)

    def look():
        version = ""
        while not ended.wait(0.05):
            answer = mirror.state(version)
            version = answer["version"]
            seen.problems.add(answer["problem"])
            seen.numbers |= {row["number"] for row in answer.get("trials", ())}
            if answer["now"] is not None:
                seen.stages |= {each["stage"] for each in answer["now"]["under_way"]}
                seen.working |= {board["work"] for board in answer["now"]["boards"]}

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@pytest.mark.slow
def test_a_study_is_searched_shown_extended_reported_and_exported(tmp_path):
    with watched_from_outside(tmp_path / "digits.db") as seen:
        study = search(
            tmp_path / "digits.db",
            **QUICK,
            space={"file": str(EXAMPLE)},
            search={"budget": 2, "strategy": "random", "workers": 1},
        )
        assert study.summary()["evaluated"] == 2
        (point,) = study.front()
        assert point["genome"].startswith("tiny:")
        assert 0 <= point["accuracy_int8_test"] <= 1
        study.resume(budget=3)
        assert study.summary()["evaluated"] == 3
    assert (seen.problems, seen.numbers) == ({None}, {0, 1, 2})
    assert {"convert", "train"} <= seen.stages
    # The boards were seen at work on the study's candidates, and on nothing else.
    assert seen.working - {None} <= {row["genome"] for row in study.trials()}
    assert not status_path(study.path).exists()
    study.report(tmp_path / "digits.html")
    assert "tiny" in (tmp_path / "digits.html").read_text()
    assert study.export(to="c", folder=tmp_path / "out")["to"] == "c"
    assert (tmp_path / "out" / "README.md").is_file()


@pytest.mark.slow
def test_a_search_in_which_nothing_is_feasible_says_what_came_nearest(tmp_path):
    with pytest.raises(NothingFeasibleError, match=r"none of 2 candidates meets the limits; the nearest miss: needs"):
        search(
            tmp_path / "digits.db",
            **QUICK,
            space={"name": "mlp"},
            search={"budget": 2, "population": 2, "workers": 1},
            limits={"flash": "700 B"},
        )
