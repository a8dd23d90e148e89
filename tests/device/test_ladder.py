import dataclasses
import json
import logging

import numpy as np
import pytest

from tinynas.device.bench import Bench, Proven
from tinynas.device.fake import FakeStation, Fault, Mishap, fake_interval
from tinynas.device.ladder import flash_and_measure
from tinynas.device.messages import Request
from tinynas.errors import CandidateError, NoBoardError, WrongOutputError
from tinynas.events import logged

INPUTS = np.arange(-64, 64, dtype=np.int8).reshape(2, 8, 8)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Fakes answer at once or never."""
    monkeypatch.setattr("tinynas.device.measure._FIRST_ANSWER_S", 0.1)
    monkeypatch.setattr("tinynas.device.client._BOOT_S", 0.1)


def inverted(inputs):
    return ~inputs.reshape(len(inputs), -1)


def test_a_healthy_board_is_flashed_once_and_left_at_rest(fake_station, image):
    station = fake_station()
    with Bench([station]) as bench:
        measurement = flash_and_measure(bench, image, INPUTS, repeats=3)
    assert np.array_equal(measurement.outputs, inverted(INPUTS))
    assert station.history == ["flash", "off"]
    # Two inputs three times, and once to warm up.
    assert station.fake.runs == 7


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.GARBAGE, Fault.CORRUPT, Fault.RESET])
@pytest.mark.parametrize("times", [1, 4, 8])
def test_a_board_that_recovers_is_measured_rightly_however_long_it_took(fake_station, image, fault, times):
    station = fake_station()
    station.fake.mishaps.append(Mishap(fault=fault, request=Request.RUN, times=times))
    with Bench([station]) as bench:
        measurement = flash_and_measure(bench, image, INPUTS, repeats=2)
        assert bench.quarantined == {}
    assert np.array_equal(measurement.outputs, inverted(INPUTS))


def test_a_stale_greeting_is_asked_for_again(fake_station, image):
    station = fake_station()
    station.fake.mishaps.append(Mishap(fault=Fault.WRONG_SHA, request=Request.HELLO))
    with Bench([station]) as bench:
        assert len(flash_and_measure(bench, image, INPUTS, repeats=1).outputs) == 2


def test_the_ladder_goes_from_mild_to_strong_and_ends_in_quarantine_with_every_reason(fake_station, image):
    station = fake_station("board 7")
    station.fake.mishaps.append(Mishap(fault=Fault.SILENT, request=Request.HELLO, times=None))
    with Bench([station]) as bench:
        with pytest.raises(NoBoardError, match="no board is left: board 7: flash") as caught:
            flash_and_measure(bench, image, INPUTS, repeats=1)
        # Equal reasons are told once.
        assert all(rung in str(caught.value) for rung in ("flash", "repeat", "reset", "flash again"))
        assert "no answer to request 0x01" in bench.quarantined["board 7"]
    assert station.history == ["flash", "reset", "flash", "off"]


def test_a_board_that_cannot_be_flashed_is_not_measured(fake_station, image):
    station = fake_station()
    station.flash_failures = 9
    with (
        Bench([station]) as bench,
        pytest.raises(NoBoardError, match="flash, flash again: fake cannot be flashed"),
    ):
        flash_and_measure(bench, image, INPUTS, repeats=1)
    assert station.history == ["flash", "flash", "off"]
    assert station.fake.runs == 0


def test_another_board_takes_over_from_a_broken_one(fake_station, image):
    broken, healthy = fake_station("broken"), fake_station("healthy")
    broken.fake.mishaps.append(Mishap(fault=Fault.GARBAGE, times=None))
    with Bench([broken, healthy]) as bench:
        for _ in range(2):
            assert np.array_equal(flash_and_measure(bench, image, INPUTS, repeats=1).outputs, inverted(INPUTS))
        assert set(bench.quarantined) == {"broken"}
    # The image is on the board already when it comes the second time.
    assert healthy.history == ["flash", "off", "off"]


def test_what_befalls_a_board_is_in_the_log_with_its_serial_number_and_the_network(fake_station, image, tmp_path):
    broken, healthy = fake_station("broken"), fake_station("healthy")
    broken.fake.mishaps.append(Mishap(fault=Fault.GARBAGE, times=None))
    with logged(tmp_path / "a.log"), Bench([broken, healthy]) as bench:
        flash_and_measure(bench, image, INPUTS, repeats=1, label="mlp:1")
    lines = [json.loads(line) for line in (tmp_path / "a.log").read_text().splitlines()]
    said = [(line["board"], line["event"]) for line in lines]
    assert said == [
        ("broken", "flash"),
        *[("broken", "retry")] * 3,
        ("broken", "flash"),
        ("broken", "retry"),
        ("broken", "quarantine"),
        ("broken", "lease"),
        ("healthy", "flash"),
        ("healthy", "measurement"),
        ("healthy", "lease"),
    ]
    assert all(line["serial"] == f"serial of {line['board']}" and line["genome"] == "mlp:1" for line in lines)
    assert [line["after"] for line in lines if line["event"] == "retry"] == ["flash", "repeat", "reset", "flash again"]
    assert all(line["reason"] for line in lines if line["event"] in {"retry", "quarantine"})


def test_an_image_that_no_board_runs_is_told_from_a_broken_board(fake_station, image):
    stations = [fake_station("a"), fake_station("b")]
    bad = dataclasses.replace(image, sha256="66" * 32)
    for station in stations:
        hangs = Mishap(fault=Fault.RESET, request=Request.RUN, times=None, network_sha256=bytes.fromhex(bad.sha256))
        station.fake.mishaps.append(hangs)
    with Bench(stations) as bench:
        flash_and_measure(bench, image, INPUTS, repeats=1)
        with pytest.raises(CandidateError, match="does not run the image, but one of another network"):
            flash_and_measure(bench, bad, INPUTS, repeats=1)
        assert bench.quarantined == {}
        flash_and_measure(bench, image, INPUTS, repeats=1)
    assert all("flash" in station.history for station in stations)


def test_a_board_that_fails_alone_three_times_is_quarantined_and_no_candidate_pays(fake_station, image):
    weak, strong = fake_station("weak"), fake_station("strong")
    with Bench([weak, strong]) as bench:
        bench.proven = Proven(image=image, inputs=INPUTS[:1])
        for number in range(1, 4):
            candidate = dataclasses.replace(image, sha256=f"{number:064x}")
            fails = Mishap(
                fault=Fault.SILENT,
                request=Request.RUN,
                times=None,
                network_sha256=bytes.fromhex(candidate.sha256),
            )
            weak.fake.mishaps[:] = [fails]
            # The bench takes the board that has been free the longest: the weak one must be it.
            while bench._free[0] is not weak:
                with bench.lease():
                    pass
            assert np.array_equal(flash_and_measure(bench, candidate, INPUTS, repeats=1).outputs, inverted(INPUTS))
            assert set(bench.quarantined) == ({"weak"} if number == 3 else set())
        assert "failed 3 times where another board did not, last: flash" in bench.quarantined["weak"]


def test_a_power_cycle_is_the_last_rung_before_quarantine(fake_station, image):
    station = fake_station()
    station.switched = True
    station.fake.mishaps.append(Mishap(fault=Fault.SILENT, request=Request.RUN, times=None))
    with Bench([station]) as bench:
        assert len(flash_and_measure(bench, image, INPUTS, repeats=1).outputs) == 2
        assert bench.quarantined == {}
    assert station.history == ["flash", "reset", "flash", "power cycle", "off"]


def test_a_board_of_another_kind_is_left_as_it_is(fake_station, image):
    station = fake_station("board 7")
    station.fake.greeting = dataclasses.replace(station.fake.greeting, board="uno_r4")
    with (
        Bench([station]) as bench,
        pytest.raises(NoBoardError, match="board 7 says that it is a uno_r4, not a emulated: it is left as it is"),
    ):
        flash_and_measure(bench, image, INPUTS, repeats=1)
    assert station.history == ["off"]


def test_a_result_under_a_lease_that_was_lost_is_refused_and_measured_again(fake_station, image, caplog):
    caplog.set_level(logging.WARNING)
    station = fake_station()
    losses = []

    def take_intervals():
        if not losses:
            losses.append(1)
            station.epoch += 1
        return FakeStation.take_intervals(station)

    station.take_intervals = take_intervals
    with Bench([station]) as bench:
        measurement = flash_and_measure(bench, image, INPUTS, repeats=1)
        assert bench.quarantined == {}
    assert losses
    assert (measurement.station, measurement.epoch) == ("fake", 3)
    assert "lease 1 ended while it was measured" in caplog.text


def rejecting(*stations):
    """Accepts what boards measured that are not named."""

    def accept(measurement):
        if measurement.station in stations:
            raise WrongOutputError("1 of 64 output bytes differ")

    return accept


def test_a_board_that_computes_wrongly_does_not_cost_the_candidate(fake_station, image):
    stations = [fake_station("sick"), fake_station("sound")]
    with Bench(stations) as bench:
        measurement = flash_and_measure(bench, image, INPUTS, repeats=1, accept=rejecting("sick"))
        assert measurement.station == "sound"
        assert bench._faults == {"sick": 1}


def test_an_output_that_is_wrong_on_two_boards_is_the_candidates(fake_station, image):
    stations = [fake_station("a"), fake_station("b")]
    with Bench(stations) as bench:
        with pytest.raises(WrongOutputError, match="1 of 64"):
            flash_and_measure(bench, image, INPUTS, repeats=1, accept=rejecting("a", "b"))
        assert bench.quarantined == {}
    assert all(station.history.count("flash") == 1 for station in stations)


def test_a_single_board_is_flashed_anew_before_it_may_blame_the_candidate(fake_station, image):
    station = fake_station("only")
    with Bench([station]) as bench, pytest.raises(WrongOutputError):
        flash_and_measure(bench, image, INPUTS, repeats=1, accept=rejecting("only"))
    assert station.history == ["flash", "off", "flash", "off"]


def wavering(station, *latencies):
    """Lets the board's counter say each of the latencies [cycles] in turn, warming up included, then 1000 for ever."""
    left = list(latencies)

    def take_intervals():
        taken = FakeStation.take_intervals(station)
        cycles = [left.pop(0) if left else 1000 for _ in taken[::2]]
        return tuple(fake_interval(each) for each in cycles for _ in range(2))

    station.take_intervals = take_intervals


