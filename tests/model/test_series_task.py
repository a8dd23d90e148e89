"""CSV series: windows, labels, subjects."""

from pathlib import Path

import numpy as np
import pytest

from tinynas.config import TaskSection
from tinynas.errors import ConfigError
from tinynas.model.data import load_task
from tinynas.model.series import read_series

HEADER = "time,ax,ay,label,subject\n"


def write_csv(path, *, rows=240, labels=("walk", "rest"), run=60, subjects=("s1",), seed=0):
    """`rows` rows; the label changes every `run` rows, the subject in equal parts of the file."""
    rng = np.random.default_rng(seed)
    lines = [
        f"{row * 10},{rng.normal(5, 2):.5f},{rng.normal(-1, 0.1):.5f},{labels[row // run % len(labels)]},"
        f"{subjects[row * len(subjects) // rows]}\n"
        for row in range(rows)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + "".join(lines))
    return path


def series(path, **settings):
    settings = {"window": 20, "stride": 10, "val_fraction": 0.25, "test_fraction": 0.25, **settings}
    return TaskSection(kind="series", path=path, **settings)


@pytest.fixture
def eight_subjects(tmp_path):
    subjects = tuple(f"s{index}" for index in range(8))
    return write_csv(tmp_path / "all.csv", rows=8 * 240, run=40, subjects=subjects)


def test_windows_have_the_columns_of_numbers_and_are_standardised_on_the_training_subjects(eight_subjects):
    task = load_task(series(eight_subjects, subject_column="subject"), 0)
    assert task.input_shape == (20, 2)
    assert task.class_names == ("rest", "walk")
    assert np.abs(task.train.x.mean(axis=(0, 1))).max() < 1e-4
    # Windows overlap, so that the deviation over windows is that of the rows only nearly.
    assert task.scale == pytest.approx((2, 0.1), rel=0.1)


def test_no_subject_is_in_two_splits(eight_subjects):
    section = series(eight_subjects, subject_column="subject")
    samples = read_series(eight_subjects, section)
    assert len(samples.groups) == 8 * 23
    task = load_task(section, 0)
    scaled = (samples.x - np.float32(task.offset)) / np.float32(task.scale)
    owner = {row.tobytes(): group for row, group in zip(scaled, samples.groups, strict=True)}
    owners = [{owner[row.tobytes()] for row in split.x} for split in (task.train, task.val, task.test)]
    assert [len(part) for part in owners] == [4, 2, 2]
    assert len(set.union(*owners)) == 8


def test_a_window_carries_the_label_that_most_of_its_rows_have(tmp_path):
    path = write_csv(tmp_path / "a.csv", rows=100, run=25, subjects=("a", "b", "c"))
    samples = read_series(path, series(path, subject_column="subject", stride=20))
    rows = np.array([line.split(",")[3:] for line in path.read_text().split()[1:]])
    expected = []
    for subject in "abc":
        labels = rows[rows[:, 1] == subject, 0]
        for start in range(0, len(labels) - 19, 20):
            names, counts = np.unique(labels[start : start + 20], return_counts=True)
            expected.append(names[counts.argmax()])
    assert [samples.class_names[label] for label in samples.y] == expected


def test_files_can_be_the_groups_or_tell_them_by_their_names(tmp_path):
    for index in range(6):
        write_csv(tmp_path / "data" / f"s{index // 2}" / f"run{index}.csv", seed=index)
    assert len(set(read_series(tmp_path / "data", series(tmp_path / "data")).groups)) == 6
    by_name = read_series(tmp_path / "data", series(tmp_path / "data", group_regex=r"/(s\d)/"))
    assert set(by_name.groups) == {"s0", "s1", "s2"}
    some = read_series(tmp_path / "data" / "s*" / "run[0-3].csv", series(tmp_path))
    assert len(set(some.groups)) == 4


def test_one_long_recording_is_cut_into_blocks_that_share_no_row(tmp_path):
    path = write_csv(tmp_path / "long.csv", rows=4000, run=50)
    samples = read_series(path, series(path))
    assert len(set(samples.groups)) == 10
    task = load_task(series(path), 0)
    rows_of = [
        {round(float(value), 4) for value in (split.x[..., 0] * task.scale[0] + task.offset[0]).ravel()}
        for split in (task.train, task.val, task.test)
    ]
    shared = (rows_of[0] & rows_of[1]) | (rows_of[0] & rows_of[2]) | (rows_of[1] & rows_of[2])
    # Values have five decimals, so that a few rows are equal by chance; a shared block would be hundreds.
    assert len(shared) < 0.1 * min(len(part) for part in rows_of)


def test_integer_labels_are_ordered_as_numbers(tmp_path):
    path = write_csv(tmp_path / "a.csv", rows=900, labels=("10", "9", "2"), subjects=("a", "b", "c"))
    assert read_series(path, series(path, subject_column="subject")).class_names == ("2", "9", "10")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("time,ax", "ay,ax", r"a\.csv has 2 columns 'ay'"),
        ("ax,ay,label", "ax,ay,activity", r"a\.csv has 0 columns 'label'; its columns are time, ax, ay, activity"),
        ("\n20,", "\n20,nan,", r"a\.csv, line 4: 6 values for 5 columns"),
        ("rest", "", r"a\.csv, line 62: the label is empty"),
        ("walk", "stumble,", r"a\.csv, line 2: 6 values for 5 columns"),
    ],
)
def test_csv_files_of_another_form_are_refused_with_file_and_line(tmp_path, old, new, message):
    path = write_csv(tmp_path / "a.csv")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1) if old != "rest" else text.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_task(series(path, value_columns=("ax", "ay")), 0)


@pytest.mark.parametrize("value", ["nan", "inf", "5.o", ""])
def test_a_value_that_is_no_finite_number_is_refused_with_its_line(tmp_path, value):
    path = write_csv(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    cells = lines[7].split(",")
    lines[7] = ",".join([cells[0], cells[1], value, *cells[3:]])
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=rf"a\.csv, line 8: ay is '{value}', a finite number is expected"):
        load_task(series(path), 0)


def test_too_little_of_anything_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no CSV file is there"):
        load_task(series(tmp_path), 0)
    (tmp_path / "empty.csv").write_text(HEADER)
    with pytest.raises(ConfigError, match=r"empty\.csv has no rows"):
        load_task(series(tmp_path), 0)
    (tmp_path / "empty.csv").unlink()
    path = write_csv(tmp_path / "a.csv", subjects=("s1", "s2"))
    with pytest.raises(ConfigError, match=r"2 groups \(s1, s2\) cannot fill 3 disjoint splits"):
        load_task(series(path, subject_column="subject"), 0)
    with pytest.raises(ConfigError, match="no window of 500 rows fits: the longest recording has 120"):
        load_task(series(path, subject_column="subject", window=500), 0)
    rare = write_csv(tmp_path / "rare.csv", labels=("walk",) * 9 + ("fall",), run=8, subjects=("s1", "s2", "s3"))
    with pytest.raises(ConfigError, match="label fall is the majority of none of the 21 windows of 20 rows"):
        load_task(series(rare, subject_column="subject"), 0)
    rare.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as CSV"):
        load_task(series(Path(rare)), 0)
