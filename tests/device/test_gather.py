"""Networks that wait for a board while it is busy share an image, and each gets what it would get alone."""

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tinynas.compiler import Program
from tinynas.device.bench import Bench
from tinynas.device.fake import Fault, Mishap
from tinynas.device.gather import Gathering
from tinynas.device.messages import Request
from tinynas.device.pool import BenchPool, Order
from tinynas.errors import LimitError, NoBoardError, WrongOutputError

INPUTS = np.arange(-64, 64, dtype=np.int8).reshape(2, 8, 8)
OUTPUTS = ~INPUTS.reshape(2, 64)
TOGETHER = "cd" * 16


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("tinynas.device.measure._FIRST_ANSWER_S", 0.1)
    monkeypatch.setattr("tinynas.device.client._BOOT_S", 0.1)


@pytest.fixture
def order(image):
    """An order for the network of this number, in an image of its own."""

    def make(number, *, expected=OUTPUTS, fast_bytes=0, **changes):
        program = Program(
            name=f"network_{number}",
            files={},
            sha256=f"{number:064x}",
            arena_bytes=64,
            arena_lower_bound_bytes=64,
            arena=(),
            constants_bytes=0,
            inputs=(),
            outputs=(),
            layers=(),
            kernels=(),
            fast_bytes=fast_bytes,
        )
        own = {"sha256": program.sha256, "build_id": f"{number + 1:032x}", "program": program}
        return Order(
            image=dataclasses.replace(image, **own, **changes),
            inputs=INPUTS,
            expected=expected,
            repeats=2,
            label=f"network {number}",
        )

    return make


@pytest.fixture
def combined():
    """The images that were combined, in turn, by the numbers of their networks."""
    return []


@pytest.fixture
def combine(combined):
    def combine(images):
        combined.append([int(image.sha256, 16) for image in images])
        networks = tuple(image.sha256 for image in images)
        return [dataclasses.replace(image, build_id=TOGETHER, networks=networks) for image in images]

    return combine


def measured(gathering, bench, orders):
    """What becomes of `orders` that all wait while the only board is busy, and then of the first as leader."""
    with ThreadPoolExecutor(len(orders)) as threads:
        with bench.lease():
            answers = []
            for order in orders:
                answers.append(threads.submit(gathering.measure, order))
                # The first one waits for the board itself, so it goes alone.
                time.sleep(0.05)
        return answers


def test_those_who_wait_are_flashed_once_together(fake_station, emulated, order, combine, combined):
    station = fake_station("only")
    with Bench([station]) as bench:
        gathering = Gathering(BenchPool(bench), emulated, combine, most=8)
        answers = [answer.result() for answer in measured(gathering, bench, [order(number) for number in range(5)])]
    assert combined == [[1, 2, 3, 4]]
    assert station.history.count("flash") == 2
    assert [answer.greeting.network_sha256.hex() for answer in answers] == [f"{number:064x}" for number in range(5)]
    assert all((answer.outputs == OUTPUTS).all() for answer in answers)


def test_no_more_than_may_be_are_flashed_together(fake_station, emulated, order, combine, combined):
    with Bench([fake_station("only")]) as bench:
        gathering = Gathering(BenchPool(bench), emulated, combine, most=2)
        for answer in measured(gathering, bench, [order(number) for number in range(6)]):
            answer.result()
    assert sorted(combined) == [[1, 2], [3, 4]]


def test_nobody_waits_for_company(fake_station, emulated, order, combine, combined):
    with Bench([fake_station("only")]) as bench:
        gathering = Gathering(BenchPool(bench), emulated, combine, most=8)
        for number in range(3):
            assert gathering.measure(order(number)).station == "only"
    assert combined == []


def test_several_boards_work_at_the_same_time(fake_station, emulated, order, combine):
    meeting = threading.Barrier(2, timeout=10)
    stations = [fake_station("left"), fake_station("right")]
    with Bench(stations) as bench, ThreadPoolExecutor(2) as threads:
        pool = BenchPool(bench)
        measure = pool.measure
        pool.measure = lambda order: (meeting.wait(), measure(order))[1]
        gathering = Gathering(pool, emulated, combine, most=8)
        answers = list(threads.map(gathering.measure, [order(number) for number in range(2)]))
    assert {answer.station for answer in answers} == {"left", "right"}


