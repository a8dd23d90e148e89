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


def test_a_training_on_changed_samples_goes_on_to_the_same_bits_and_to_others_than_without(
    start, whole, kill_after, tmp_path
):
    from tinynas.model.augment import Augmentation

    augmentation = Augmentation(flip=True, rows=1, columns=1)
    undisturbed, _ = start(augmentation=augmentation)
    kill_after(2)
    with pytest.raises(Killed):
        start(augmentation=augmentation, state=tmp_path / "a.npz")
    resumed, _ = start(augmentation=augmentation, state=tmp_path / "a.npz")
    assert all((one == other).all() for one, other in zip(undisturbed, resumed, strict=True))
    assert any((one != other).any() for one, other in zip(undisturbed, whole[0], strict=True))


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


@pytest.fixture(scope="module")
def taught(tensorflow, digits, architecture):
    """A function that trains a new network with a teacher on all digits and returns its record."""
    from tinynas.model.build import build
    from tinynas.model.train import train

    def run(teacher, **more):
        return train(build(architecture, seed=1), digits, seed=2, learning_rate=1e-2, teacher_logits=teacher, **more)

    return run


def test_a_student_follows_its_teacher_as_far_as_the_weight_says(taught, digits):
    sure_of_the_next_class = 10 * np.eye(10, dtype=np.float32)[(digits.train.y + 1) % 10]
    deaf, obedient = (taught(sure_of_the_next_class, epochs=6, teacher_weight=weight) for weight in (0.0, 1.0))
    assert deaf.history[-1].val_accuracy > 0.5
    assert obedient.history[-1].val_accuracy < 0.1


def test_the_loss_with_a_teacher_is_hintons(taught, digits, architecture):
    from scipy.special import log_softmax, softmax

    from tinynas.model.build import build

    n, temperature, weight = len(digits.train.y), 3.0, 0.3
    teacher = np.random.default_rng(1).normal(size=(n, 10)).astype(np.float32)
    logits = build(architecture, seed=1)(digits.train.x, training=True).numpy()
    labels = -log_softmax(logits, axis=1)[np.arange(n), digits.train.y].mean()
    soft = -(softmax(teacher / temperature, axis=1) * log_softmax(logits / temperature, axis=1)).sum(axis=1).mean()
    record = taught(teacher, epochs=1, batch_size=n, temperature=temperature, teacher_weight=weight)
    assert record.history[0].loss == pytest.approx((1 - weight) * labels + weight * temperature**2 * soft, rel=1e-4)


def test_logits_of_other_samples_are_no_teacher(start, digits):
    with pytest.raises(ValueError, match=r"shape \(7, 10\), .* \(\d+, 10\)"):
        start(teacher_logits=np.zeros((7, 10), np.float32))
