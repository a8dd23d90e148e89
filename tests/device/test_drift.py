import dataclasses

import numpy as np
import pytest

from tinynas.device.bench import Bench
from tinynas.device.drift import DriftGuard
from tinynas.device.fake import FakeStation, Fault, Mishap
from tinynas.device.ladder import flash_and_measure, verify
from tinynas.device.link import RESENDS
from tinynas.device.messages import Request

INPUTS = np.arange(-64, 64, dtype=np.int8).reshape(2, 8, 8)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("tinynas.device.measure._FIRST_ANSWER_S", 0.1)
    monkeypatch.setattr("tinynas.device.client._BOOT_S", 0.1)


@pytest.fixture
def clocked(fake_station, emulated):
    """Makes boards that are timed by their own timer; `fake.ticks` says how long an inference takes."""
    real = emulated.model_copy(update={"name": "real", "link": "serial", "emulator": None})
    return lambda name: fake_station(name, board=real)


@pytest.fixture
def measure_on(image):
    """Measures a candidate of this number; returns the ticks that it was credited with."""

    def measure(bench, number):
        candidate = dataclasses.replace(image, sha256=f"{number:064x}", build_id=f"{number:032x}")
        found = flash_and_measure(bench, candidate, INPUTS, repeats=2, label=f"candidate {number}")
        return found.station, sorted(set(found.ticks.flat))

    return measure


def test_while_nothing_drifts_nothing_is_suspect(clocked, measure_on):
    station = clocked("a")
    with Bench([station], drift=DriftGuard(every=3)) as bench:
        for number in range(8):
            assert measure_on(bench, number) == ("a", [1000])
        assert bench.drift.unchecked() == ["a"]
        assert verify(bench) == set()
        assert bench.drift.unchecked() == []
        assert bench.quarantined == {}


def test_a_shift_within_the_noise_is_none(clocked, measure_on):
    station = clocked("a")
    with Bench([station], drift=DriftGuard(every=2)) as bench:
        measure_on(bench, 0)
        station.fake.ticks = lambda: 1004
        measure_on(bench, 1)
        assert verify(bench) == set()


def test_what_was_measured_since_the_last_good_check_is_repeated_after_a_recovery(clocked, measure_on):
    station = clocked("a")

    def reset_mends():
        station.fake.ticks = lambda: 1000
        FakeStation.reset(station)

    station.reset = reset_mends
    with Bench([station], drift=DriftGuard(every=3)) as bench:
        assert measure_on(bench, 0) == ("a", [1000])
        station.fake.ticks = lambda: 1100
        assert measure_on(bench, 1) == ("a", [1100])
        assert measure_on(bench, 2) == ("a", [1100])
        # This one's check finds out, and it is measured again at once.
        assert measure_on(bench, 3) == ("a", [1000])
        assert bench.quarantined == {}
        assert verify(bench) == {"candidate 1", "candidate 2"}
        assert verify(bench) == set()


def test_a_board_that_stays_wrong_is_quarantined_and_a_sister_measures(clocked, measure_on):
    left, right = clocked("left"), clocked("right")
    with Bench([left, right], drift=DriftGuard(every=2)) as bench:
        assert [measure_on(bench, number)[0] for number in range(2)] == ["left", "right"]
        left.fake.ticks = lambda: 970
        assert measure_on(bench, 2) == ("left", [970])
        assert measure_on(bench, 3) == ("right", [1000])
        assert measure_on(bench, 4) == ("right", [1000])
        assert verify(bench) == {"candidate 2"}
        assert "takes 5.8 us and took 6.0 us at the start" in bench.quarantined["left"]


def test_results_of_a_board_that_was_taken_away_before_its_check_are_suspect(clocked, measure_on):
    with Bench([clocked("left"), clocked("right")], drift=DriftGuard(every=9)) as bench:
        for number in range(4):
            measure_on(bench, number)
        bench.quarantine("left", "it smokes")
        assert verify(bench) == {"candidate 2"}


def test_a_recovery_is_followed_by_a_check(clocked, measure_on):
    station = clocked("a")
    with Bench([station], drift=DriftGuard(every=99)) as bench:
        for number in range(2):
            measure_on(bench, number)
        assert bench.drift.unchecked() == ["a"]
        # As often as one exchange asks at the most.
        station.fake.mishaps.append(Mishap(fault=Fault.SILENT, request=Request.RUN, times=1 + 2 * RESENDS))
        measure_on(bench, 2)
        assert bench.drift.unchecked() == []


def test_a_board_that_does_not_run_the_reference_any_more_is_quarantined(clocked, measure_on):
    left, right = clocked("left"), clocked("right")
    with Bench([left, right], drift=DriftGuard(every=2)) as bench:
        for number in range(4):
            measure_on(bench, number)
        left.flash_failures = 99
        assert "candidate 2" in verify(bench)
        assert "left cannot be flashed" in bench.quarantined["left"]


def test_without_a_guard_there_is_nothing_to_verify(clocked, measure_on):
    with Bench([clocked("a")]) as bench:
        measure_on(bench, 0)
        assert verify(bench) == set()
