"""What every instrument does, fake or real: the real ones face a simulator that speaks the instrument's protocol."""

import contextlib
import dataclasses
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from csv_logger import CsvLogger
from ina_board import ina_rig
from joulescope import SimulatedJoulescope
from ppk2 import SimulatedPpk2
from rigs import BOARD, Rig, fake_rig, fake_station

from tinynas.device.client import Client
from tinynas.device.energy import Rule, measure_energy
from tinynas.device.meters.csv_log import CsvConfig, CsvMeter
from tinynas.device.meters.emulated import EmulatedMeter
from tinynas.device.meters.fake import FakeMeter, Load
from tinynas.device.meters.joulescope import JoulescopeConfig, JoulescopeMeter
from tinynas.device.meters.ppk2 import Ppk2Config, Ppk2Meter
from tinynas.errors import MeterError

SHORT = Rule(runs=3, inferences=10, seconds=0.2, idle_s=0.2)
INPUTS = np.zeros((2, 16), np.int8)


@contextlib.contextmanager
def ideal_rig() -> Iterator[Rig]:
    load = Load()
    station = fake_station(load)
    meter = FakeMeter(load)
    faults = {
        "lost samples": lambda: setattr(meter, "lost_share", 0.01),
        "clipped": lambda: setattr(load, "run_ma", 100.0),
        "wrong voltage": lambda: setattr(load, "supply_v", 2.9),
        "unplugged": lambda: setattr(meter, "unplugged", True),
    }
    with meter:
        yield fake_rig(load, meter, station, faults)
    station.fake.close()


@contextlib.contextmanager
def emulated_rig() -> Iterator[Rig]:
    load = Load()
    station = fake_station(load)
    with EmulatedMeter(BOARD) as meter:
        yield fake_rig(load, meter, station, {})
    station.fake.close()


@contextlib.contextmanager
def csv_rig() -> Iterator[Rig]:
    load = Load()
    station = fake_station(load)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        logger = CsvLogger(load, path)
        config = CsvConfig(
            kind="csv",
            path=path,
            supply_v=3.3,
            time="Timestamp(ms)",
            time_unit="ms",
            current="Current(uA)",
            current_unit="uA",
            voltage="Voltage(mV)",
            voltage_unit="mV",
            sync="D0",
            flush_s=0.2,
            full_scale_ma=100.0,
        )
        faults = {
            "lost samples": lambda: setattr(logger, "lose_share", 0.01),
            "clipped": lambda: setattr(load, "run_ma", 100.0),
            "wrong voltage": lambda: setattr(load, "supply_v", 2.9),
            "unplugged": logger.close,
            "no sync line": lambda: setattr(logger, "sync_wired", False),
        }
        with CsvMeter(config) as meter:
            yield fake_rig(load, meter, station, faults)
        logger.close()
    station.fake.close()


@contextlib.contextmanager
def ppk2_rig() -> Iterator[Rig]:
    load = Load()
    station = fake_station(load)
    simulated = SimulatedPpk2(load)
    faults = {
        "lost samples": lambda: setattr(simulated, "drop_share", 0.01),
        "clipped": lambda: setattr(load, "run_ma", 1000.0),
        "unplugged": simulated.close,
        "no sync line": lambda: setattr(simulated, "sync_wired", False),
    }
    with Ppk2Meter(Ppk2Config(kind="ppk2", supply_v=3.3, port=simulated.port)) as meter:
        yield fake_rig(load, meter, station, faults)
    simulated.close()
    station.fake.close()


