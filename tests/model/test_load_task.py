"""load_task: the builtin tasks, .npz files and what they may not hold."""

import gzip
import struct

import numpy as np
import pytest

from tinynas.config import TaskSection
from tinynas.errors import ConfigError
from tinynas.model import builtin
from tinynas.model.data import load_task, task_names


def write_npz(path, **arrays):
    np.savez(path, **arrays)
    return TaskSection(kind="npz", path=path, name="mine")


def distinct_samples(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def rows(split):
    return {row.tobytes() for row in split.x}


def test_digits_is_split_into_disjoint_parts_that_hold_all_of_it():
    task = load_task(TaskSection(name="digits"), 0)
    assert task.input_shape == (8, 8, 1)
    assert task.train.x.dtype == np.float32
    assert task.train.x.min() == -1 and task.train.x.max() == 1
    assert len(task.train.y) + len(task.val.y) + len(task.test.y) + task.dropped == 1797
    assert not rows(task.train) & rows(task.val) and not (rows(task.train) | rows(task.val)) & rows(task.test)


def test_the_same_seed_gives_the_same_task_and_another_seed_another_split():
    first, again, other = (load_task(TaskSection(name="digits"), seed) for seed in (0, 0, 1))
    assert first.digest == again.digest
    assert (first.val.x == again.val.x).all()
    assert first.digest != other.digest


def test_every_builtin_task_is_described_and_an_unknown_one_meets_its_nearest_name():
    assert set(task_names()) == {"fashion_mnist", "digits"}
    with pytest.raises(ConfigError, match=r"task 'digit' is not known: .*digits"):
        load_task(TaskSection(name="digit"), 0)


def test_uint8_arrays_count_as_images_and_get_a_channel(tmp_path):
    task = load_task(write_npz(tmp_path / "a.npz", x=distinct_samples(60, 5, 4), y=np.arange(60) % 3), 0)
    assert task.input_shape == (5, 4, 1)
    assert task.offset == task.scale == (127.5,)
    assert task.class_names == ("0", "1", "2")


def test_other_arrays_are_standardised_with_the_training_split_alone(tmp_path):
    x = np.random.default_rng(0).normal([5, -3], [2, 0.1], (300, 7, 2))
    task = load_task(write_npz(tmp_path / "a.npz", x=x, y=np.arange(300) % 3), 0)
    assert np.abs(task.train.x.mean(axis=(0, 1))).max() < 1e-5
    assert np.abs(task.train.x.std(axis=(0, 1)) - 1).max() < 1e-5
    assert np.abs(task.val.x.mean(axis=(0, 1))).max() > 1e-5
    raw = task.val.x * np.array(task.scale) + np.array(task.offset)
    assert {round(float(value), 4) for value in raw[:, 0, 0]} <= {round(float(value), 4) for value in x[:, 0, 0]}


def test_names_serve_as_labels(tmp_path):
    names = np.array(["dog", "cat"])[np.arange(40) % 2]
    task = load_task(write_npz(tmp_path / "a.npz", x=distinct_samples(40, 4), y=names), 0)
    assert task.class_names == ("cat", "dog")
    assert task.train.y.dtype == np.int64


def test_groups_of_an_npz_stay_together(tmp_path):
    x, groups = distinct_samples(120, 6), np.repeat(np.arange(12), 10)
    task = load_task(write_npz(tmp_path / "a.npz", x=x, y=np.arange(120) % 2, groups=groups), 0)
    owner = {row.tobytes(): group for row, group in zip((x / 127.5 - 1).astype(np.float32), groups, strict=True)}
    owners = [{owner[row] for row in rows(split)} for split in (task.train, task.val, task.test)]
    assert sum(len(part) for part in owners) == len(set.union(*owners)) == 12


def test_copies_of_a_sample_end_up_in_one_split(tmp_path):
    x = np.repeat(distinct_samples(60, 4), 3, axis=0)
    task = load_task(write_npz(tmp_path / "a.npz", x=x, y=np.repeat(np.arange(60) % 2, 3)), 0)
    parts = [rows(split) for split in (task.train, task.val, task.test)]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == 60
    assert len(task.train.y) + len(task.val.y) + len(task.test.y) == 180


def test_copies_that_groups_would_part_are_dropped_from_the_earlier_split(tmp_path):
    x, groups = distinct_samples(120, 6), np.repeat(np.arange(12), 10)
    x[::10] = x[0]
    task = load_task(write_npz(tmp_path / "a.npz", x=x, y=np.arange(120) % 2, groups=groups), 0)
    parts = [rows(split) for split in (task.train, task.val, task.test)]
    assert sum(len(part) for part in parts) == len(set.union(*parts))
    assert task.dropped > 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": distinct_samples(9, 4)}, "has no array 'y', only x"),
        ({"x": distinct_samples(9, 4), "y": np.zeros(8, int)}, "9 samples and 8 labels"),
        ({"x": distinct_samples(9, 4), "y": np.zeros(9)}, "y holds float64; integers from 0"),
        ({"x": distinct_samples(9, 4), "y": np.arange(9) % 3 - 1}, r"label -1 of sample 0 is out of range 0\.\.1"),
        ({"x": distinct_samples(9, 4), "y": 2 * (np.arange(9) % 3)}, "no samples of class 1, 3"),
        ({"x": distinct_samples(9, 4), "y": np.arange(9) * 1000}, "the label 8,000 for 9 samples"),
        ({"x": distinct_samples(9, 4), "y": np.zeros(9, int)}, "1 class; a classifier needs at least 2"),
        ({"x": distinct_samples(9, 4), "y": np.zeros((9, 2), int)}, r"y has shape \(9, 2\)"),
        ({"x": distinct_samples(0, 4), "y": np.zeros(0, int)}, "there are no samples"),
        ({"x": np.array(["a", "b"]), "y": np.arange(2)}, "numbers of shape"),
        (
            {"x": np.full((9, 2), np.nan), "y": np.arange(9) % 2},
            "9 samples hold NaN or infinity, the first is sample 0",
        ),
        ({"x": distinct_samples(4, 4), "y": np.arange(4) % 2}, "class 0 has 2 distinct samples, 3 splits need"),
        ({"x": distinct_samples(9, 4), "y": np.arange(9) % 3, "class_names": ["a", "b"]}, "label 2 of sample 2"),
        ({"x": distinct_samples(9, 4), "y": np.arange(9) % 2, "groups": np.arange(9) // 5}, "2 groups"),
    ],
)
def test_arrays_that_cannot_be_trained_on_are_refused(tmp_path, arrays, message):
    if "class_names" in arrays and message.startswith("label 2"):
        arrays = {**arrays, "y": np.append(arrays["y"][:-1], 2)}
    with pytest.raises(ConfigError, match=message):
        load_task(write_npz(tmp_path / "a.npz", **arrays), 0)


def test_files_that_are_no_npz_are_refused_by_name(tmp_path):
    section = TaskSection(kind="npz", path=tmp_path / "a.npz")
    with pytest.raises(ConfigError, match=r"a\.npz is missing"):
        load_task(section, 0)
    section.path.write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(ConfigError, match=r"a\.npz cannot be read as \.npz"):
        load_task(section, 0)
    np.savez(section.path, x=np.array([{}], dtype=object), y=np.zeros(1, int))
    with pytest.raises(ConfigError, match="cannot be read as"):
        load_task(section, 0)
    with section.path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ConfigError, match="is a single array"):
        load_task(section, 0)


