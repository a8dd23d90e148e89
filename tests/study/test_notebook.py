"""What a notebook shows of a study and of a candidate: small, without a script, and every text escaped."""

import re
from dataclasses import replace

import pytest
from like_a_search import FACTS, HOSTILE, LAYERS, NETWORK, trials_like_a_search, write_study

from tinynas.api import Candidate, Study
from tinynas.study.notebook import Scale
from tinynas.study.store import Store
from tinynas.study.summary import front


@pytest.fixture
def make(tmp_path):
    def write(trials, facts=FACTS):
        return Study(write_study(tmp_path / "study.db", trials, facts, finalists=2))

    return write


def test_a_study_is_shown_as_its_front_in_a_table_and_a_picture(make):
    study = make(trials_like_a_search(50))
    page = study._repr_html_()
    with Store.open_to_read(study.path) as store:
        points = front(store)
    for point in points:
        assert f"<tr><th>{point.trial.number}</th><td><b>{100 * point.accuracy_int8_test:.1f} %</b></td>" in page
    complete = sum(trial.state == "complete" for trial in trials_like_a_search(50))
    assert page.count("<circle") == complete
    assert "50 candidates judged" in page
    assert len(page) < 20_000


def test_a_candidate_is_shown_as_its_network_and_costs(make):
    study = make(trials_like_a_search(10))
    number = study.front()[0]["trial"]
    page = study.candidate(number)._repr_html_()
    assert page.count('<g class="box') == len(NETWORK)
    assert '<span class="soft">emulated</span>' in page
    assert study.candidate(number).describe()["finalist"]["accuracy_int8_test"] is not None
    refused = next(trial for trial in trials_like_a_search(10) if trial.reason)
    assert refused.reason in study.candidate(refused.number)._repr_html_()


@pytest.mark.parametrize("count", [0, 1])
def test_a_study_that_has_hardly_begun_is_shown(make, count):
    complete = [trial for trial in trials_like_a_search(9) if trial.state == "complete"][:count]
    page = make(complete, {**FACTS, "finished": False})._repr_html_()
    assert f"{count} candidates judged" in page
    assert page.count("<circle") == count


def test_a_study_where_all_were_refused_is_shown(make):
    page = make([trial for trial in trials_like_a_search(40) if trial.state != "complete"])._repr_html_()
    assert "<circle" not in page
    assert "0 trained" in page


def test_texts_of_a_study_never_become_markup_and_a_wide_one_stays_small(make):
    complete = next(trial for trial in trials_like_a_search(20) if trial.state == "complete")
    network = ({**NETWORK[0], "op": HOSTILE, "name": HOSTILE}, {**NETWORK[1], "activation": HOSTILE})
    hostile = {"genome": HOSTILE, "stage": HOSTILE, "reason": HOSTILE, "network": network, "layers": LAYERS}
    facts = {**FACTS, "board": HOSTILE, "task": {**FACTS["task"], "name": HOSTILE}, "space": {"name": HOSTILE}}
    study = make([replace(complete, **hostile, seconds={HOSTILE: 1.0})], facts)
    for page in (study._repr_html_(), study.candidate(complete.number)._repr_html_()):
        assert "owned" in page
        assert not re.search("<img|<script", page)


def test_what_cannot_be_shown_says_why(make, tmp_path):
    assert "does not exist" in Study(tmp_path / "<b>.db")._repr_html_()
    assert "<b>" not in Study(tmp_path / "<b>.db")._repr_html_()
    assert "no trial 77" in make(trials_like_a_search(3)).candidate(77)._repr_html_()
    damaged = replace(next(iter(trials_like_a_search(1))), number=8, genome="image:8", state="complete", cost=None)
    with Store.open_to_write(tmp_path / "study.db") as store:
        store.add_trial(damaged, {})
        store.set_fact("finished", False)
    for each in (Study(tmp_path / "study.db"), Candidate(tmp_path / "study.db", 0)):
        assert "is damaged" in each._repr_html_()


def test_a_scale_is_logarithmic_where_figures_span_much():
    assert Scale(least=1.0, most=100.0, start=0.0, end=10.0).place(10.0) == pytest.approx(5.0)
    assert Scale(least=0.0, most=100.0, start=0.0, end=10.0).place(10.0) == pytest.approx(1.0)
    assert Scale(least=7.0, most=7.0, start=0.0, end=10.0).place(7.0) == 5.0
