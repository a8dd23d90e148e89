"""The exported PlatformIO project: `pio run` builds it, and the emulated board says PASS."""

import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import serial
from platformio.project.config import ProjectConfig

from tinynas.boards import board_names, load_board
from tinynas.compiler import Options
from tinynas.deploy.store import core_folder, environment, prepare_core
from tinynas.device.emulator import EmulatedBoard


@pytest.fixture(scope="module")
def pio_run(run, need):
    """`pio run` as a user would call it, but with tinynas's own package store: tests need no network."""

    def build(folder):
        prepare_core(core_folder())
        run([sys.executable, "-P", "-m", "platformio", "run"], folder, env=environment(core_folder()))

    need("arm-none-eabi-gcc")
    return build


@pytest.fixture(scope="module")
def built(digits_network, tmp_path_factory, exported, pio_run):
    """An exported PlatformIO project, in a folder with a space in its name, built."""
    folder = tmp_path_factory.mktemp("a user") / "out"
    exported(digits_network, folder, "platformio", name="gesture", board=load_board("netduinoplus2"))
    pio_run(folder)
    return folder


@pytest.fixture(scope="module")
def serial_output(need):
    """The first line that an image says on the emulated board's serial port."""
    machine = load_board("netduinoplus2").emulator.machine
    command = [need("qemu-system-arm"), "-machine", machine, "-nodefaults", "-display", "none", "-serial", "stdio"]

    def first_line(image):
        with subprocess.Popen(
            [*command, "-kernel", image], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as qemu:
            watchdog = threading.Timer(60, qemu.kill)
            watchdog.start()
            line = qemu.stdout.readline()
            watchdog.cancel()
            qemu.kill()
        return line.strip()

    return first_line


def test_the_platformio_project_builds_and_says_pass_on_the_emulated_board(built, serial_output):
    assert serial_output(built / ".pio" / "build" / "netduinoplus2" / "firmware.elf") == "PASS"


def test_a_network_with_several_inputs_and_outputs_says_pass_as_well(
    network_with_mixed_ends, tmp_path, exported, pio_run, serial_output
):
    exported(network_with_mixed_ends, tmp_path / "out", "platformio", board=load_board("netduinoplus2"))
    pio_run(tmp_path / "out")
    assert serial_output(tmp_path / "out" / ".pio" / "build" / "netduinoplus2" / "firmware.elf") == "PASS"


def test_the_platformio_project_says_fail_when_an_output_byte_differs(built, tmp_path, pio_run, serial_output):
    project = tmp_path / "moved"
    shutil.copytree(built, project)
    vector = project / "src" / "vector.h"
    vector.write_text(re.sub(r"(outputs\[.*\] = \{\n    )(-?\d+)", r"\g<1>(int8_t)(\2 ^ 1)", vector.read_text()))
    pio_run(project)
    image = project / ".pio" / "build" / "netduinoplus2" / "firmware.elf"
    assert serial_output(image) == "FAIL: the outputs differ"


def test_a_projects_firmware_sets_the_clock_that_was_measured(digits_network, tmp_path, exported):
    exported(digits_network, tmp_path / "out", "platformio", board=load_board("netduinoplus2").at(120_000_000))
    assert "board_tinynas.clock_hz = 120000000\n" in (tmp_path / "out" / "platformio.ini").read_text()
    assert "| clock | 120 MHz," in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("board_name", ["netduinoplus2", "arduino_mega2560"])
def test_what_was_measured_for_size_is_built_for_size(board_name, digits_network, tmp_path, exported):
    for optimize, level in (("speed", "-O2"), ("size", "-Os")):
        folder, options = tmp_path / optimize, Options(optimize=optimize)
        exported(digits_network, folder, "platformio", board=load_board(board_name), options=options)
        section = ProjectConfig(str(folder / "platformio.ini")).items(f"env:{board_name}", as_dict=True)
        assert level in section.get("build_flags", []) or section.get("custom_optimize") == optimize


def test_the_platformio_project_refers_to_nothing_outside_itself(built):
    for path in built.rglob("*"):
        if path.is_file() and ".pio" not in path.relative_to(built).parts:
            assert str(Path(__file__).parents[2]).encode() not in path.read_bytes(), path
    folders = re.findall(r"(?:boards_dir|platforms_dir) = (.*)", (built / "platformio.ini").read_text())
    assert folders == ["boards", ".pio/platforms"]


@pytest.mark.parametrize("board_name", [name for name in board_names() if load_board(name).vendor])
def test_a_vendors_board_gets_a_project_for_its_platform(board_name, digits_network, tmp_path, exported):
    board = load_board(board_name)
    exported(digits_network, tmp_path / "out", "platformio", board=board)
    config = ProjectConfig(str(tmp_path / "out" / "platformio.ini"))
    config.validate()
    (section,) = (f"env:{name}" for name in config.envs())
    assert config.get(section, "platform") == board.vendor.platform
    assert config.get(section, "board") == board.vendor.board
    assert config.get(section, "framework") == ["arduino"]
    firmware = {path.name for path in (tmp_path / "out" / "firmware" / "src").iterdir()}
    assert firmware == {"port.h", "stack.h", "port_arduino.cpp"}
    assert f"platform `{board.vendor.platform}`" in (tmp_path / "out" / "README.md").read_text()


def test_the_project_for_an_arduino_core_builds_and_says_pass(digits_network, tmp_path, exported, pio_run, need):
    need("avr-gcc")
    board = load_board("arduino_mega2560")
    exported(digits_network, tmp_path / "out", "platformio", board=board)
    pio_run(tmp_path / "out")
    (tmp_path / "board").mkdir()
    emulated = EmulatedBoard(board, tmp_path / "board")
    shutil.copy(tmp_path / "out" / ".pio" / "build" / board.name / "firmware.bin", emulated.flash)
    emulated.power_on()
    try:
        with serial.serial_for_url(emulated.url, timeout=60) as port:
            # It may have spoken before anybody listened.
            emulated.reset()
            assert port.readline().strip().endswith(b"PASS")
    finally:
        emulated.power_off()