def test_fractions_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(ConfigError, match="leave less than a tenth"):
        load_task(TaskSection(name="digits", val_fraction=0.5, test_fraction=0.4), 0)


def write_idx(path, array):
    header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def fashion_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNAS_DATA", str(tmp_path))
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    images = distinct_samples(150, 28, 28)
    labels = (np.arange(150) % 10).astype(np.uint8)
    # The first training image is also a test image.
    images[0], labels[0] = images[100], labels[100]
    for name, part in (("train", slice(0, 100)), ("t10k", slice(100, 150))):
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images[part])
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels[part])
    return folder


def test_fashion_mnist_keeps_its_official_test_split_and_drops_training_images_that_are_in_it(fashion_folder):
    task = load_task(TaskSection(), 0)
    assert task.source == str(fashion_folder)
    assert (len(task.test.y), task.dropped) == (50, 1)
    assert len(task.train.y) + len(task.val.y) == 99
    assert task.input_shape == (28, 28, 1) and task.class_names[9] == "Ankle boot"
    assert not (rows(task.train) | rows(task.val)) & rows(task.test)


def test_damaged_idx_files_are_refused_by_name(fashion_folder):
    path = fashion_folder / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"t10k-images-idx3-ubyte\.gz is corrupt"):
        load_task(TaskSection(), 0)
    path.write_bytes(gzip.compress(gzip.decompress(whole)[:-1]))
    with pytest.raises(ConfigError, match=r"is corrupt: 39,200 B expected after its header, 39,199 B are there"):
        load_task(TaskSection(), 0)
    path.write_bytes(gzip.compress(b"\0\0\x0d\x01nonsense"))
    with pytest.raises(ConfigError, match="is no IDX file"):
        load_task(TaskSection(), 0)
    path.write_bytes(b"not gzip")
    with pytest.raises(ConfigError, match="is corrupt"):
        load_task(TaskSection(), 0)
    path.unlink()
    with pytest.raises(ConfigError, match="is missing"):
        load_task(TaskSection(), 0)


def test_without_files_fashion_mnist_is_what_keras_downloads(fashion_folder, monkeypatch, tmp_path):
    cache = tmp_path / "home" / ".keras" / "datasets" / "fashion-mnist"
    cache.parent.mkdir(parents=True)
    fashion_folder.rename(cache)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(builtin, "_DEBIAN", tmp_path / "nowhere")
    task = load_task(TaskSection(), 0)
    assert task.source == "Keras download"
    assert len(task.test.y) == 50
    (cache / "t10k-labels-idx1-ubyte.gz").write_bytes(b"half a file")
    with pytest.raises(
        ConfigError, match=r"its download failed .*: install Debian's package dataset-fashion-mnist, or"
    ):
        load_task(TaskSection(), 0)


@pytest.mark.skipif(not builtin._DEBIAN.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_debians_fashion_mnist_is_whole(monkeypatch):
    monkeypatch.delenv("TINYNAS_DATA", raising=False)
    samples = builtin.read_fashion_mnist()
    assert samples.x.shape == (70000, 28, 28, 1)
    assert samples.is_test is not None and samples.is_test.sum() == 10000
    assert (np.bincount(samples.y) == 7000).all()