@contextlib.contextmanager
def joulescope_rig() -> Iterator[Rig]:
    load = Load()
    station = fake_station(load)
    simulated = SimulatedJoulescope(load)
    faults = {
        "lost samples": lambda: setattr(simulated, "drop_blocks", True),
        "clipped": lambda: setattr(load, "run_ma", 10_001.0),
        "wrong voltage": lambda: setattr(load, "supply_v", 2.9),
        "unplugged": simulated.unplug,
        "no sync line": lambda: setattr(simulated, "sync_wired", False),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pyjoulescope_driver.Driver", lambda: simulated)
        with JoulescopeMeter(JoulescopeConfig(kind="joulescope", supply_v=3.3)) as meter:
            yield fake_rig(load, meter, station, faults)
    simulated.end()
    station.fake.close()


RIGS = {
    "fake": ideal_rig,
    "emulated": emulated_rig,
    "csv": csv_rig,
    "ppk2": ppk2_rig,
    "joulescope": joulescope_rig,
    "ina228": partial(ina_rig, "ina228"),
    "ina226": partial(ina_rig, "ina226"),
    "ina219": partial(ina_rig, "ina219"),
}
ALL_FAULTS = {
    "lost samples": r"run 1, tried 3 times: .*lost [0-9,]+ of [0-9,]+ samples, .*%, at most 0\.1% are allowed",
    "clipped": r"was at an end of its range in [0-9,]+ of [0-9,]+ samples",
    "wrong voltage": r"2\.9\d? V, .* 3\.30 V",
    "unplugged": "went away",
    "no sync line": r"ran \d+ inferences, meter .* saw \d+ pulses",
}
# What can go wrong with each of them: the ideal one has no sync line, and the emulated one nothing at all.
FAULTS = {
    "fake": ["lost samples", "clipped", "wrong voltage", "unplugged"],
    "csv": list(ALL_FAULTS),
    # A PPK2 measures no voltage: that is asked for when it is connected.
    "ppk2": ["lost samples", "clipped", "unplugged", "no sync line"],
    "joulescope": list(ALL_FAULTS),
    # The board reads these itself, so there is no sync line; an INA228 adds up, and has no samples to lose.
    "ina228": ["clipped", "wrong voltage", "unplugged"],
    "ina226": ["lost samples", "clipped", "wrong voltage", "unplugged"],
    "ina219": ["lost samples", "clipped", "wrong voltage", "unplugged"],
}


@pytest.fixture(params=RIGS)
def rig(request) -> Iterator[Rig]:
    with RIGS[request.param]() as rig:
        yield rig


def record(rig: Rig, inferences: int):
    """A recording of so many inferences, with rest before and after, and their true lengths [s]."""
    with Client(rig.station.port) as client:
        client.load(bytes(16))
        before = len(rig.load.pulses_s)
        rig.meter.start(rig.subject(client))
        rig.sleep(0.05)
        for _ in range(inferences):
            client.run(1, answer_s=5)
            rig.meter.ran(client.ticks(1)[0] / 1e6)
        rig.sleep(0.05)
        return rig.meter.stop(), np.array(rig.load.pulses_s[before:])


def test_every_inference_is_a_pulse_with_its_energy(rig):
    recording, true_s = record(rig, 8)
    assert np.array(recording.pulses_s) == pytest.approx(true_s, rel=rig.tolerance, abs=2 * recording.resolution_s)
    expected_uj = true_s * rig.load.run_ma * rig.load.supply_v * 1e3
    assert np.mean(recording.pulses_uj) == pytest.approx(np.mean(expected_uj), rel=rig.tolerance)
    assert recording.supply_v == pytest.approx(rig.load.supply_v, rel=0.01)
    assert recording.lost == recording.clipped == 0


def test_rest_is_told_from_work(rig):
    recording, _ = record(rig, 3)
    if recording.between_mw is not None:
        assert recording.between_mw == pytest.approx(rig.load.idle_ma * rig.load.supply_v, rel=rig.tolerance)
    else:
        assert rig.meter.source == "emulated"


def test_a_recording_holds_nothing_of_the_one_before(rig):
    record(rig, 5)
    recording, _ = record(rig, 2)
    assert len(recording.pulses_uj) == 2


def test_no_inference_is_no_pulse(rig):
    recording, _ = record(rig, 0)
    assert recording.pulses_uj == ()


def test_a_runs_energy_is_the_mean_of_what_its_inferences_took(rig):
    energy = measure_energy(rig.meter, rig.station, INPUTS, rule=dataclasses.replace(SHORT, runs=1))
    assert energy.inferences >= 10
    true_uj = np.array(rig.load.pulses_s[-energy.inferences :]) * rig.load.run_ma * rig.load.supply_v * 1e3
    assert energy.energy_uj == pytest.approx(np.mean(true_uj), rel=rig.tolerance)
    assert rig.meter.name in energy.basis


def test_runs_agree(rig):
    energy = measure_energy(rig.meter, rig.station, INPUTS, rule=SHORT)
    assert energy.runs == 3
    assert energy.inferences >= 30
    assert energy.source == rig.meter.source
    # The host that plays the board is not as steady as one.
    assert energy.iqr_uj < energy.energy_uj


@pytest.mark.parametrize(("kind", "fault"), [(kind, fault) for kind, faults in FAULTS.items() for fault in faults])
def test_a_fault_is_named_and_gives_no_figure(kind, fault):
    with RIGS[kind]() as rig:
        broken = threading.Event()

        def break_later() -> None:
            if len(rig.load.pulses_s) > 3 and not broken.is_set():
                rig.faults[fault]()
                broken.set()

        rig.hooks.append(break_later)
        with pytest.raises(MeterError, match=ALL_FAULTS[fault]):
            measure_energy(rig.meter, rig.station, INPUTS, rule=SHORT)
        assert broken.is_set()