def test_a_measurement_that_spreads_too_much_is_repeated_until_it_is_steady(fake_station, image, caplog):
    station = fake_station()
    wavering(station, 9000, 1000, 1200, 1400, 1000, 1000, 1000)
    with Bench([station]) as bench:
        measurement = flash_and_measure(bench, image, INPUTS, repeats=3)
    assert measurement.spread == 0
    assert station.fake.runs == 2 * 7
    assert "latencies of one input spread by 16.7 %, limit 5.0 %" in caplog.text


def test_of_three_measurements_that_spread_the_steadiest_is_taken(fake_station, image):
    station = fake_station()
    wave = [(1000, 1200, 1400), (1000, 1100, 1200), (1000, 1400, 1800)]
    wavering(station, *(cycles for each in wave for cycles in (9000, *each, *each)))
    with Bench([station]) as bench:
        measurement = flash_and_measure(bench, image, INPUTS, repeats=3)
        assert bench.quarantined == {}
    assert measurement.spread == pytest.approx(100 / 1100)
    assert station.history == ["flash", "off"]


def test_two_links_to_one_chip_are_told_and_the_second_is_left_alone(fake_station, image, emulated):
    real = emulated.model_copy(update={"name": "real", "link": "serial", "emulator": None})
    left, right, other = (fake_station(name, board=real) for name in ("left", "right", "other"))
    for station, chip in ((left, b"a"), (right, b"a"), (other, b"b")):
        station.fake.greeting = dataclasses.replace(station.fake.greeting, chip_id=chip * 16)
    images = [dataclasses.replace(image, build_id=f"{number:032x}") for number in range(1, 4)]
    with Bench([left, right, other]) as bench:
        found = [flash_and_measure(bench, each, INPUTS, repeats=1).station for each in images]
        assert found == ["left", "other", "left"]
        assert list(bench.quarantined) == ["right"]
        assert f"{right.port} and board left on {left.port} answer as one chip" in bench.quarantined["right"]
