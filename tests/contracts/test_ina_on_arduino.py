"""The sensors on the bus of an Arduino core's Wire, as physical boards have it: wires of simavr, and registers."""

import subprocess

import pytest
import wire

from tinynas.boards import load_board
from tinynas.compiler import Program
from tinynas.compiler.program import TensorInfo
from tinynas.deploy.build import build
from tinynas.device import plugin
from tinynas.device.client import Client
from tinynas.device.emulator import EmulatedBoard
from tinynas.device.meters.contract import Subject
from tinynas.device.meters.ina import InaConfig, InaMeter
from tinynas.device.meters.ina2xx import Ina2xx
from tinynas.device.meters.ina228 import Ina228
from tinynas.device.station import EmulatedStation
from tinynas.errors import MeterError
from tinynas.paths import FIRMWARE

EMULATOR = wire.HOST.parents[1] / "contracts" / "instruments" / "avr_sensor.c"
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")
ADDRESS = 0x41
SHUNT_OHM = 0.1
HEADER = """
#include <stdint.h>
#define TN_NETWORK_INPUT_BYTES 4
#define TN_NETWORK_OUTPUT_BYTES 4
#define TN_NETWORK_ARENA_BYTES 4
#define TN_NETWORK_CONSTANTS_BYTES 0
extern const uint8_t tn_network_sha256[32];
int8_t *tn_network_input(void);
const int8_t *tn_network_output(void);
void tn_network_invoke(void);
"""
# Some 25 ms of an ATmega at 16 MHz.
SOURCE = """
#include "network.h"
const uint8_t tn_network_sha256[32] = {1};
static int8_t arena[TN_NETWORK_ARENA_BYTES] __attribute__((section(".bss.tn_arena")));
int8_t *tn_network_input(void) { return arena; }
const int8_t *tn_network_output(void) { return arena; }
void tn_network_invoke(void)
{
    for (uint16_t i = 0; i < 40000; i++) {
        __asm volatile("nop\\n nop\\n nop\\n nop\\n nop");
    }
}
"""


def program() -> Program:
    tensor = TensorInfo(name="none", shape=(1, 4), dtype="int8", scale=1.0, zero_point=0, bytes=4)
    return Program(
        files={"network.h": HEADER.encode(), "network.c": SOURCE.encode()},
        sha256="01" + "00" * 31,
        arena_bytes=4,
        arena_lower_bound_bytes=4,
        arena=(),
        constants_bytes=0,
        inputs=(tensor,),
        outputs=(tensor,),
        layers=(),
        kernels=(),
    )


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return build(load_board("arduino_mega2560"), program(), tmp_path_factory.mktemp("desk"))


@pytest.fixture
def station_with(image, tmp_path, monkeypatch):
    """Makes an emulated Arduino Mega with a sensor."""
    stations = []

    def make(number: int) -> EmulatedStation:
        emulator = tmp_path / "emulator"
        folders = [f"-I{each}" for each in (FIRMWARE / "emulator" / "avr", FIRMWARE / "src", wire.HOST)]
        macros = [f"-DSENSOR_KIND={number}", f"-DSENSOR_ADDRESS={ADDRESS}", f"-DSENSOR_SHUNT_OHM={SHUNT_OHM}"]
        sources = [str(EMULATOR), str(wire.HOST / "sensors.c")]
        subprocess.run(
            [plugin.COMPILER, *FLAGS, *folders, *macros, *sources, "-lsimavr", "-lm", "-o", str(emulator)], check=True
        )
        monkeypatch.setattr("tinynas.device.emulator.simulator", lambda: emulator)
        board = load_board("arduino_mega2560")
        (tmp_path / "board").mkdir()
        stations.append(EmulatedStation(EmulatedBoard(board, tmp_path / "board"), board))
        assert stations[0].claim()
        stations[0].flash(image)
        return stations[0]

    yield make
    for station in stations:
        station.power_off()
        station.give_up()


def meter_of(kind: str) -> InaMeter:
    config = InaConfig(kind=kind, supply_v=3.3, shunt_ohm=SHUNT_OHM, most_ma=100.0, address=ADDRESS)
    return InaMeter(config, Ina228(config) if kind == "ina228" else Ina2xx(config))


def subject_of(station: EmulatedStation, client: Client) -> Subject:
    """The board with its input loaded, after an inference."""
    client.hello()
    client.load(bytes(4))
    client.run(1, answer_s=5)
    latency_s = client.ticks(1)[0] / 1e6
    return Subject(board=station.board, client=client, latency_s=latency_s, take_intervals=station.take_intervals)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number"), [("ina228", 228), ("ina226", 226), ("ina219", 219)])
def test_a_sensor_on_the_wires_of_an_arduino_core_is_read_around_each_inference(kind, number, station_with):
    station, meter = station_with(number), meter_of(kind)
    with Client(station.port, baud=station.board.baud) as client:
        subject = subject_of(station, client)
        meter.start(subject)
        for _ in range(5):
            client.run(1, answer_s=5)
            meter.ran(client.ticks(1)[0] / 1e6)
        # While an emulated Mega sleeps its time nearly stands still, so that nothing can be said of its rest.
        recording = meter.stop()
    assert 0.01 < subject.latency_s < 0.05
    # An INA228 counts in steps of 40 uJ, and half a conversion is on the wrong side of an edge.
    expected_uj = 3.3 * 20e3 * subject.latency_s
    assert recording.pulses_uj == pytest.approx([expected_uj] * 5, rel=0.02, abs=50)
    assert recording.supply_v == pytest.approx(3.3, abs=0.004)
    assert (recording.lost, recording.clipped) == (0, 0)


@pytest.mark.slow
def test_another_sensor_on_the_wires_is_not_read(station_with):
    station = station_with(226)
    with Client(station.port, baud=station.board.baud) as client:
        subject = subject_of(station, client)
        with pytest.raises(MeterError, match="no INA228 at 0x41"):
            meter_of("ina228").start(subject)
