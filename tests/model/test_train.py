"""Training that stops, and training that goes on where it was cut off."""

import numpy as np
import pytest


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def start(tensorflow, digits, architecture):
    """A function that trains a new network for up to six epochs and returns its weights with the record."""
    from tinynas.model.build import build
    from tinynas.model.train import train

    def run(**more):
        model = build(architecture, seed=1)
        record = train(model, digits, epochs=6, samples=320, patience=6, seed=2, save_every_s=0, **more)
        return model.get_weights(), record

    return run


@pytest.fixture(scope="module")
def whole(start):
    """Weights and record of the training that nothing disturbs."""
    return start()


@pytest.fixture
def kill_after(monkeypatch):
    """A function of the number of states after whose saving the training is killed."""
    from tinynas.model import train

    real = train._save

    def arrange(count):
        left = [count]

        def save(*arguments):
            real(*arguments)
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        monkeypatch.setattr(train, "_save", save)

    return arrange


def test_a_training_that_is_killed_goes_on_to_the_same_bits(start, whole, kill_after, tmp_path):
    weights, record = whole
    state = tmp_path / "states" / "a.npz"
    kill_after(2)
    with pytest.raises(Killed):
        start(state=state)
    assert state.is_file()
    kill_after(3)
    with pytest.raises(Killed):
        start(state=state)
    kill_after(99)
    again, resumed = start(state=state)
    assert [(epoch.loss, epoch.val_accuracy) for epoch in resumed.history] == [
        (epoch.loss, epoch.val_accuracy) for epoch in record.history
    ]
    assert (resumed.best_epoch, resumed.val_accuracy_float) == (record.best_epoch, record.val_accuracy_float)
    assert all(np.array_equal(one, other) for one, other in zip(weights, again, strict=True))
    assert list(state.parent.iterdir()) == []


def test_a_damaged_state_is_said_and_the_training_starts_anew(start, whole, kill_after, tmp_path, caplog):
    weights, _ = whole
    state = tmp_path / "a.npz"
    kill_after(2)
    with pytest.raises(Killed):
        start(state=state)
    state.write_bytes(state.read_bytes()[:-200])
    kill_after(99)
    again, record = start(state=state)
    assert "is damaged" in caplog.text
    assert record.epochs_run == 6
    assert all(np.array_equal(one, other) for one, other in zip(weights, again, strict=True))


def test_a_state_of_another_network_is_no_state_of_this_one(start, whole, tmp_path, caplog):
    weights, _ = whole
    np.savez(tmp_path / "a.npz", history=np.zeros((1, 3)), best_epoch=1, weights_0=np.zeros(3))
    again, _ = start(state=tmp_path / "a.npz")
    assert "is damaged" in caplog.text
    assert all(np.array_equal(one, other) for one, other in zip(weights, again, strict=True))


def test_a_training_stops_where_it_has_not_come_far_enough(start, whole):
    _, undisturbed = whole
    reached = max(epoch.val_accuracy for epoch in undisturbed.history[:3])
    _, on = start(needs={3: reached})
    assert (on.epochs_run, on.stopped) == (6, False)
    _, off = start(needs={1: 0.0, 3: reached + 1e-6})
    assert (off.epochs_run, off.stopped) == (3, True)
    assert off.history[2].loss == undisturbed.history[2].loss
