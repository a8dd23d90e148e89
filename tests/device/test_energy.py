import dataclasses
from unittest.mock import Mock

import numpy as np
import pytest

from tinynas.boards import load_board
from tinynas.device.bench import Bench, open_bench
from tinynas.device.energy import Rule, measure_energy
from tinynas.device.fake import Fault, Mishap
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import to_cost
from tinynas.device.messages import Request
from tinynas.device.meters.contract import Recording
from tinynas.errors import ConfigError, LinkError, MeterError

INPUTS = np.zeros((3, 64), np.int8)
QUICK = Rule(runs=3, inferences=4, seconds=0.0, idle_s=0.0)


class ScriptedMeter:
    """Gives each inference `energies_uj` in turn, a fourth of them a run, and lets a recording be spoilt by name."""

    name = "scripted"
    source = "measured"
    supply_v = 3.3
    shortest_s = 10.0

    def __init__(self, *energies_uj: float, **spoilt) -> None:
        self._energies_uj = list(energies_uj)
        self._spoilt = spoilt
        self.recordings = 0
        self.__enter__ = self.__exit__ = Mock()

    def start(self, subject) -> None:
        self._ran_s: list[float] = []

    def ran(self, latency_s: float) -> None:
        self._ran_s.append(latency_s)

    def stop(self) -> Recording:
        self.recordings += 1
        each_uj = self._energies_uj.pop(0) if self._ran_s else 0.0
        recording = Recording(
            pulses_uj=(each_uj,) * len(self._ran_s),
            pulses_s=tuple(self._ran_s),
            between_mw=12.5,
            supply_v=3.31,
            resolution_s=1e-6,
            samples=10_000,
        )
        if self._ran_s or "pulses_s" in self._spoilt:
            recording = dataclasses.replace(recording, **self._spoilt)
        return recording


@pytest.fixture
def station(fake_station, image):
    station = fake_station()
    station.flash(image)
    return station


def test_energy_is_the_median_of_the_runs_with_their_spread(station):
    energy = measure_energy(ScriptedMeter(10.0, 14.0, 11.0), station, INPUTS, rule=QUICK)
    assert (energy.energy_uj, energy.iqr_uj) == (11.0, 2.0)
    assert (energy.runs, energy.inferences) == (3, 12)
    assert (energy.idle_mw, energy.supply_v) == (12.5, pytest.approx(3.31))
    assert energy.basis == "meter scripted: median of 3 runs, 12 inferences, idle power included"


def test_a_run_lasts_as_long_as_the_rule_says(station):
    rule = dataclasses.replace(QUICK, runs=1, seconds=0.3)
    assert measure_energy(ScriptedMeter(1.0), station, INPUTS, rule=rule).inferences > 10


def test_a_run_with_lost_samples_is_repeated_and_at_last_refused(station):
    meter = ScriptedMeter(*[1.0] * 9, lost=11)
    with pytest.raises(MeterError, match=r"run 1, tried 3 times: .* lost 11 of 10,011 samples, 0\.11%, at most 0\.1%"):
        measure_energy(meter, station, INPUTS, rule=QUICK)
    assert meter.recordings == 1 + 3
    assert measure_energy(ScriptedMeter(*[1.0] * 9, lost=10), station, INPUTS, rule=QUICK).runs == 3


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ({"clipped": 1}, "at an end of its range in 1 of 10,000 samples"),
        ({"supply_v": 3.5}, r"saw 3\.50 V, the board is to have 3\.30 V"),
        ({"pulses_s": (0.1,) * 3}, "saw 3 pulses of the sync pin while board emulated was at rest"),
        ({"pulses_s": ()}, "ran 4 inferences, meter scripted saw 0 pulses"),
    ],
)
def test_what_cannot_be_right_is_refused(station, spoilt, message):
    with pytest.raises(MeterError, match=message):
        measure_energy(ScriptedMeter(*[1.0] * 9, **spoilt), station, INPUTS, rule=QUICK)


def test_pulses_of_another_length_than_the_boards_timer_says_are_refused(station):
    class Slow(ScriptedMeter):
        def ran(self, latency_s):
            super().ran(1.5 * latency_s)

    with pytest.raises(MeterError, match=r"pulses of 8\.9 us, the board's timer says 6\.0 us"):
        measure_energy(Slow(*[1.0] * 9), station, INPUTS, rule=QUICK)


