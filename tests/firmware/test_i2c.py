"""The bus for power sensors, on QEMU's MPS2 with a temperature sensor on its shield: any registers will do."""

import hashlib

import pytest

from tinynas.boards import load_board
from tinynas.compiler import Program
from tinynas.compiler.program import TensorInfo
from tinynas.deploy.build import build
from tinynas.device.client import Client, RefusedError
from tinynas.device.emulator import EmulatedBoard
from tinynas.device.messages import Status
from tinynas.device.station import EmulatedStation
from tinynas.paths import FIRMWARE

# TMP105, TI SBOS648: registers of two bytes, T_LOW is 75 degrees and T_HIGH 80 after power-on.
ADDRESS, T_LOW, T_HIGH = 0x4A, 2, 3


def empty_program() -> Program:
    """The network that does nothing, as a network."""
    files = {path.name: path.read_bytes() for path in (FIRMWARE / "empty").iterdir()}
    tensor = TensorInfo(name="byte", shape=(1, 1), scale=1.0, zero_point=0, bytes=1, dtype="int8")
    return Program(
        files=files,
        sha256=hashlib.sha256(b"").hexdigest(),
        arena_bytes=0,
        arena_lower_bound_bytes=0,
        arena=(),
        constants_bytes=0,
        inputs=(tensor,),
        outputs=(tensor,),
        layers=(),
        kernels=(),
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    board = load_board("mps2_an386")
    image = build(board, empty_program(), tmp_path_factory.mktemp("desk"))
    emulated = EmulatedBoard(board, tmp_path_factory.mktemp("mps2"))
    plain = emulated._arguments
    emulated._arguments = lambda *sockets: [*plain(*sockets), "-device", f"tmp105,address={ADDRESS:#x}"]
    station = EmulatedStation(emulated, board)
    station.claim()
    station.flash(image)
    with Client(station.port) as client:
        client.hello()
        yield client
    station.power_off()
    station.give_up()


def test_registers_are_written_and_read(client):
    assert client.i2c(ADDRESS, bytes([T_LOW]), 2) == b"\x4b\x00"
    assert client.i2c(ADDRESS, bytes([T_HIGH]), 2) == b"\x50\x00"
    client.i2c(ADDRESS, bytes([T_HIGH, 0x12, 0x30]))
    assert client.i2c(ADDRESS, bytes([T_HIGH]), 2) == b"\x12\x30"
    assert client.i2c(ADDRESS, reads=1) == b"\x12"


@pytest.mark.parametrize("ask", [{"data": b"\0"}, {"reads": 2}, {"data": b"\0", "reads": 2}])
def test_an_address_at_which_nobody_is_refuses(client, ask):
    with pytest.raises(RefusedError) as refused:
        client.i2c(ADDRESS + 1, **ask)
    assert refused.value.status == Status.NO_SENSOR
    assert client.i2c(ADDRESS, bytes([T_LOW]), 2) == b"\x4b\x00"


def test_a_probe_is_done_around_each_inference(client):
    client.i2c(ADDRESS, bytes([T_LOW, 0x10, 0x00]))
    # What is written before the inference is read after it, and after the next one, too.
    client.probe(ADDRESS, before=bytes([T_LOW]), after=bytes([T_HIGH]), reads=2)
    client.load(b"\0")
    client.run(1, answer_s=2)
    assert client.probed(2) == (b"\x10\x00", client.i2c(ADDRESS, bytes([T_HIGH]), 2))
    client.probe(ADDRESS, before=bytes([T_LOW, 0x20, 0x00]))
    client.run(1, answer_s=2)
    assert client.probed(0) == (b"", b"")
    assert client.i2c(ADDRESS, bytes([T_LOW]), 2) == b"\x20\x00"
    client.end_probe()


def test_a_probe_of_a_missing_device_does_not_stop_the_inference(client):
    client.probe(ADDRESS + 1, before=b"\0", reads=2)
    client.run(1, answer_s=2)
    with pytest.raises(RefusedError) as refused:
        client.probed(2)
    assert refused.value.status == Status.NO_SENSOR
    client.end_probe()


def test_an_arduino_core_brings_a_bus_on_which_nobody_answers(tmp_path):
    board = load_board("arduino_mega2560")
    (tmp_path / "mega").mkdir()
    station = EmulatedStation(EmulatedBoard(board, tmp_path / "mega"), board)
    station.claim()
    station.flash(build(board, empty_program(), tmp_path / "desk"))
    with Client(station.port, baud=board.baud) as client:
        starts = client.hello().boot_count
        for ask in ({"data": b"\0"}, {"reads": 2}, {"data": b"\0", "reads": 2}):
            with pytest.raises(RefusedError, match="no_sensor"):
                client.i2c(ADDRESS, **ask)
        assert client.hello().boot_count == starts
    station.power_off()
    station.give_up()
