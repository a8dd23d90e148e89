"""The sensors' registers behind the port's I2C functions on emulated boards: the firmware that the chip would run asks
for them around its inferences, and the host understands what comes back.
"""

import struct
from pathlib import Path

import pytest
import wire

from tinynas.boards import load_board
from tinynas.compiler import Program
from tinynas.compiler.program import TensorInfo
from tinynas.deploy.build import build
from tinynas.device.client import Client
from tinynas.device.emulator import EmulatedBoard
from tinynas.device.meters.contract import Subject
from tinynas.device.meters.ina import InaConfig, InaMeter
from tinynas.device.meters.ina2xx import Ina2xx
from tinynas.device.meters.ina228 import Ina228
from tinynas.device.station import EmulatedStation
from tinynas.errors import MeterError

KINDS = {"ina228": 228, "ina226": 226, "ina219": 219, "nothing": 0}
ADDRESS = 0x41
SHUNT_OHM = 0.1
INFERENCE_US = 10_000
# kind, us, ticks, shunt_ohm, supply_v, idle_ma, run_ma, slowness
ASKED = struct.Struct("<iIIfffff")
HEADER = f"""
#include <stdint.h>
#define SENSOR_ADDRESS {ADDRESS:#x}
#define TN_NETWORK_INPUT_BYTES {ASKED.size}
#define TN_NETWORK_OUTPUT_BYTES {ASKED.size}
#define TN_NETWORK_ARENA_BYTES {ASKED.size}
#define TN_NETWORK_CONSTANTS_BYTES 0
extern const uint8_t tn_network_sha256[32];
int8_t *tn_network_input(void);
const int8_t *tn_network_output(void);
void tn_network_invoke(void);
"""


def program() -> Program:
    sources = (
        Path(__file__).parent / "instruments" / "sensed_network.c",
        wire.HOST / "sensors.c",
        wire.HOST / "sensors.h",
    )
    tensor = TensorInfo(name="asked", shape=(1, ASKED.size), dtype="int8", scale=1.0, zero_point=0, bytes=ASKED.size)
    return Program(
        files={"network.h": HEADER.encode(), **{path.name: path.read_bytes() for path in sources}},
        sha256="01" + "00" * 31,
        arena_bytes=ASKED.size,
        arena_lower_bound_bytes=ASKED.size,
        arena=(),
        constants_bytes=0,
        inputs=(tensor,),
        outputs=(tensor,),
        layers=(),
        kernels=(),
    )


@pytest.fixture(scope="module", params=["netduinoplus2", "lm3s6965evb"])
def station(request, tmp_path_factory):
    board = load_board(request.param)
    station = EmulatedStation(EmulatedBoard(board, tmp_path_factory.mktemp(request.param)), board)
    assert station.claim()
    station.flash(build(board, program(), tmp_path_factory.mktemp("desk")))
    yield station
    station.power_off()
    station.give_up()


class Rig:
    """A board whose sensor and load are changed by its network's input."""

    def __init__(self, client: Client, station: EmulatedStation, kind: str) -> None:
        self._client = client
        self._ticks_hz = client.hello().ticks_hz
        self._values = {"kind": kind, "supply_v": 3.3, "run_ma": 40.0, "slowness": 1.0}
        config = InaConfig(kind=kind, supply_v=3.3, shunt_ohm=SHUNT_OHM, most_ma=100.0, address=ADDRESS)
        self.meter = InaMeter(config, Ina228(config) if kind == "ina228" else Ina2xx(config))
        # The first inference brings the sensor.
        latency_s = self.infer()
        self.subject = Subject(
            board=station.board, client=client, latency_s=latency_s, take_intervals=station.take_intervals
        )

    def infer(self, **values: object) -> float:
        """One inference after such changes; what it took [s]."""
        self._values |= values
        kind, supply_v, run_ma, slowness = self._values.values()
        ticks = INFERENCE_US * self._ticks_hz // 1_000_000
        self._client.load(ASKED.pack(KINDS[kind], INFERENCE_US, ticks, SHUNT_OHM, supply_v, 4.0, run_ma, slowness))
        self._client.run(1, answer_s=5.0)
        return self._client.ticks(1)[0] / self._ticks_hz


@pytest.fixture(params=["ina228", "ina226", "ina219"])
def rig(request, station):
    with Client(station.port) as client:
        yield Rig(client, station, request.param)


def test_each_inference_has_its_energy_and_the_supply_its_voltage(rig):
    rig.meter.start(rig.subject)
    currents_ma = [40.0] * 3 + [80.0] * 3
    for run_ma in currents_ma:
        rig.meter.ran(rig.infer(run_ma=run_ma))
    recording = rig.meter.stop()
    assert recording.pulses_s == pytest.approx([INFERENCE_US / 1e6] * 6, rel=0.01)
    # An INA228 counts in steps of 40 uJ, and half a conversion is on the wrong side of an edge.
    expected_uj = [3.3 * run_ma * INFERENCE_US / 1e3 for run_ma in currents_ma]
    assert recording.pulses_uj == pytest.approx(expected_uj, rel=0.02, abs=50)
    assert recording.supply_v == pytest.approx(3.3, abs=0.004)
    assert (recording.samples, recording.lost, recording.clipped) == (6, 0, 0)


def test_what_goes_wrong_is_seen_through_the_board(rig):
    rig.meter.start(rig.subject)
    rig.meter.ran(rig.infer(supply_v=2.9, run_ma=4000.0))
    recording = rig.meter.stop()
    assert recording.supply_v == pytest.approx(2.9, abs=0.004)
    assert recording.clipped > 0


def test_a_conversion_that_does_not_end_in_time_is_a_lost_sample(rig):
    rig.meter.start(rig.subject)
    rig.meter.ran(rig.infer(slowness=1.6))
    lost = rig.meter.stop().lost
    # An INA228 adds up whatever it converts.
    assert lost == (0 if rig.meter.name.startswith("ina228") else 1)


def test_a_sensor_that_is_unplugged_midway_is_missed(rig):
    rig.meter.start(rig.subject)
    rig.meter.ran(rig.infer())
    took_s = rig.infer(kind="nothing")
    with pytest.raises(MeterError, match="went away: nobody answers at that address"):
        rig.meter.ran(took_s)
        rig.meter.stop()