def test_a_board_without_room_for_a_copy_gets_its_input_before_each_inference(fake_station, image):
    station = fake_station(spare=False)
    station.flash(image)
    loads = []
    perform = station.fake._load
    station.fake._load = lambda payload: loads.append(payload) or perform(payload)
    measure_energy(ScriptedMeter(*[1.0] * 3), station, INPUTS, rule=QUICK)
    assert len(loads) > 12


def test_a_silent_board_is_no_fault_of_the_instrument(station, monkeypatch):
    monkeypatch.setattr("tinynas.device.energy._FIRST_ANSWER_S", 0.05)
    station.fake.mishaps.append(Mishap(fault=Fault.SILENT, request=Request.RUN, times=None))
    with pytest.raises(LinkError, match="no answer to request 0x03"):
        measure_energy(ScriptedMeter(1.0), station, INPUTS, rule=QUICK)


def test_a_reset_on_the_way_spoils_the_figure(station):
    station.fake.mishaps.append(Mishap(fault=Fault.RESET, request=Request.TIMES))
    with pytest.raises((MeterError, LinkError)):
        measure_energy(ScriptedMeter(*[1.0] * 3), station, INPUTS, rule=QUICK)


def test_a_measured_figure_takes_the_estimates_place_in_the_cost(fake_station, image, emulated, monkeypatch):
    monkeypatch.setattr("tinynas.device.ladder.measure_energy", quickly)
    station = fake_station()
    station.meter = ScriptedMeter(10.0, 14.0, 11.0)
    with Bench([station]) as bench:
        cost = to_cost(flash_and_measure(bench, image, INPUTS, repeats=1), image, emulated)
    assert (cost.energy_uj, cost.energy_source, cost.energy_iqr_uj) == (11.0, "measured", 2.0)
    assert (cost.idle_mw, cost.supply_v) == (12.5, pytest.approx(3.31))
    assert type(cost).from_json(cost.to_json()) == cost


def test_no_board_pays_for_its_instrument(fake_station, image, monkeypatch):
    monkeypatch.setattr("tinynas.device.ladder.measure_energy", quickly)
    station = fake_station()
    station.meter = ScriptedMeter(1.0, clipped=7)
    with Bench([station]) as bench:
        with pytest.raises(MeterError, match="at an end of its range"):
            flash_and_measure(bench, image, INPUTS, repeats=1)
        assert bench.quarantined == {}
    assert station.history == ["flash", "off"]


def test_a_board_whose_instrument_fails_is_set_aside_and_another_one_measures(fake_station, image, monkeypatch):
    monkeypatch.setattr("tinynas.device.ladder.measure_energy", quickly)
    stations = [fake_station("left"), fake_station("right")]
    for station, spoilt in zip(stations, ({"clipped": 7}, {}), strict=True):
        station.meter = ScriptedMeter(10.0, 14.0, 11.0, **spoilt)
    with Bench(stations) as bench:
        measurement = flash_and_measure(bench, image, INPUTS, repeats=1)
        assert measurement.station == "right"
        assert measurement.energy.energy_uj == 11.0
        assert list(bench.quarantined) == ["left"]
        assert "its meter: meter scripted was at an end of its range" in bench.quarantined["left"]


def quickly(meter, station, inputs, *, greeting):
    return measure_energy(meter, station, inputs, rule=QUICK, greeting=greeting)


METERED = '[boards.{0}]\nboard = "netduinoplus2"\nlink = "emulator"\n[boards.{0}.meter]\nkind = "emulated"\n'


def test_a_benchs_file_names_each_boards_meter(tmp_path):
    file = tmp_path / "bench.toml"
    file.write_text(METERED.format("left") + METERED.format("right"))
    with open_bench(load_board("netduinoplus2"), directory=tmp_path / "bench", file=file) as bench:
        assert {station.meter.name for station in bench._free} == {"emulated"}


def test_boards_of_one_kind_are_metered_alike(tmp_path):
    file = tmp_path / "bench.toml"
    file.write_text(METERED.format("left") + '[boards.right]\nboard = "netduinoplus2"\nlink = "emulator"\n')
    with pytest.raises(ConfigError, match="either all netduinoplus2 have a meter or none"):
        open_bench(load_board("netduinoplus2"), directory=tmp_path / "bench", file=file)


def test_one_meter_is_on_the_supply_of_one_board(tmp_path):
    with pytest.raises(ConfigError, match="meter scripted is on the supply of one board"):
        open_bench(load_board("netduinoplus2"), count=2, directory=tmp_path, meter=ScriptedMeter())
