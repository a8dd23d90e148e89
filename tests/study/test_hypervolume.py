"""The hypervolume: against cases drawn by hand, and against counting random points."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynas.cost import Cost
from tinynas.study.hypervolume import hypervolume, progress
from tinynas.study.store import Trial


@pytest.mark.parametrize(
    ("points", "reference", "volume"),
    [
        ([], (1.0, 1.0), 0.0),
        ([(0.25,)], (1.0,), 0.75),
        ([(0.0, 0.0)], (2.0, 3.0), 6.0),
        ([(1.0, 2.0), (2.0, 1.0)], (3.0, 3.0), 3.0),
        ([(1.0, 2.0), (2.0, 1.0), (2.5, 2.5), (3.0, 0.0)], (3.0, 3.0), 3.0),
        ([(0.0, 0.0, 1.0), (1.0, 1.0, 0.0)], (2.0, 2.0, 2.0), 5.0),
    ],
)
def test_hand_drawn_cases(points, reference, volume):
    assert hypervolume(points, reference) == pytest.approx(volume)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=8))
def test_it_counts_the_cells_that_some_point_dominates(points):
    cells = [(x, y, z) for x in range(4) for y in range(4) for z in range(4)]
    dominated = sum(any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points) for cell in cells)
    assert hypervolume([tuple(map(float, point)) for point in points], (4.0, 4.0, 4.0)) == pytest.approx(dominated)


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
