"""Samples that are mirrored and moved, and a training that sees them so."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def batch():
    """Sixty-four samples of 6 x 5 x 2, no two values alike."""
    return np.arange(64 * 6 * 5 * 2, dtype=np.float32).reshape(64, 6, 5, 2)


def changed(batch, seed=(1, 2), **settings):
    import tensorflow as tf

    from tinynas.model.augment import Augmentation, augment

    return augment(tf.constant(batch), Augmentation(**settings), tf.constant(seed, tf.int64)).numpy()


def test_nothing_changes_unless_it_is_asked_for(tensorflow, batch):
    assert (changed(batch) == batch).all()


def test_flipping_mirrors_the_columns_of_about_every_other_sample(tensorflow, batch):
    found = changed(batch, flip=True)
    mirrored = [(after == before[:, ::-1]).all() for before, after in zip(batch, found, strict=True)]
    kept = [(after == before).all() for before, after in zip(batch, found, strict=True)]
    assert all(one != other for one, other in zip(mirrored, kept, strict=True))
    assert 16 < sum(mirrored) < 48


def test_shifting_moves_each_sample_as_a_whole_and_repeats_its_edge(tensorflow, batch):
    found, moves = changed(batch, rows=2, columns=2), set()
    padded = np.pad(batch, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    for index, sample in enumerate(found):
        places = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if (padded[index, row : row + 6, column : column + 5] == sample).all()
        ]
        assert len(places) == 1
        moves.update(places)
    assert {row for row, _ in moves} == {column for _, column in moves} == set(range(5))


def test_the_seed_says_how_samples_are_changed(tensorflow, batch):
    assert (changed(batch, flip=True, rows=1) == changed(batch, flip=True, rows=1)).all()
    assert (changed(batch, flip=True, rows=1) != changed(batch, seed=(1, 3), flip=True, rows=1)).any()


def test_samples_are_moved_in_time_alone_where_rows_are_moments(tensorflow):
    series = np.arange(8 * 20 * 3, dtype=np.float32).reshape(8, 20, 3, 1)
    found = changed(series, rows=3)
    assert (found != series).any()
    for before, after in zip(series, found, strict=True):
        assert all((moment == before).all(axis=(1, 2)).any() for moment in after)
