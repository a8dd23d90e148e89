"""What `tinynas bench` finds on physical boards: pyserial's list is made up, the ports are pseudo-terminals."""

import json
from types import SimpleNamespace

import pytest

from tinynas.boards import load_board
from tinynas.device.fake import FakeBoard, greeting_of
from tinynas.device.inventory import load_inventory
from tinynas.errors import BenchError, ConfigError
from tinynas.study import inspect


@pytest.fixture
def nucleo(monkeypatch, tmp_path):
    """A kind of physical board that a manifest knows by its USB id."""
    monkeypatch.setenv("TINYNAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kind = load_board("netduinoplus2").model_copy(
        update={"name": "nucleo", "link": "serial", "emulator": None, "usb": ("0483:374b",)}
    )
    for module in ("inventory", "bench"):
        monkeypatch.setattr(f"tinynas.device.{module}.load_board", lambda name: kind)
    monkeypatch.setattr(inspect, "board_names", lambda: ["nucleo"])
    monkeypatch.setattr(inspect, "load_board", lambda name: kind)
    return kind


@pytest.fixture
def attach(monkeypatch):
    def attach(*ports):
        infos = [
            SimpleNamespace(
                device=device, vid=vid, pid=0x374B, serial_number=serial, location=location, description="a\x1b[2Jport"
            )
            for device, vid, serial, location in ports
        ]
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: infos)

    return attach


@pytest.fixture
def board(nucleo):
    fake = FakeBoard(greeting_of(nucleo, input_bytes=4, output_bytes=4), lambda tensor: tensor)
    yield fake
    fake.close()


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "bench.toml"
        path.write_text(text)
        return path

    return write


def test_scan_proposes_a_file_that_lists_what_is_attached(nucleo, attach, write):
    attach(
        ("/dev/ttyACM0", 0x0483, '06"6F', "1-1.4:1.2"),
        ("/dev/ttyACM1", 0x0483, None, "1-1.3:1.2"),
        ("/dev/ttyUSB0", 0x1A86, "5", "1-2"),
    )
    text = inspect.scan()
    inventory = load_inventory(write(text))
    assert {name: (entry.usb, entry.path) for name, entry in inventory.boards.items()} == {
        "nucleo-1": ('06"6F', None),
        "nucleo-2": (None, "1-1.3"),
    }
    assert "# /dev/ttyUSB0, 1A86:374B, a?[2Jport: no manifest has this USB id\n# [boards.unknown-1]" in text
    assert "\x1b" not in text


def test_scan_without_boards_says_so(nucleo, attach):
    attach()
    assert "No USB serial port is here" in inspect.scan()


def test_the_overview_follows_a_board_whose_port_is_renamed_and_misses_one_that_is_gone(nucleo, attach, board, write):
    file = write('[boards.left]\nboard = "nucleo"\nusb = "066F"\n[boards.right]\nboard = "nucleo"\nusb = "0670"\n')
    attach((board.port, 0x0483, "066F", "1-1.4"))
    left, right = inspect.overview(file)
    assert (left["state"], left["port"]) == ("free", board.port)
    assert right["state"] == "absent"
    assert "no board with USB serial number 0670 is attached" in right["reason"]
    attach(("/dev/ttyACM9-that-is-not-there", 0x0483, "066F", "1-1.4"))
    assert inspect.overview(file)[0]["reason"] == "/dev/ttyACM9-that-is-not-there does not exist"


def test_a_board_in_use_is_shown_with_its_holder_and_left_alone(nucleo, attach, board, write):
    file = write('[boards.left]\nboard = "nucleo"\nusb = "066F-in-use"\npower_cycle = "true"\n')
    attach((board.port, 0x0483, "066F-in-use", "1-1.4"))
    inventory = load_inventory(file)
    station = inspect._station("left", inventory)
    assert station.claim()
    try:
        (row,) = inspect.overview(file)
        assert row["state"] == "in use"
        assert "in use by process" in row["reason"]
        with pytest.raises(BenchError, match="board left is not touched: in use by process"):
            inspect.power_cycle(file, "left")
    finally:
        station.release()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("false", "'false' ended with status 1: no words"),
        ("sh -c 'echo hub is gone >&2; exit 3'", "ended with status 3: hub is gone"),
        ("sleep 9", "took longer than 1 s"),
        ("no-such-program", "cannot be run: .*No such file"),
    ],
)
def test_a_power_cycle_command_that_fails_is_quoted(nucleo, attach, board, write, command, message):
    file = write(
        f'[limits]\ncommand = "1 s"\n[boards.left]\nboard = "nucleo"\nusb = "066F"\n'
        f"power_cycle = {json.dumps(command)}\n"
    )
    attach((board.port, 0x0483, "066F", "1-1.4"))
    with pytest.raises(BenchError, match=message):
        inspect.power_cycle(file, "left")


def test_a_power_cycle_knows_the_ports_present_name_and_is_recorded(nucleo, attach, board, write, tmp_path):
    command = json.dumps(f"sh -c 'echo {{port}} > {tmp_path}/told'")
    file = write(f'[boards.left]\nboard = "nucleo"\nusb = "066F"\npower_cycle = {command}\n')
    attach((board.port, 0x0483, "066F", "1-1.4"))
    inspect.power_cycle(file, "left")
    assert (tmp_path / "told").read_text() == f"{board.port}\n"
    assert inspect.overview(file)[0]["power_cycles"] == 1


def test_a_board_without_a_command_cannot_be_power_cycled(nucleo, attach, board, write):
    attach((board.port, 0x0483, "066F", "1-1.4"))
    with pytest.raises(ConfigError, match=r"boards\.left has no power_cycle command"):
        inspect.power_cycle(write('[boards.left]\nboard = "nucleo"\nusb = "066F"\n'), "left")
