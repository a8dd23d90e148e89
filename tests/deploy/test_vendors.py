"""Physical boards are built and flashed by their vendors' platforms, which cannot be fetched where these tests run."""

from types import SimpleNamespace

import pytest
from platformio.project.config import ProjectConfig

from tinynas.boards import board_names, load_board
from tinynas.deploy import build as build_module
from tinynas.deploy import upload as upload_module
from tinynas.deploy.build import Image, build
from tinynas.deploy.sizes import Sizes
from tinynas.deploy.stage import held_project, settings, stage
from tinynas.deploy.upload import upload
from tinynas.errors import FlashError, ToolchainError
from tinynas.lock import FileLock

VENDORS = [name for name in board_names() if load_board(name).vendor]
SIZES = Sizes(code=1, constants=0, static=1, arena=1, image=1)


@pytest.fixture
def image() -> Image:
    return Image(
        binary=b"",
        sha256="00" * 32,
        build_id="ab" * 16,
        sizes=SIZES,
        baseline=SIZES,
        toolchain="none",
        flags="",
        firmware_hash="",
        clock_hz=1_000_000,
        sources={"network.c": b"int network;\n"},
    )


@pytest.fixture
def runs(monkeypatch):
    """What PlatformIO is asked for; it succeeds, or fails with what is put into `fails`."""
    asked = SimpleNamespace(arguments=[], fails={})

    def run(project, *arguments, timeout_s):
        asked.arguments.append(arguments)
        said = asked.fails.get("upload" if "upload" in arguments else "build")
        return SimpleNamespace(succeeded=said is None, said=said or "", tail=lambda: said)

    monkeypatch.setattr(upload_module, "run_platformio", run)
    monkeypatch.setattr(build_module, "run_platformio", run)
    monkeypatch.setattr(upload_module.time, "sleep", lambda seconds: None)
    return asked


@pytest.mark.parametrize("name", VENDORS)
def test_platformio_reads_what_a_vendors_board_needs(name, tmp_path):
    board = load_board(name)
    (tmp_path / "platformio.ini").write_text(settings(board, ("TN_PROFILE",)))
    config = ProjectConfig(str(tmp_path / "platformio.ini"))
    config.validate()
    section = f"env:{name}"
    assert config.envs() == [name]
    assert config.get(section, "platform") == board.vendor.platform
    assert config.get(section, "board") == board.vendor.board
    assert config.get(section, "framework") == ["arduino"]
    assert "-DTN_PROFILE" in " ".join(config.get(section, "build_flags"))
    # Its own manifest is the platform's: ours has the same name, and would hide it.
    assert not config.has_option("platformio", "boards_dir")


def test_the_project_holds_the_arduino_port_and_no_bare_metal(tmp_path):
    board = load_board("nucleo_f446re")
    with held_project(tmp_path) as project:
        stage(board, {"network.c": b"int network;\n"}, project)
    sources = {path.name for path in (tmp_path / "src").iterdir()}
    assert {"network.c", "main.c", "frames.c", "requests.c", "stack.c", "port_arduino.cpp", "tn_macros.h"} <= sources
    assert not {"start.c", "cortex_m.c", "port_stm32f4.c"} & sources
    assert '#define TN_BOARD_NAME "nucleo_f446re"' in (tmp_path / "src" / "tn_macros.h").read_text()


def test_the_vendors_uploader_flashes_what_its_platform_built(image, runs, tmp_path):
    with FileLock(tmp_path / "lease") as lease:
        assert lease.acquire()
        upload(image, load_board("nano33ble"), "/dev/ttyACM0", tmp_path, lease=lease.descriptor)
    assert runs.arguments == [("--silent",), ("--silent", "-t", "upload", "--upload-port", "/dev/ttyACM0")]
    assert (tmp_path / "upload" / "src" / "network.c").read_bytes() == image.sources["network.c"]


def test_an_uploader_that_fails_is_tried_again_and_its_words_are_told(image, runs, tmp_path):
    runs.fails["upload"] = "No device found on ttyACM0"
    with FileLock(tmp_path / "lease") as lease:
        assert lease.acquire()
        with pytest.raises(FlashError, match="could not be flashed in 3 attempts: No device found"):
            upload(image, load_board("nano33ble"), "/dev/ttyACM0", tmp_path, lease=lease.descriptor)
    assert len(runs.arguments) == 1 + 3


def test_a_platform_that_cannot_be_fetched_is_told_from_a_failed_build(runs, write_network, desk, monkeypatch):
    runs.fails["build"] = "Platform Manager: Installing ststm32\nHTTPClientError: "
    with pytest.raises(ToolchainError, match=r"could not fetch its platform ststm32 for board nucleo_f446re.*network"):
        build(load_board("nucleo_f446re"), write_network(), desk)
    runs.fails["build"] = "network.c:1: error: expected"
    with pytest.raises(ToolchainError, match="could not build"):
        build(load_board("nucleo_f446re"), write_network(), desk)
