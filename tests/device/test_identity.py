from types import SimpleNamespace

import pytest

from tinynas.device.identity import Identity, identity_of, usb_ports
from tinynas.errors import BenchError, WrongBoardError


@pytest.fixture
def attach(monkeypatch):
    """Says what pyserial finds: device, serial number and location of each port."""

    def attach(*ports):
        infos = [
            SimpleNamespace(
                device=device, vid=0x0483, pid=0x374B, serial_number=serial, location=location, description="ST-Link"
            )
            for device, serial, location in ports
        ]
        uart = SimpleNamespace(device="/dev/ttyS0", vid=None, pid=None, description="ttyS0")
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [uart, *infos])

    return attach


def test_a_board_is_found_by_its_serial_number_whatever_its_port_is_called_by_now(attach):
    board = Identity(serial="066F")
    attach(("/dev/ttyACM0", "066F", "1-1.4:1.2"), ("/dev/ttyACM1", "0670", "1-1.3:1.2"))
    assert board.find() == "/dev/ttyACM0"
    attach(("/dev/ttyACM0", "0670", "1-1.3:1.2"), ("/dev/ttyACM5", "066F", "1-1.1:1.2"))
    assert board.find() == "/dev/ttyACM5"


def test_a_board_without_a_serial_number_is_found_by_where_it_is_plugged_in(attach):
    attach(("/dev/ttyUSB0", None, "1-1.4"), ("/dev/ttyUSB1", None, "1-1.3"))
    assert Identity(path="1-1.3").find() == "/dev/ttyUSB1"


def test_two_boards_with_one_serial_number_are_refused(attach):
    attach(("/dev/ttyUSB0", "0001", "1-1.4"), ("/dev/ttyUSB1", "0001", "1-1.3"))
    with pytest.raises(
        WrongBoardError, match="several boards have USB serial number 0001: /dev/ttyUSB0, /dev/ttyUSB1: none of them"
    ):
        Identity(serial="0001").find()


def test_which_of_a_devices_ports_must_be_said(attach):
    attach(("/dev/ttyACM0", "E661", "1-2:1.0"), ("/dev/ttyACM1", "E661", "1-2:1.2"))
    with pytest.raises(BenchError, match=r"has several ports, /dev/ttyACM0, /dev/ttyACM1: say which .* 0 or 2"):
        Identity(serial="E661").find()
    assert Identity(serial="E661", interface=2).find() == "/dev/ttyACM1"


def test_a_board_that_is_not_attached_is_missed_with_what_is_there(attach):
    attach(("/dev/ttyACM1", "0670", "1-1.3:1.2"))
    with pytest.raises(BenchError, match=r"no board with USB serial number 066F is attached; .*/dev/ttyACM1 \(ST-Link"):
        Identity(serial="066F").find()


def test_what_identifies_a_port_tells_it_from_all_others(attach):
    attach(
        ("/dev/ttyACM0", "066F", "1-1.1"),
        ("/dev/ttyUSB0", "0001", "1-1.2"),
        ("/dev/ttyUSB1", "0001", "1-1.3"),
        ("/dev/ttyUSB2", None, "1-1.4"),
        ("/dev/ttyACM1", "E661", "1-2:1.0"),
        ("/dev/ttyACM2", "E661", "1-2:1.2"),
    )
    ports = usb_ports()
    found = {port.device: identity_of(port, ports) for port in ports}
    assert found == {
        "/dev/ttyACM0": Identity(serial="066F"),
        "/dev/ttyUSB0": Identity(path="1-1.2"),
        "/dev/ttyUSB1": Identity(path="1-1.3"),
        "/dev/ttyUSB2": Identity(path="1-1.4"),
        "/dev/ttyACM1": Identity(serial="E661", interface=0),
        "/dev/ttyACM2": Identity(serial="E661", interface=2),
    }
    assert [identity.find() for identity in found.values()] == list(found)
    assert len({identity.key for identity in found.values()}) == 5


@pytest.mark.parametrize("location", [None, "", "20-1", "1-1.4:x.2"])
def test_places_are_understood_as_far_as_the_system_says_them(attach, location):
    attach(("COM3", "066F", location))
    (port,) = usb_ports()
    assert (port.path, port.interface) == {
        None: (None, None),
        "": (None, None),
        "20-1": ("20-1", None),
        "1-1.4:x.2": ("1-1.4", 2),
    }[location]
