"""Training what networks share: that it teaches all of them, repeats, and goes on where it was cut off."""

import random

import numpy as np
import pytest

from tinynas.errors import ConfigError
from tinynas.space.genome import random_genome
from tinynas.space.narrow import narrowed
from tinynas.space.registry import load_space

# Few choices, so that seconds teach them.
CHOICES = {
    **{"reduce": (1,), "width": (75,), "stem_stride": (1,), "depth_1": (1,), "depth_2": (1,), "depth_3": (0, 1)},
    **{"depth_4": (0,), "depth_5": (0,), "head": (0,), "expansion_1": (1,), "expansion_2": (3, 4), "expansion_3": (3,)},
    **{f"kernel_{stage}": (3, 5) for stage in (1, 2, 3)},
}


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def pool(digits):
    """Distinct networks."""
    space, rng = narrowed(load_space("mobilenet"), CHOICES), random.Random(2)
    genomes = dict.fromkeys(random_genome(space, rng) for _ in range(60))
    return [space.decode(genome, digits.input_shape, 10) for genome in genomes]


@pytest.fixture(scope="module")
def start(tensorflow, digits, pool):
    """A function that trains a new supernet for three epochs and returns its tensors."""
    from tinynas.model.supernet import train_supernet

    def run(**more):
        return train_supernet(
            pool, digits, **{"epochs": 3, "samples": 320, "seed": 2, "save_every_s": 0, **more}
        ).arrays

    return run


@pytest.fixture(scope="module")
def whole(start):
    return start()


@pytest.fixture
def kill_after(monkeypatch):
    """A function of the number of states after whose saving the training is killed."""
    from tinynas.model import supernet

    real = supernet._save

    def arrange(count):
        left = [count]

        def save(*arguments):
            real(*arguments)
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        monkeypatch.setattr(supernet, "_save", save)

    return arrange


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_networks_that_were_never_trained_know_the_task(tensorflow, digits, pool):
    from tinynas.model.shared import Shared, extract
    from tinynas.model.supernet import train_supernet
    from tinynas.model.train import predictor

    unseen, seen = pool[:3], pool[3:]

    def accuracies(shared):
        models = [extract(shared, each, digits.train.x[:500]) for each in unseen]
        return [(predictor(model)(digits.val.x).argmax(axis=1) == digits.val.y).mean() for model in models]

    assert max(accuracies(Shared(seed=1))) < 0.4
    assert min(accuracies(train_supernet(seen, digits, epochs=3, batch_size=32, seed=1))) > 0.6


def test_a_training_that_is_killed_goes_on_to_the_same_bits(start, whole, kill_after, tmp_path):
    state = tmp_path / "states" / "a.npz"
    for _ in range(2):
        kill_after(1)
        with pytest.raises(Killed):
            start(state=state)
    kill_after(99)
    assert equal(start(state=state), whole)
    assert list(state.parent.iterdir()) == []


def test_a_damaged_state_is_said_and_the_training_starts_anew(start, whole, tmp_path, caplog):
    state = tmp_path / "a.npz"
    state.write_bytes(b"PK\x03\x04 no zip")
    assert equal(start(state=state), whole)
    assert "is damaged" in caplog.text


def test_a_training_that_diverges_says_what_to_change(start):
    with pytest.raises(ConfigError, match=r"lower \[train\] learning_rate"):
        start(learning_rate=1e30)


def test_overlapping_gradients_are_added_and_followed_as_keras_adam_does(tensorflow):
    import tensorflow as tf
    import tf_keras as keras

    from tinynas.model.shared import Part, Shared
    from tinynas.model.supernet import Adam

    shared, adam, rng = Shared(seed=0), Adam(), np.random.default_rng(0)
    large, small = (Part(name="k", shape=shape, centred=1, deviation=1.0) for shape in ((5, 4), (3, 2)))
    variable = tf.Variable(shared.part(large))
    reference = keras.optimizers.legacy.Adam(0.01)
    for _ in range(3):
        wide, narrow = (rng.normal(size=part.shape).astype(np.float32) for part in (large, small))
        adam.step(shared, [(small, narrow), (large, wide)], 0.01)
        small.inside(wide)[...] += narrow
        reference.apply_gradients([(tf.constant(wide), variable)])
    np.testing.assert_allclose(shared.part(large), variable.numpy(), rtol=1e-5, atol=1e-6)
    before = shared.part(large).copy()
    adam.step(shared, [(small, np.ones(small.shape, np.float32))], 0.01)
    changed = shared.part(large) != before
    assert changed.sum() == small.inside(changed).sum() == 6


def test_what_is_first_used_late_moves_no_further_than_at_the_first_step(tensorflow):
    from tinynas.model.shared import Part, Shared
    from tinynas.model.supernet import Adam

    shared, adam = Shared(seed=0), Adam()
    often, late = (Part(name=name, shape=(2,)) for name in ("often", "late"))
    for _ in range(20):
        adam.step(shared, [(often, np.ones(2, np.float32))], 0.01)
    adam.step(shared, [(late, np.array([4.0, -0.1], np.float32))], 0.01)
    np.testing.assert_allclose(shared.part(late), [-0.01, 0.01], rtol=1e-4)
