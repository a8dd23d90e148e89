"""Which trained network a candidate begins with, and which one teaches."""

from types import SimpleNamespace

import pytest

from tinynas.config import load_config
from tinynas.space.genome import Genome
from tinynas.space.registry import load_space
from tinynas.study.evaluate import FINAL_WEIGHTS, WEIGHTS
from tinynas.study.origin import leader, nearest, origin_of, teacher_of
from tinynas.study.store import Store, Trial


def trial(number, key, accuracy=0.5, state="complete"):
    return Trial(number=number, genome=f"mlp:{key}", state=state, accuracy_int8_val=accuracy)


TRIALS = [
    trial(0, "3-8-8-8"),
    trial(1, "2-16-32-8", 0.6),
    trial(2, "2-16-24-8", 0.7),
    trial(3, "2-16-48-8", None, state="infeasible"),
]
GENOME = Genome.parse("mlp:2-16-48-8")


@pytest.fixture
def lab():
    """A function of whether candidates inherit."""

    def make(inherit):
        config = load_config(None, {"train": {"inherit": inherit}})
        task = SimpleNamespace(input_shape=(8, 8, 1), class_names=("a", "b"))
        return SimpleNamespace(config=config, space=load_space("mlp", None), task=task)

    return make


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "s.db", {}) as store:
        for each in TRIALS:
            store.add_trial(each, {WEIGHTS: f"of {each.number}".encode()} if each.state == "complete" else {})
        yield store


def test_the_fewest_axes_then_the_most_accurate_then_the_first():
    assert nearest(GENOME, TRIALS).number == 2
    assert nearest(GENOME, TRIALS[:2]).number == 1
    assert nearest(GENOME, [trial(4, "2-16-8-8"), *TRIALS[:1], trial(5, "2-16-24-8")]).number == 4
    assert nearest(GENOME, []) is None
    assert nearest(GENOME, TRIALS[3:]) is None


def test_a_candidate_begins_with_the_nearest_ones_weights(lab, store):
    origin = origin_of(store, lab(True), GENOME, TRIALS)
    assert origin.weights == b"of 2"
    assert [layer.filters for layer in origin.architecture.layers if layer.op == "dense"] == [16, 24, 2]


def test_a_candidate_begins_anew_where_nobody_inherits_or_nobody_came_before(lab, store):
    assert origin_of(store, lab(False), GENOME, TRIALS) is None
    assert origin_of(store, lab(True), GENOME, []) is None


def test_the_most_accurate_teaches_the_first_of_equal_ones():
    assert leader(TRIALS[:3]).number == 2
    assert leader([trial(7, "2-8-8-8", 0.7), *TRIALS[:3]]).number == 2


def test_a_teacher_is_what_was_trained_at_the_end_not_in_the_search(lab, store):
    assert teacher_of(store, lab(False), TRIALS[2]) is None
    store.add_trial(trial(4, "2-16-16-8"), {WEIGHTS: b"searched", FINAL_WEIGHTS: b"finished"})
    teacher = teacher_of(store, lab(False), trial(4, "2-16-16-8"))
    assert teacher.weights == b"finished"
    assert [layer.filters for layer in teacher.architecture.layers if layer.op == "dense"] == [16, 16, 2]
