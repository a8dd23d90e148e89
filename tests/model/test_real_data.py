"""Real audio and inertial recordings, where the folder of shared test data lies beside the checkout."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from tinynas.config import TaskSection
from tinynas.model.audio import read_audio
from tinynas.model.data import load_task

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared test data is not there")


def unpack(archive, folder, wanted, enough):
    """Unpack the first `enough` members that `wanted` picks; the rest of the archive is not even read."""
    with tarfile.open(DATA / archive) as tar:
        for member in tar:
            if member.isfile() and wanted(member.name):
                tar.extract(member, folder, filter="data")
                enough -= 1
                if enough == 0:
                    return
    raise AssertionError(f"{archive} has {enough} members too few")


def test_speech_commands_are_split_by_speaker(tmp_path):
    unpack("speech-commands-test-v0.02-8k.tar.xz", tmp_path, lambda name: "/down/" in name or "/go/" in name, 600)
    root = next(tmp_path.rglob("go")).parent
    section = TaskSection(kind="audio", path=root, sample_rate_hz=8000, group_regex="([0-9a-f]{8})_nohash_")
    task = load_task(section, 0)
    assert (task.input_shape, task.class_names) == ((49, 40, 1), ("down", "go"))
    samples = read_audio(root, section)
    scaled = (samples.x - np.float32(14)) / np.float32(14)
    owner = {row.tobytes(): speaker for row, speaker in zip(scaled, samples.groups, strict=True)}
    speakers = [{owner[row.tobytes()] for row in split.x} for split in (task.train, task.val, task.test)]
    assert sum(len(part) for part in speakers) == len(set.union(*speakers)) > 100


def test_activities_are_split_by_subject_as_the_file_names_tell_them(tmp_path):
    unpack("sp-sw-har.tar.xz", tmp_path, lambda name: name.endswith("_sp.csv"), 40)
    folder = next(tmp_path.rglob("*_sp.csv")).parents[1]
    section = TaskSection(
        kind="series", path=folder / "s*" / "*_sp.csv", group_regex=r"/(s\d\d)/", window=64, stride=32
    )
    task = load_task(section, 0)
    assert task.input_shape == (64, 6)
    assert task.class_names == ("SEATED", "SITTING_DOWN", "STANDING_UP", "TURNING", "WALKING")
    assert task.features.startswith("x_acc, y_acc, z_acc, x_gyro, y_gyro, z_gyro")
    assert np.abs(task.train.x.mean(axis=(0, 1))).max() < 1e-3
