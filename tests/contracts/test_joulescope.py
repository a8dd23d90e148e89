"""What a Joulescope alone does: signals that are not in step, and samples that are not there."""

import sys

import numpy as np
import pytest
from joulescope import PATH, SimulatedJoulescope
from rigs import fake_station

from tinynas.device.energy import Rule, measure_energy
from tinynas.device.meters.fake import Load
from tinynas.device.meters.joulescope import JoulescopeConfig, JoulescopeMeter
from tinynas.errors import ConfigError, MeterError

RULE = Rule(runs=1, inferences=5, seconds=0.1, idle_s=0.1)


@pytest.fixture
def simulated(monkeypatch):
    simulated = SimulatedJoulescope(Load())
    monkeypatch.setattr("pyjoulescope_driver.Driver", lambda: simulated)
    yield simulated
    simulated.end()


def meter(**settings) -> JoulescopeMeter:
    return JoulescopeMeter(JoulescopeConfig(kind="joulescope", **{"supply_v": 3.3, **settings}))


def test_it_is_opened_and_let_go(simulated):
    with meter(serial="001234", sample_hz=100_000):
        assert simulated.opened == PATH
        assert simulated.published[f"{PATH}/h/fs"] == 100_000
    assert simulated.opened is None


@pytest.mark.parametrize(
    ("paths", "serial"), [([], None), ([PATH, "u/js110/9"], None), ([PATH], "77"), (["u/js110/9"], "001234")]
)
def test_one_that_is_not_the_only_one_is_asked_for_by_its_serial(simulated, paths, serial):
    simulated.paths = paths
    with pytest.raises(MeterError, match=r"of the Joulescopes here fit .*: give its serial"):
        meter(serial=serial).__enter__()


@pytest.mark.parametrize("sample_hz", [10_000, 1_000_000])
def test_rates_that_differ_from_the_inputs_are_brought_together(simulated, sample_hz):
    station = fake_station(simulated._load)
    with meter(sample_hz=sample_hz) as joulescope:
        energy = measure_energy(joulescope, station, np.zeros((1, 16), np.int8), rule=RULE)
    station.fake.close()
    true_s = simulated._load.pulses_s[-energy.inferences :]
    true_uj = np.mean(true_s) * simulated._load.run_ma * simulated._load.supply_v * 1e3
    # At 10 kHz an edge is known to 0.1 ms of 4.
    assert energy.energy_uj == pytest.approx(true_uj, rel=0.03)


def test_samples_that_are_not_numbers_are_lost(simulated):
    simulated.nan_share = 0.01
    station = fake_station(simulated._load)
    with meter() as joulescope, pytest.raises(MeterError, match=r"tried 3 times: .* lost|lost .* samples"):
        measure_energy(joulescope, station, np.zeros((1, 16), np.int8), rule=RULE)
    station.fake.close()


def test_the_library_that_it_needs_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyjoulescope_driver", None)
    with pytest.raises(ConfigError, match=r"pip install 'tinynas\[joulescope\]'"):
        meter()
