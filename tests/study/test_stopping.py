"""When a training is not worth going on with, decided on trials that are made up."""

from dataclasses import replace

import pytest

from tinynas.config import SearchSection, StopSection
from tinynas.cost import Cost
from tinynas.study.stopping import least_accuracies, rungs
from tinynas.study.store import Trial

SEARCH = SearchSection(objectives=("error", "latency_us"))
HALVING = StopSection(rule="halving", first_epochs=1, reduction=2)
CURVE = StopSection(rule="curve", first_epochs=1)


def trial(number, latency_us, *curve, **changes):
    known = {"state": "complete", "cost": Cost(latency_us=latency_us), "curve": curve, **changes}
    return Trial(number=number, genome=f"mlp:{number}", **known)


def least(stop, latency_us, earlier, search=SEARCH, epochs=4):
    return least_accuracies(stop, search, epochs, Cost(latency_us=latency_us), earlier)


ALIKE = [trial(number, 100.0, accuracy, 0.9, 0.9, 0.9) for number, accuracy in enumerate((0.2, 0.4, 0.6, 0.8))]


def test_rungs_grow_by_the_reduction_and_end_before_the_training_does():
    assert rungs(StopSection(first_epochs=1, reduction=3), 27) == [1, 3, 9]
    assert rungs(StopSection(first_epochs=2, reduction=2), 9) == [2, 4, 8]
    assert rungs(StopSection(first_epochs=4), 4) == []


def test_of_candidates_that_cost_the_same_the_better_half_goes_on():
    # With the candidate they are five, of which two go on: with 0.6 it would be second.
    assert least(HALVING, 100.0, ALIKE)[1] == pytest.approx(0.6, abs=1e-9)


def test_what_nobody_dominates_goes_on_however_inaccurate_it_is():
    assert least(HALVING, 99.0, ALIKE) == {}
    assert least(HALVING, 101.0, ALIKE)[1] > 0.5


def test_one_that_is_slower_than_all_must_be_more_accurate_than_the_front_it_would_follow():
    front = [trial(number, 10.0 * (number + 1), 0.2 + 0.2 * number) for number in range(4)]
    assert least(HALVING, 35.0, front)[1] == pytest.approx(0.6)


def test_only_those_that_came_as_far_are_compared():
    stopped = [trial(9, 50.0, 0.99, reason="stopped after 1 epochs")]
    assert 2 not in least(HALVING, 100.0, stopped + ALIKE[:1])
    ended_by_patience = [trial(9, 50.0, 0.99)]
    assert least(HALVING, 100.0, ended_by_patience + ALIKE[:1])[2] > 0.9


def test_nothing_stops_without_a_rule_or_trials_or_where_errors_do_not_count():
    assert least(StopSection(), 100.0, ALIKE) == {}
    assert least(HALVING, 100.0, []) == {}
    assert least(HALVING, 100.0, [trial(1, 50.0, state="failed", reason="it crashed")]) == {}
    assert least(HALVING, 100.0, ALIKE, SearchSection(objectives=("latency_us",))) == {}


def test_a_curve_needs_what_the_gains_of_earlier_ones_could_make_good():
    # Every trial ends with half of the error that it has after its first epoch.
    earlier = [trial(number, 100.0, 0.2 + 0.05 * number, 0.6 + 0.025 * number) for number in range(8)]
    goal = 0.6 + 0.025 * 7
    needed = least(CURVE, 100.0, earlier, epochs=2)
    assert needed == {1: pytest.approx(1 - 2 * (1 - goal))}
    assert least(CURVE, 99.0, earlier, epochs=2) == {}
    assert least(CURVE, 100.0, earlier[:7], epochs=2) == {}
    cut_off = [replace(each, reason="stopped after 2 epochs") for each in earlier]
    assert least(CURVE, 100.0, cut_off, epochs=2) == {}
