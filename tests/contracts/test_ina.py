"""What the sensors on a board's own bus do beyond the contract: who is there, and what they can see."""

import numpy as np
import pytest
from ina_board import ADDRESS, ina_rig

from tinynas.device.client import Client, RefusedError
from tinynas.device.energy import Rule, measure_energy
from tinynas.device.messages import Status
from tinynas.device.meters.ina import InaConfig
from tinynas.errors import MeterError

KINDS = ("ina228", "ina226", "ina219")
RULE = Rule(runs=2, inferences=20, seconds=0.1, idle_s=1.0)
INPUTS = np.zeros((1, 16), np.int8)


def measured(rig):
    return measure_energy(rig.meter, rig.station, INPUTS, rule=RULE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inference_s", [0.0031, 0.0177, 0.093])
def test_energy_and_rest_are_what_the_supply_gave(kind, inference_s):
    with ina_rig(kind, inference_s=inference_s) as rig:
        energy = measured(rig)
    # An INA228 converts for 100 us, and half of one is on the wrong side of an edge.
    assert energy.energy_uj == pytest.approx(3.3 * 20e3 * inference_s, rel=0.04)
    assert energy.idle_mw == pytest.approx(13.2, rel=0.01)
    assert energy.supply_v == pytest.approx(3.3, abs=0.004)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("shunt_ohm", "most_ma"), [(0.1, 300.0), (0.1, 800.0)])
def test_the_range_follows_the_largest_current(kind, shunt_ohm, most_ma):
    with ina_rig(kind, shunt_ohm=shunt_ohm, most_ma=most_ma) as rig:
        rig.load.change(run_ma=0.8 * most_ma)
        assert measured(rig).energy_uj == pytest.approx(3.3 * 0.8 * most_ma * 1e3 * 0.05, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attached", ["nothing", *KINDS])
def test_another_sensor_or_none_is_not_read(kind, attached):
    if kind == attached:
        return
    with (
        ina_rig(kind, attached=attached) as rig,
        pytest.raises(MeterError, match=r"no INA2\d\d at 0x41|nobody answers"),
    ):
        measured(rig)


@pytest.mark.parametrize(
    ("kind", "inference_s", "message"),
    [
        ("ina228", 0.0019, r"takes 1,900 us, an INA228 needs 20 conversions of 100 us"),
        ("ina226", 0.0003, r"takes 300 us, an INA226 needs 308 us"),
        ("ina219", 0.0001, r"takes 100 us, an INA219 needs 185 us"),
        ("ina219", 0.16, r"an INA219 sees 43% of an inference of 160\.0 ms"),
    ],
)
def test_what_a_sensor_cannot_see_is_refused(kind, inference_s, message):
    with ina_rig(kind, inference_s=inference_s) as rig, pytest.raises(MeterError, match=message):
        measured(rig)


@pytest.mark.parametrize(("kind", "most_mv"), [("ina228", 163.84), ("ina226", 81.92), ("ina219", 320.0)])
def test_a_shunt_too_large_for_the_sensor_is_refused(kind, most_mv):
    given = {"kind": kind, "supply_v": 3.3, "shunt_ohm": 1.0}
    InaConfig(**given, most_ma=most_mv - 1)
    with pytest.raises(ValueError, match=rf"mV, an {kind} takes {most_mv:g} mV"):
        InaConfig(**given, most_ma=most_mv + 1)


def test_the_board_passes_on_what_the_host_says_and_nothing_beyond_its_room():
    with ina_rig("ina226") as rig, Client(rig.station.port) as client:
        assert client.i2c(ADDRESS, b"\xfe", 2) == b"\x54\x49"
        with pytest.raises(RefusedError) as refused:
            client.i2c(ADDRESS + 1, b"\xfe", 2)
        assert refused.value.status == Status.NO_SENSOR
        for ask in (
            lambda: client.i2c(0x80, b"\0"),
            lambda: client.i2c(ADDRESS, b"\0" * 33),
            lambda: client.i2c(ADDRESS, b"\0", 33),
            lambda: client.probe(ADDRESS, before=b"\0" * 9),
            lambda: client.probe(ADDRESS, before=b"\0", after=b"\0" * 9),
            lambda: client.probe(ADDRESS, before=b"\0", reads=9),
            lambda: client.probed(0),
        ):
            with pytest.raises(RefusedError) as refused:
                ask()
            assert refused.value.status == Status.BAD_REQUEST


def test_after_a_measurement_inferences_are_left_alone():
    with ina_rig("ina228") as rig:
        measured(rig)
        with Client(rig.station.port) as client, pytest.raises(RefusedError):
            client.probed(5)
