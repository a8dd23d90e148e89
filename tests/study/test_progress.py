"""The hypervolume over evaluations."""

import random

import pytest

from tinynas.cost import Cost
from tinynas.study.progress import progress
from tinynas.study.store import Trial


def trial(number, error, latency_us, state="complete"):
    accuracy = 1.0 - error if state == "complete" else None
    cost = Cost(latency_us=latency_us, latency_source="emulated")
    return Trial(number=number, genome=str(number), state=state, accuracy_int8_val=accuracy, cost=cost)


def test_progress_grows_with_complete_trials_only_and_never_falls():
    trials = [trial(0, 0.5, 50.0), trial(1, 0.9, 10.0, "infeasible"), trial(2, 0.6, 60.0), trial(3, 0.5, 25.0)]
    assert progress(trials, ("error", "latency_us"), {"latency_us": 100.0}) == pytest.approx([0.25, 0.25, 0.25, 0.375])


def test_progress_does_not_depend_on_the_order_of_equal_sets():
    source = random.Random(1)
    trials = [trial(number, source.random(), source.uniform(1, 100)) for number in range(30)]
    shuffled = source.sample(trials, len(trials))
    last = [progress(each, ("error", "latency_us"), {})[-1] for each in (trials, shuffled)]
    assert last[0] == pytest.approx(last[1])


def test_a_complete_trial_without_accuracy_is_an_error():
    broken = Trial(number=3, genome="g", state="complete", cost=Cost(latency_us=1.0, latency_source="emulated"))
    with pytest.raises(ValueError, match="trial 3"):
        progress([broken], ("error",), {})


def test_a_study_without_trials_has_no_progress():
    assert progress([], ("error", "latency_us"), {}) == []
