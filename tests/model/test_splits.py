"""Splits: disjoint by construction, in proportion, and the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinynas.errors import ConfigError
from tinynas.model import splits


@settings(max_examples=50, deadline=None)
@given(
    copies=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=30, max_size=90),
    seed=st.integers(0, 1000),
)
def test_a_stratified_split_keeps_identical_samples_together_and_gives_every_class_to_every_split(copies, seed):
    copies += [(label, 1) for label in range(3) for _ in range(3)]
    contents = np.repeat(np.arange(len(copies)), [count for _, count in copies])
    y = np.repeat([label for label, _ in copies], [count for _, count in copies])
    split = splits.stratified_split(y, contents, 0.2, 0.2, seed)
    for content in np.unique(contents):
        assert len(set(split[contents == content])) == 1
    for number in (splits.TRAIN, splits.VAL, splits.TEST):
        assert set(y[split == number]) == set(y)
    assert (split == splits.stratified_split(y, contents, 0.2, 0.2, seed)).all()


def test_the_fractions_are_met_and_the_seed_matters():
    y = np.repeat([0, 1], [1000, 200])
    split = splits.stratified_split(y, np.arange(1200), 0.15, 0.1, 7)
    assert [(np.bincount(y[split == number])).tolist() for number in range(3)] == [[750, 150], [150, 30], [100, 20]]
    assert (split != splits.stratified_split(y, np.arange(1200), 0.15, 0.1, 8)).any()


def test_a_class_of_two_samples_cannot_fill_three_splits():
    with pytest.raises(ConfigError, match="class 1 has 2 distinct samples, 3 splits need at least 3"):
        splits.stratified_split(np.repeat([0, 1], [9, 2]), np.arange(11), 0.2, 0.2, 0)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(3, 30), min_size=12, max_size=30))
def test_a_grouped_split_never_parts_a_group_and_comes_near_the_fractions(seed, sizes):
    groups = np.repeat([f"s{index}" for index in range(len(sizes))], sizes)
    y = np.arange(len(groups)) % 3
    split = splits.grouped_split(y, groups, 0.2, 0.2, seed)
    for group in set(groups):
        assert len(set(split[groups == group])) == 1
    shares = np.bincount(split, minlength=3) / len(split)
    assert np.abs(shares - [0.6, 0.2, 0.2]).max() < 0.15


def test_two_groups_cannot_fill_three_splits():
    with pytest.raises(ConfigError, match=r"2 groups \(a, b\) cannot fill 3 disjoint splits"):
        splits.grouped_split(np.array([0, 1, 0, 1]), np.array(["a", "a", "b", "b"]), 0.2, 0.2, 0)


def test_a_class_that_only_one_group_has_is_refused():
    groups = np.repeat(["a", "b", "c", "d"], 10)
    y = np.where((groups == "a") & (np.arange(40) % 2 == 0), 1, 0)
    with pytest.raises(ConfigError, match="class 1 comes from 1 of 4 groups and is missing from the"):
        splits.grouped_split(y, groups, 0.25, 0.25, 0)


def test_of_identical_samples_those_in_the_later_split_stay():
    contents = np.array([0, 0, 0, 1, 1, 2, 3, 3])
    split = np.array([splits.TRAIN, splits.VAL, splits.TEST, splits.TRAIN, splits.VAL, splits.TRAIN, 2, 2])
    assert splits.straddlers(contents, split).tolist() == [True, True, False, True, False, False, False, False]


def test_contents_are_equal_exactly_when_all_bytes_are():
    x = np.array([[1.0, 2.0], [1.0, 2.5], [1.0, 2.0], [0.0, 2.0]], np.float32)
    ids = splits.content_ids(x)
    assert ids[0] == ids[2]
    assert len(set(ids.tolist())) == 3


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(0, 10))
def test_a_subset_has_the_asked_size_and_each_class_in_proportion(count, seed):
    y = np.repeat([0, 1, 2], [100, 60, 40])
    chosen = splits.stratified_subset(y, count, seed)
    assert len(chosen) == len(set(chosen.tolist())) == count
    assert np.abs(np.bincount(y[chosen], minlength=3) - count * np.array([0.5, 0.3, 0.2])).max() <= 1


def test_a_subset_larger_than_the_samples_is_all_of_them():
    assert (
        splits.stratified_subset(np.zeros(5), 9, 0).tolist() == splits.stratified_subset(np.zeros(5), None, 0).tolist()
    )
