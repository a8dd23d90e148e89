"""Folders of images and of WAV files, one folder per class."""

import wave

import numpy as np
import pytest
from PIL import Image

from tinynas.config import TaskSection
from tinynas.errors import ConfigError
from tinynas.model import audio
from tinynas.model.data import load_task


def write_images(root, *, classes=("cup", "pen"), count=6, size=(10, 8), mode="RGB"):
    rng = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for index in range(count):
            shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
            Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(root / name / f"{index}.png")
    return root


def images(root, **settings):
    return TaskSection(kind="images", path=root, val_fraction=0.2, test_fraction=0.2, **settings)


def test_images_keep_their_size_or_are_resized_and_made_grey(tmp_path):
    root = write_images(tmp_path / "things")
    task = load_task(images(root), 0)
    assert task.name == "things"
    assert task.input_shape == (8, 10, 3)
    assert task.class_names == ("cup", "pen")
    assert [len(split.y) for split in (task.train, task.val, task.test)] == [8, 2, 2]
    assert load_task(images(root, image_size=6, grayscale=True), 0).input_shape == (6, 6, 1)


def test_what_is_wrong_with_a_folder_of_images_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere is no folder"):
        load_task(images(tmp_path / "nowhere"), 0)
    root = write_images(tmp_path / "things")
    (root / "mug").mkdir()
    with pytest.raises(ConfigError, match="class mug has no samples"):
        load_task(images(root), 0)
    (root / "mug").rmdir()
    Image.new("RGB", (9, 8)).save(root / "pen" / "odd.png")
    with pytest.raises(ConfigError, match=r"odd\.png has 9 x 8 pixels, .*0\.png has 10 x 8: set image_size"):
        load_task(images(root), 0)
    Image.fromarray(np.zeros((8, 10), np.uint16)).save(root / "pen" / "odd.png")
    with pytest.raises(ConfigError, match=r"odd\.png has more than 8 bit per channel"):
        load_task(images(root), 0)
    Image.new("RGB", (10, 8)).save(root / "pen" / "odd.png")
    data = (root / "pen" / "odd.png").read_bytes()
    (root / "pen" / "odd.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ConfigError, match=r"odd\.png is no image that can be read"):
        load_task(images(root), 0)
    for file in root.rglob("*.png"):
        file.unlink()
    for folder in root.iterdir():
        folder.rmdir()
    with pytest.raises(ConfigError, match="has no folders"):
        load_task(images(root), 0)


def write_wav(path, samples, *, rate=8000, channels=1, width=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(np.asarray(samples, "<i2").tobytes())


def tone(hz, *, rate=8000, seconds=0.5, amplitude=8000.0, phase=0.0):
    return np.round(amplitude * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate + phase))


def speech(root, **settings):
    settings = {"sample_rate_hz": 8000, "clip_ms": 500, "mel_bands": 20, **settings}
    return TaskSection(kind="audio", path=root, val_fraction=0.2, test_fraction=0.2, **settings)


@pytest.fixture
def tones(tmp_path):
    for index in range(12):
        for name, hz in (("high", 2000), ("low", 300)):
            write_wav(tmp_path / "tones" / name / f"s{index // 2}_{index % 2}.wav", tone(hz + 10 * index, phase=index))
    return tmp_path / "tones"


def test_the_loudest_mel_band_is_that_of_the_tone(tones):
    task = load_task(speech(tones), 0)
    assert task.input_shape == (24, 20, 1)
    loudest = task.train.x.mean(axis=1)[..., 0].argmax(axis=1)
    assert loudest[task.train.y == 0].min() > loudest[task.train.y == 1].max()
    assert task.train.x.min() >= -1 and task.train.x.max() < 1


def test_log_mel_is_the_documented_formula():
    rng = np.random.default_rng(1)
    clip = rng.integers(-3000, 3000, 400).astype(np.int16)
    filters = audio.mel_filters(8000, 256, 12)
    got = audio.log_mel(clip, 200, 100, filters)
    assert got.shape == (3, 12)
    n, length = np.arange(200), 256
    window = np.round(32767 * (0.5 - 0.5 * np.cos(2 * np.pi * n / 200))) / 32768
    for frame in range(3):
        s = clip[100 * frame : 100 * frame + 200] * window
        for band in range(12):
            energy = 0.0
            for k in range(length // 2 + 1):
                energy += filters[band, k] * abs((s * np.exp(-2j * np.pi * k * n / length)).sum() / length) ** 2
            assert got[frame, band] == pytest.approx(np.log2(1 + energy), rel=1e-5)


def test_silence_is_minus_one_and_a_full_scale_tone_stays_below_one():
    filters = audio.mel_filters(16000, 512, 40)
    assert (audio.log_mel(np.zeros(512, np.int16), 512, 320, filters) == 0).all()
    loud = tone(1000, rate=16000, amplitude=32767).astype(np.int16)
    assert audio.log_mel(loud, 512, 320, filters).max() < 28
    assert (filters * 256 == np.round(filters * 256)).all()


def test_a_higher_rate_is_resampled_and_short_clips_are_padded(tmp_path):
    write_wav(tmp_path / "a.wav", tone(440, rate=16000, seconds=0.25), rate=16000)
    clip = audio.read_clip(tmp_path / "a.wav", 8000, 4000)
    assert np.abs(clip[100:1900] - tone(440, seconds=0.25)[100:1900]).max() < 80
    assert (clip[2000:] == 0).all()


def test_a_long_clip_is_cut_at_its_end(tmp_path):
    write_wav(tmp_path / "a.wav", np.arange(5000))
    assert audio.read_clip(tmp_path / "a.wav", 8000, 4000).tolist() == list(range(4000))


def test_a_speaker_is_in_one_split_and_nameless_files_are_alone(tones):
    write_wav(tones / "low" / "noise.wav", tone(120))
    samples = audio.read_audio(tones, speech(tones, group_regex=r"^(s\d+)_"))
    assert sorted(set(samples.groups)) == ["/noise.wav", "s0", "s1", "s2", "s3", "s4", "s5"]
    task = load_task(speech(tones, group_regex=r"^(s\d+)_"), 0)
    scaled = (samples.x - np.float32(14)) / np.float32(14)
    owner = {row.tobytes(): group for row, group in zip(scaled, samples.groups, strict=True)}
    owners = [{owner[row.tobytes()] for row in split.x} for split in (task.train, task.val, task.test)]
    assert sum(len(part) for part in owners) == len(set.union(*owners)) == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 2}, r"bad\.wav has 2 channels, 1 is expected"),
        ({"width": 4}, r"bad\.wav has samples of 32 bit, 16 bit are expected"),
        ({"rate": 4000}, r"bad\.wav has 4,000 samples per second, .*set sample_rate_hz = 4000"),
    ],
)
def test_wav_files_of_another_form_are_refused_by_name(tones, settings, message):
    write_wav(tones / "low" / "bad.wav", tone(300), **settings)
    with pytest.raises(ConfigError, match=message):
        load_task(speech(tones), 0)


def test_damaged_wav_files_are_refused_by_name(tones):
    bad = tones / "low" / "bad.wav"
    write_wav(bad, tone(300))
    bad.write_bytes(bad.read_bytes()[:1000])
    with pytest.raises(ConfigError, match=r"bad\.wav is corrupt: its header says 4,000 samples, 478 are there"):
        load_task(speech(tones), 0)
    bad.write_bytes(b"RIFF, or so it says")
    with pytest.raises(ConfigError, match=r"bad\.wav is no WAV file"):
        load_task(speech(tones), 0)


def test_settings_that_do_not_fit_the_clip_are_refused(tones):
    with pytest.raises(ConfigError, match="a frame of 600 ms every 20 ms does not fit a clip of 500 ms"):
        load_task(speech(tones, frame_ms=600), 0)
    with pytest.raises(ConfigError, match="mel_bands = 120 is too many for an FFT of 256"):
        load_task(speech(tones, mel_bands=120), 0)
    with pytest.raises(ConfigError, match="is found in no file name"):
        load_task(speech(tones, group_regex="speaker"), 0)
    with pytest.raises(ConfigError, match="is no regular expression"):
        load_task(speech(tones, group_regex="("), 0)