@pytest.mark.parametrize(
    "changes",
    [
        {"optimize": "size"},
        {"clock_hz": 84_000_000},
        {"fast_bytes": 16},
        {"program": None},
        {"sha256": f"{1:064x}"},
    ],
)
def test_who_does_not_fit_into_the_company_goes_alone(fake_station, emulated, order, combine, combined, changes):
    stranger = order(3, **{name: value for name, value in changes.items() if name == "fast_bytes"})
    own = {name: value for name, value in changes.items() if name != "fast_bytes"}
    stranger = dataclasses.replace(stranger, image=dataclasses.replace(stranger.image, **own))
    with Bench([fake_station("only")]) as bench:
        gathering = Gathering(BenchPool(bench), emulated, combine, most=8)
        for answer in measured(gathering, bench, [order(0), order(1), order(2), stranger]):
            answer.result()
    assert combined == [[1, 2]]


def test_the_flash_bounds_the_company(fake_station, emulated, order, combine, combined):
    # The firmware takes 4,000 bytes and each network 7,000.
    small = emulated.model_copy(update={"flash_bytes": 18_000})
    with Bench([fake_station("only")]) as bench:
        gathering = Gathering(BenchPool(bench), small, combine, most=8)
        for answer in measured(gathering, bench, [order(number) for number in range(5)]):
            answer.result()
    assert combined == [[1, 2], [3, 4]]


def test_company_that_does_not_link_is_measured_one_by_one(fake_station, emulated, order):
    def refuse(images):
        raise LimitError("needs more flash")

    station = fake_station("only")
    with Bench([station]) as bench:
        gathering = Gathering(BenchPool(bench), emulated, refuse, most=8)
        for answer in measured(gathering, bench, [order(number) for number in range(3)]):
            answer.result()
    assert station.history.count("flash") == 3


def test_a_network_that_is_wrong_in_company_is_tried_alone_before_it_is_blamed(fake_station, emulated, order, combine):
    class Wrong(BenchPool):
        def measure(self, order):
            found = super().measure(order)
            if found.greeting.networks > 1 and order.label == "network 2":
                raise WrongOutputError("1 of 64 output bytes differs")
            return found

    with Bench([fake_station("only")]) as bench:
        gathering = Gathering(Wrong(bench), emulated, combine, most=8)
        answers = [answer.result() for answer in measured(gathering, bench, [order(number) for number in range(4)])]
    assert [answer.greeting.networks for answer in answers] == [1, 3, 1, 3]


def test_a_network_that_crashes_the_board_takes_no_other_along(fake_station, emulated, order, combine):
    station = fake_station("only")
    crash = Mishap(fault=Fault.RESET, request=Request.RUN, times=None, network_sha256=bytes.fromhex(f"{2:064x}"))
    station.fake.mishaps.append(crash)

    with Bench([station]) as bench:
        gathering = Gathering(BenchPool(bench), emulated, combine, most=8)
        answers = measured(gathering, bench, [order(number) for number in range(4)])
        assert [answer.exception() is None for answer in answers] == [True, True, False, True]
        assert "does not run the image, but one of another network" in str(answers[2].exception())
        assert bench.quarantined == {}


def test_everybody_is_told_when_no_board_is_left(fake_station, emulated, order, combine):
    station = fake_station("only")
    with Bench([station]) as bench:
        gathering = Gathering(BenchPool(bench), emulated, combine, most=8)
        station.flash_failures = 99
        answers = measured(gathering, bench, [order(number) for number in range(3)])
        assert all(isinstance(answer.exception(), NoBoardError) for answer in answers)


def test_a_network_whose_output_is_not_the_expected_one_is_refused(fake_station, emulated, order, combine):
    with Bench([fake_station("only")]) as bench:
        gathering = Gathering(BenchPool(bench), emulated, combine, most=8)
        with pytest.raises(WrongOutputError, match="128 of 128 output bytes differ between emulated and tflite-micro"):
            gathering.measure(order(0, expected=~OUTPUTS))
