"""Which samples train, validate and test. Pure functions of labels, groups, contents and a seed.

Splits are numbered in the order TRAIN, VAL, TEST everywhere.
"""

import hashlib

import numpy as np

from tinynas.errors import ConfigError

TRAIN, VAL, TEST = 0, 1, 2
NAMES = ("train", "validation", "test")


def content_ids(x: np.ndarray) -> np.ndarray:
    """A number per sample, int64 (n,), equal for two samples exactly when their bytes are equal."""
    rows = np.ascontiguousarray(x).reshape(len(x), -1).view(np.uint8)
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(hashlib.blake2b(row.data, digest_size=16).digest(), len(seen)) for row in rows])


def stratified_split(
    y: np.ndarray, contents: np.ndarray, val_fraction: float, test_fraction: float, seed: int
) -> np.ndarray:
    """Split each class by the fractions at random; samples of equal content stay together.

    Returns the split of each sample, int8 (n,). Every class gets at least one distinct sample in each split whose
    fraction is positive.

    Raises:
        ConfigError: a class has too few distinct samples for that.
    """
    rng = np.random.default_rng(seed)
    distinct, first = np.unique(contents, return_index=True)
    split_of_distinct = np.zeros(len(distinct), np.int8)
    parts = 1 + (val_fraction > 0) + (test_fraction > 0)
    for label in np.unique(y):
        members = np.flatnonzero(y[first] == label)
        if len(members) < parts:
            raise ConfigError(
                f"class {label} has {len(members)} distinct samples, {parts} splits need at least {parts}: add samples"
            )
        members = rng.permutation(members)
        val = max(1, round(val_fraction * len(members))) if val_fraction > 0 else 0
        test = max(1, round(test_fraction * len(members))) if test_fraction > 0 else 0
        val, test = _leave_one(len(members), val, test)
        split_of_distinct[members[:test]] = TEST
        split_of_distinct[members[test : test + val]] = VAL
    return split_of_distinct[np.searchsorted(distinct, contents)]


def _leave_one(count: int, val: int, test: int) -> tuple[int, int]:
    while val + test >= count:
        val, test = (val - 1, test) if val >= test else (val, test - 1)
    return val, test


def grouped_split(
    y: np.ndarray, groups: np.ndarray, val_fraction: float, test_fraction: float, seed: int
) -> np.ndarray:
    """Deal whole groups (speakers, subjects) to the splits so that each split's classes come near its share.

    Groups go one by one, large ones first and equals in random order, to the split where the squared distance from
    the wanted class counts grows least. Returns the split of each sample, int8 (n,).

    Raises:
        ConfigError: there are fewer groups than splits.
        ConfigError: a class is missing from a split.
    """
    fractions = np.array([1 - val_fraction - test_fraction, val_fraction, test_fraction])
    wanted_splits = np.flatnonzero(fractions > 0)
    names, group_of = np.unique(groups, return_inverse=True)
    if len(names) < len(wanted_splits):
        raise ConfigError(
            f"{len(names)} groups ({', '.join(map(str, names))}) cannot fill {len(wanted_splits)} disjoint splits"
        )
    labels, label_of = np.unique(y, return_inverse=True)
    counts = np.zeros((len(names), len(labels)))
    np.add.at(counts, (group_of, label_of), 1)

    wanted = fractions[:, None] * counts.sum(axis=0)
    # Relative to the wanted count, so that a rare class and a small split weigh as much as a frequent and a large one.
    weight = 1 / np.maximum(wanted, 1)
    have = np.zeros_like(wanted)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    split_of = np.zeros(len(names), np.int8)
    for group in order:
        growth = (((have + counts[group] - wanted) ** 2 - (have - wanted) ** 2) * weight).sum(axis=1)
        split = wanted_splits[np.argmin(growth[wanted_splits])]
        split_of[group] = split
        have[split] += counts[group]
    for split in wanted_splits:
        for label in np.flatnonzero(have[split] == 0):
            raise ConfigError(
                f"class {labels[label]} comes from {np.count_nonzero(counts[:, label])} of {len(names)} groups and is "
                f"missing from the {NAMES[split]} split: add groups, or change the fractions or the seed"
            )
    return split_of[group_of]


def straddlers(contents: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Which samples to drop, bool (n,), because a sample of equal content is in a later split.

    The test split keeps all of its samples, the validation split gives way to it, the training split to both.
    """
    last = np.full(int(contents.max()) + 1, TRAIN, np.int8)
    np.maximum.at(last, contents, split)
    drop: np.ndarray = split < last[contents]
    return drop


def stratified_subset(y: np.ndarray, count: int | None, seed: int) -> np.ndarray:
    """Ascending indices of `count` of the samples labelled `y` (n,), each class in proportion; None takes all."""
    if count is None or count >= len(y):
        return np.arange(len(y))
    order = np.random.default_rng(seed).permutation(len(y))
    by_class = order[np.argsort(y[order], kind="stable")]
    # Evenly spaced places in the samples sorted by class: each class gets its share to within one sample.
    return np.sort(by_class[(np.arange(count) * len(y)) // count])
