"""The exported PlatformIO project: `pio run` builds it, and the emulated board says PASS."""

import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tinynas.boards import load_board
from tinynas.deploy.store import core_folder, environment, prepare_core
from tinynas.errors import UnsupportedError


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


def test_the_platformio_project_refers_to_nothing_outside_itself(built):
    for path in built.rglob("*"):
        if path.is_file() and ".pio" not in path.relative_to(built).parts:
            assert str(Path(__file__).parents[2]).encode() not in path.read_bytes(), path
    folders = re.findall(r"(?:boards_dir|platforms_dir) = (.*)", (built / "platformio.ini").read_text())
    assert folders == ["boards", ".pio/platforms"]


@pytest.mark.parametrize("name", ["arduino_mega2560", "nucleo_f446re"])
def test_a_board_with_an_arduino_core_gets_no_project(name, digits_network, tmp_path, exported):
    with pytest.raises(UnsupportedError, match=f"Arduino core, which {name} has: export --to c"):
        exported(digits_network, tmp_path / "out", "platformio", board=load_board(name))
    assert not (tmp_path / "out").exists()
