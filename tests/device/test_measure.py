import dataclasses

import numpy as np
import pytest

from tinynas.device.fake import Fault, Mishap, fake_interval
from tinynas.device.measure import measure, to_cost
from tinynas.device.messages import Request
from tinynas.errors import BenchError

INPUTS = np.arange(-64, 64, dtype=np.int8).reshape(2, 8, 8)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Fakes answer at once or never."""
    monkeypatch.setattr("tinynas.device.measure._FIRST_ANSWER_S", 0.1)
    monkeypatch.setattr("tinynas.device.client._BOOT_S", 0.1)


def inverted(inputs):
    return ~inputs.reshape(len(inputs), -1)


def test_a_reset_in_the_middle_spoils_the_measurement(fake_station, image):
    station = fake_station()
    station.flash(image)
    station.fake.mishaps.append(Mishap(fault=Fault.RESET, request=Request.OUTPUT))
    with pytest.raises(BenchError, match=r"reset while it was measured \(cause watchdog, start 1 became 2\)"):
        measure(station, image, INPUTS, repeats=1)


def test_a_board_without_room_for_a_copy_gets_its_input_before_each_inference(fake_station, image):
    station = fake_station(spare=False)
    station.flash(image)
    measurement = measure(station, image, INPUTS, repeats=3)
    assert measurement.ticks.shape == (2, 3)
    assert np.array_equal(measurement.outputs, inverted(INPUTS))


@pytest.mark.parametrize(("inputs", "repeats"), [(INPUTS[:0], 1), (INPUTS[:, :1], 1), (INPUTS, 0), (INPUTS * 1.0, 1)])
def test_nothing_to_measure_is_a_callers_mistake(fake_station, image, inputs, repeats):
    station = fake_station()
    station.flash(image)
    with pytest.raises(ValueError, match=r"nothing to measure|an input has 8 B, the network takes 64 B"):
        measure(station, image, inputs, repeats=repeats)


def test_the_cost_is_median_and_spread_less_the_empty_firmware(fake_station, image, emulated):
    station = fake_station()
    station.flash(image)
    measurement = measure(station, image, INPUTS, repeats=2)
    intervals = tuple((fake_interval(cycles),) for cycles in (10_000, 10_000, 20_000, 30_000))
    cost = to_cost(dataclasses.replace(measurement, intervals=intervals), image, emulated)
    assert cost.latency_us == pytest.approx(15_000 / 168)
    assert (cost.instructions, cost.cycles, cost.wait_cycles) == (15_000, 15_000, 0)
    assert cost.latency_iqr_us == pytest.approx((22_500 - 10_000) / 168)
    assert cost.repeats == 4
    assert (cost.sram.static, cost.sram.arena, cost.sram.stack) == (100, 64, 200)
    assert (cost.flash.code, cost.flash.constants, cost.flash.image) == (5000, 2000, 11000)
    assert cost.energy_uj == pytest.approx(0.3 * cost.latency_us)
    assert cost.energy_basis == "300.0 mW while running (a datasheet) x latency"
    assert cost.validity.firmware == "f00d"


def test_a_real_boards_figures_are_measured_and_count_no_instructions(fake_station, image, emulated):
    real = emulated.model_copy(update={"link": "serial", "emulator": None, "power": None})
    station = fake_station(board=real)
    station.flash(image)
    cost = to_cost(measure(station, image, INPUTS, repeats=2), image, real)
    assert cost.latency_source == cost.sram_source == "measured"
    assert cost.latency_us == pytest.approx(1000 / 168)
    assert (cost.instructions, cost.cycles, cost.wait_cycles) == (None, None, None)
    assert (cost.energy_uj, cost.energy_source, cost.energy_basis) == (None, None, None)


@pytest.mark.parametrize("writes", [0, 2, 3, 5])
def test_a_board_that_does_not_mark_each_inference_alike_is_not_measured(fake_station, image, monkeypatch, writes):
    station = fake_station()
    station.flash(image)
    monkeypatch.setattr(station, "take_intervals", lambda: (fake_interval(10),) * writes)
    with pytest.raises(BenchError, match=rf"wrote its sync pin {writes} times during 2 inferences"):
        measure(station, image, INPUTS, repeats=2)


def test_the_intervals_of_a_profile_build_are_those_of_its_layers(fake_station, image, monkeypatch):
    station = fake_station()
    station.flash(image)
    taken = tuple(map(fake_interval, (999, 1, 20, 300, 999, 1, 20, 300)))
    monkeypatch.setattr(station, "take_intervals", lambda: taken)
    measurement = measure(station, image, INPUTS[:1], repeats=2)
    assert [[each.cycles for each in parts] for parts in measurement.intervals] == [[1, 20, 300]] * 2
    assert measurement.cycles == 321


def test_inputs_may_differ_and_outliers_are_counted_and_kept(fake_station, image, emulated):
    station = fake_station()
    station.flash(image)
    measurement = measure(station, image, INPUTS, repeats=5)
    cycles = (1000, 1001, 1002, 1003, 5000, *[9000] * 5)
    found = dataclasses.replace(measurement, intervals=tuple((fake_interval(each),) for each in cycles))
    assert found.spread == pytest.approx(2 / 1002)
    assert found.outliers == 1
    cost = to_cost(found, image, emulated)
    assert cost.latency_outliers == 1
    assert cost.latency_us == pytest.approx(7000 / 168)


@pytest.mark.parametrize("starts", [1, 2])
def test_power_that_fails_before_the_answer_spoils_the_measurement(fake_station, image, emulated, starts):
    # After a brown-out the board runs the request that is sent again, on an input of zeros, and counts from 1 anew.
    station = fake_station(board=emulated.model_copy(update={"name": "real", "link": "serial", "emulator": None}))
    station.flash(image)
    if starts == 2:
        station.reset()
    station.fake.mishaps.append(Mishap(fault=Fault.BROWN_OUT, request=Request.RUN))
    with pytest.raises(BenchError, match="reset while it was measured"):
        measure(station, image, INPUTS, repeats=1)
