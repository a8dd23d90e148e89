import json
from functools import partial

import pytest

from tinynas.boards import load_board
from tinynas.deploy import upload as upload_module
from tinynas.deploy.build import build
from tinynas.deploy.upload import upload as upload_under
from tinynas.errors import FlashError
from tinynas.lock import FileLock


@pytest.fixture
def upload(tmp_path):
    """Uploads under a lease that nobody else wants."""
    with FileLock(tmp_path / "lease") as lease:
        assert lease.acquire()
        yield partial(upload_under, lease=lease.descriptor)


@pytest.fixture
def image(board, write_network, desk):
    return build(board, write_network(constants=65536), desk)


@pytest.fixture
def station(tmp_path):
    folder = tmp_path / "bench, with a space" / "board-0"
    folder.mkdir(parents=True)
    return folder


def test_an_upload_replaces_the_file_that_the_emulated_board_boots_from(upload, image, board, station):
    flash = station / "flash.bin"
    flash.write_bytes(b"an older image")
    upload(image, board, str(flash), station)
    assert flash.read_bytes() == image.binary
    assert sorted(path.name for path in station.iterdir()) == ["flash.bin", "upload"]


def test_uploads_of_different_images_each_arrive(upload, image, board, write_network, desk, station):
    other = build(board, write_network(2), desk)
    for each in (image, other, image):
        upload(each, board, str(station / "flash.bin"), station)
        assert (station / "flash.bin").read_bytes() == each.binary


def test_a_half_finished_upload_repairs_itself(upload, image, board, station):
    upload(image, board, str(station / "flash.bin"), station)
    (station / "upload" / "firmware.bin").write_bytes(image.binary[:100])
    (station / "upload" / ".unfinished").touch()
    upload(image, board, str(station / "flash.bin"), station)
    assert (station / "flash.bin").read_bytes() == image.binary


def test_an_upload_that_fails_is_tried_three_times_and_its_last_words_are_told(
    upload, image, board, station, monkeypatch
):
    runs, pauses = [], []
    monkeypatch.setattr(upload_module.time, "sleep", pauses.append)

    def counted(*arguments, **options):
        runs.append(options["timeout_s"])
        return run(*arguments, **options)

    run = upload_module.run_platformio
    monkeypatch.setattr(upload_module, "run_platformio", counted)
    with pytest.raises(FlashError, match=r"could not be flashed in 3 attempts: (?s:.*)No such file or directory"):
        upload(image, board, str(station / "unplugged" / "flash.bin"), station)
    assert runs == [60, 60, 60]
    assert [pause for pause in pauses if pause >= 1] == [1, 4]


def test_an_upload_protocol_that_is_not_there_is_named(upload, image, board, station, tmp_path):
    described = json.loads(board.path.read_text())
    described["upload"]["protocol"] = "carrier-pigeon"
    (tmp_path / "netduinoplus2.json").write_text(json.dumps(described))
    with pytest.raises(FlashError, match="upload protocol 'carrier-pigeon' is not supported"):
        upload(image, load_board("netduinoplus2", tmp_path), str(station / "flash.bin"), station, attempts=1)
