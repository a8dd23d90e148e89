import pytest

from tinynas.device.check import check_board
from tinynas.device.fake import FakeStation, Fault, Mishap
from tinynas.device.messages import Request, ResetCause


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("tinynas.device.client._BOOT_S", 0.1)


def test_a_good_board_passes_and_its_boot_count_is_told(fake_station, image):
    station = fake_station()
    station.switched = True
    findings = check_board(station, image)
    assert [(finding.what, finding.passed) for finding in findings] == [
        ("flash", True),
        ("reset", True),
        ("power cycle", True),
    ]
    assert "boot count 1 became 2" in findings[1].said
    assert findings[2].said == "boot count 2 became 1, cause power_on: power is really cut"


def test_a_hub_that_does_not_cut_power_is_found_out(fake_station, image):
    station = fake_station()

    def switches_data_only():
        station.fake.restart(ResetCause.PIN)
        return True

    station.power_cycle = switches_data_only
    *_, last = check_board(station, image)
    assert last.passed is False
    assert last.said.startswith("boot count 2 became 3 (cause pin), not 1: its power was not cut")


def test_a_hub_that_does_nothing_at_all_is_found_out(fake_station, image):
    station = fake_station()
    station.power_cycle = lambda: True
    *_, last = check_board(station, image)
    assert last.said.startswith("boot count 2 became 2")


def test_a_board_whose_power_cannot_be_cut_is_told_from_one_that_fails(fake_station, image):
    *_, last = check_board(fake_station(), image)
    assert (last.what, last.passed) == ("power cycle", None)
    assert "no power_cycle command" in last.said


def test_a_reset_that_does_nothing_is_found_out_and_nothing_after_it_is_tried(fake_station, image):
    station = fake_station()
    station.reset = lambda: None
    findings = check_board(station, image)
    assert [finding.passed for finding in findings] == [True, False]
    assert "boot count 1 became 1: the board did not reset" in findings[1].said


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.GARBAGE, Fault.WRONG_SHA])
def test_a_board_that_does_not_answer_with_its_image_fails(fake_station, image, fault):
    station = fake_station()
    station.fake.mishaps.append(Mishap(fault=fault, request=Request.HELLO, times=None))
    if fault is Fault.WRONG_SHA:
        # It answers, and holds what was there before.
        station.flash = lambda image: FakeStation.reset(station)
    (only,) = check_board(station, image)
    assert (only.what, only.passed) == ("flash", False)
