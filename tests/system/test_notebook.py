"""The few lines of Python that the README shows, and a space of one's own, on the emulated board."""

from pathlib import Path

import pytest

from tinynas.api import search
from tinynas.errors import NothingFeasibleError

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "tiny_space.py"
QUICK = {
    "task": {"name": "digits"},
    "train": {"epochs": 1, "samples": 200, "val_samples": 50},
    "final": {"count": 1, "epochs": 1},
}


@pytest.mark.slow
def test_a_study_is_searched_shown_extended_reported_and_exported(tmp_path):
    study = search(
        tmp_path / "digits.db",
        **QUICK,
        space={"file": str(EXAMPLE)},
        search={"budget": 2, "population": 2, "strategy": "random"},
    )
    assert study.summary()["evaluated"] == 2
    (point,) = study.front()
    assert point["genome"].startswith("tiny:")
    assert 0 <= point["accuracy_int8_test"] <= 1
    study.resume(budget=3)
    assert study.summary()["evaluated"] == 3
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
            search={"budget": 2, "population": 2},
            limits={"flash": "700 B"},
        )
