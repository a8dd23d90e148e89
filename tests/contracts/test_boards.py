"""What every board does that sits behind the wire: the fake one of the tests, and the real firmware on an emulator."""

import dataclasses
import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tinynas.boards import Board, load_board
from tinynas.compiler import Program
from tinynas.compiler.program import TensorInfo
from tinynas.deploy.build import Image, build
from tinynas.deploy.sizes import Sizes
from tinynas.device.bench import Bench, open_bench
from tinynas.device.client import Client, RefusedError
from tinynas.device.emulator import EmulatedBoard
from tinynas.device.fake import FakeBoard, FakeStation, greeting_of
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import measure, to_cost
from tinynas.device.messages import ResetCause, Status
from tinynas.device.station import EmulatedStation, Station
from tinynas.errors import BenchError

INPUT_BYTES = 3000
OUTPUT_BYTES = 1500
SHA256 = hashlib.sha256(b"every other byte").hexdigest()

NETWORK_H = f"""
#ifndef TN_NETWORK_H
#define TN_NETWORK_H
#include <stdint.h>
#define TN_NETWORK_INPUT_BYTES {INPUT_BYTES}
#define TN_NETWORK_OUTPUT_BYTES {OUTPUT_BYTES}
#define TN_NETWORK_ARENA_BYTES {INPUT_BYTES}
#define TN_NETWORK_CONSTANTS_BYTES 0
extern const uint8_t tn_network_sha256[32];
int8_t *tn_network_input(void);
const int8_t *tn_network_output(void);
void tn_network_invoke(void);
#endif
"""
# It spoils its input, as a network with a tight arena does.
NETWORK_C = """
#include "network.h"
static int8_t arena[TN_NETWORK_INPUT_BYTES] __attribute__((section(".bss.tn_arena"), aligned(16)));
const uint8_t tn_network_sha256[32] = {%s};
int8_t *tn_network_input(void) { return arena; }
const int8_t *tn_network_output(void) { return arena; }
void tn_network_invoke(void)
{
    for (int i = 0; i < TN_NETWORK_OUTPUT_BYTES; i++) {
        arena[i] = arena[2 * i];
    }
}
"""


def every_other(tensor: bytes) -> bytes:
    return tensor[::2]


def program() -> Program:
    def tensor(name: str, size: int) -> TensorInfo:
        return TensorInfo(name=name, shape=(1, size), dtype="int8", scale=1.0, zero_point=0, bytes=size)

    sha256 = ", ".join(str(byte) for byte in bytes.fromhex(SHA256))
    return Program(
        files={"network.h": NETWORK_H.encode(), "network.c": (NETWORK_C % sha256).encode()},
        sha256=SHA256,
        arena_bytes=INPUT_BYTES,
        arena_lower_bound_bytes=INPUT_BYTES,
        arena=(),
        constants_bytes=0,
        inputs=(tensor("input", INPUT_BYTES),),
        outputs=(tensor("output", OUTPUT_BYTES),),
        layers=(),
        kernels=(),
    )


@pytest.fixture(scope="module")
def board() -> Board:
    return load_board("netduinoplus2")


@pytest.fixture(scope="module")
def built(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Image:
    return build(board, program(), tmp_path_factory.mktemp("a desk"))


@pytest.fixture(scope="module")
def built_for_mps2(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return build(load_board("mps2_an386"), program(), tmp_path_factory.mktemp("another desk"))


@pytest.fixture(scope="module")
def imagined() -> Image:
    sizes = Sizes(code=6000, constants=0, static=5000, arena=INPUT_BYTES, image=6000)
    return Image(
        binary=b"",
        sha256=SHA256,
        build_id="ab" * 16,
        sizes=sizes,
        baseline=Sizes(code=4000, constants=0, static=5000, arena=0, image=4000),
        toolchain="none",
        flags="",
        firmware_hash="",
        clock_hz=168_000_000,
    )


@pytest.fixture(scope="module", params=["fake", "netduinoplus2", "mps2_an386"])
def flashed(request, board, tmp_path_factory) -> Iterator[tuple[Station, Image]]:
    """A board that holds the image, under power."""
    images = {"fake": "imagined", "netduinoplus2": "built", "mps2_an386": "built_for_mps2"}
    image = request.getfixturevalue(images[request.param])
    if request.param == "fake":
        fake = FakeBoard(greeting_of(board, input_bytes=INPUT_BYTES, output_bytes=OUTPUT_BYTES), every_other)
        station: Station = FakeStation("fake", board, fake)
    else:
        board = load_board(request.param)
        station = EmulatedStation(EmulatedBoard(board, tmp_path_factory.mktemp("emulated")), board)
    assert station.claim()
    station.flash(image)
    yield station, image
    station.power_off()
    if request.param == "fake":
        fake.close()


@pytest.fixture
def inputs() -> np.ndarray:
    return np.random.default_rng(1).integers(-128, 128, (3, 10, INPUT_BYTES // 10), dtype=np.int8)


def test_outputs_are_those_of_the_inputs_each_repeated_from_the_same_input(flashed, inputs):
    measurement = measure(*flashed, inputs, repeats=3)
    assert measurement.outputs.dtype == np.int8
    assert np.array_equal(measurement.outputs, inputs.reshape(3, -1)[:, ::2])
    assert measurement.ticks.shape == (3, 3)
    assert (measurement.ticks > 0).all()
    assert 0 < measurement.stack_bytes < measurement.greeting.stack_bytes


def test_a_measurement_repeats_to_the_instruction(flashed, inputs):
    first = measure(*flashed, inputs, repeats=2)
    flashed[0].flash(flashed[1])
    second = measure(*flashed, inputs, repeats=2)
    assert np.array_equal(first.ticks, second.ticks)
    assert first.intervals == second.intervals
    assert first.stack_bytes == second.stack_bytes


def test_the_timer_and_the_cycle_counter_agree_on_what_was_executed(built, board, inputs, tmp_path):
    with open_bench(board, directory=tmp_path) as bench:
        measurement = flash_and_measure(bench, built, inputs, repeats=2)
    # A nanosecond of the emulator's time for each instruction; what starts and stops the timer lies outside the pulse.
    nanoseconds = measurement.ticks.ravel() / measurement.ticks_hz * 1e9
    instructions = [sum(each.instructions for each in parts) for parts in measurement.intervals]
    assert ((nanoseconds > instructions) & (nanoseconds < np.add(instructions, 100))).all(), nanoseconds - instructions


def test_more_repeats_than_the_board_stores_are_run_one_by_one(flashed, inputs):
    measurement = measure(*flashed, inputs[:1], repeats=258)
    assert measurement.ticks.shape == (1, 258)
    assert np.array_equal(measurement.outputs, inputs[:1].reshape(1, -1)[:, ::2])


def test_a_figure_of_an_emulated_board_says_so(flashed, inputs):
    board = flashed[0].board
    cost = to_cost(measure(*flashed, inputs, repeats=2), flashed[1], board)
    assert cost.latency_source == cost.sram_source == cost.flash_source == "emulated"
    mhz = board.clock_hz / 1e6
    assert cost.latency_us == pytest.approx((cost.cycles + cost.wait_cycles) / mhz, abs=1 / mhz)
    assert (cost.wait_cycles > 0) == (board.flash_timing is not None and isinstance(flashed[0], EmulatedStation))
    if board.power is None:
        assert (cost.energy_uj, cost.energy_source) == (None, None)
    else:
        assert cost.energy_uj == pytest.approx(cost.latency_us * board.power.run_mw / 1000)
        assert cost.energy_source == "estimated"
        assert board.power.source in cost.energy_basis
    assert cost.sram.arena >= INPUT_BYTES
    assert cost.flash.total < cost.flash.image
    assert cost.repeats == 6


def test_two_emulated_boards_work_at_the_same_time(built, board, inputs, tmp_path):
    barrier = threading.Barrier(2, timeout=60)

    def work(bench: Bench) -> np.ndarray:
        with bench.lease() as station:
            station.flash(built)
            # Nobody passes here unless both boards are leased and under power.
            barrier.wait()
            return measure(station, built, inputs, repeats=2).ticks

    with open_bench(board, count=2, directory=tmp_path) as bench, ThreadPoolExecutor(2) as threads:
        first, second = threads.map(work, [bench, bench])
    assert np.array_equal(first, second)


def test_a_bench_flashes_and_measures_and_recovers_from_a_dead_emulator(built, board, inputs, tmp_path, monkeypatch):
    real, deaths = EmulatedStation.flash, []

    def flash_and_die(station: EmulatedStation, image: Image) -> None:
        real(station, image)
        if not deaths:
            deaths.append(station._emulated.pid)
            os.kill(station._emulated.pid, signal.SIGKILL)

    monkeypatch.setattr(EmulatedStation, "flash", flash_and_die)
    with open_bench(board, directory=tmp_path) as bench:
        measurement = flash_and_measure(bench, built, inputs, repeats=1)
        assert bench.quarantined == {}
    assert deaths
    assert np.array_equal(measurement.outputs, inputs.reshape(3, -1)[:, ::2])


@pytest.mark.parametrize("field", ["sha256", "build_id"])
def test_a_stale_image_is_never_measured(flashed, inputs, field):
    station, image = flashed
    other = dataclasses.replace(image, **{field: "0" * len(getattr(image, field))})
    with pytest.raises(BenchError, match="was not flashed"):
        measure(station, other, inputs, repeats=1)


def test_a_board_at_another_clock_than_its_images_is_not_measured(flashed, inputs):
    station, image = flashed
    other = dataclasses.replace(image, clock_hz=84_000_000)
    with pytest.raises(BenchError, match=f"runs at {image.clock_hz:,} Hz, its image was built for 84,000,000 Hz"):
        measure(station, other, inputs, repeats=1)


def test_inputs_of_another_size_than_the_networks_are_refused(flashed, inputs):
    with pytest.raises(ValueError, match="an input has 1500 B, the network takes 3000 B"):
        measure(*flashed, inputs[:, :5], repeats=1)


def test_a_request_outside_a_range_is_refused_and_the_next_one_served(flashed):
    with Client(flashed[0].port) as client:
        with pytest.raises(RefusedError) as caught:
            client.load(bytes(INPUT_BYTES + 1))
        assert caught.value.status == Status.BAD_REQUEST
        for repeats, status in ((0, Status.BAD_REQUEST), (257, Status.NO_MEMORY)):
            with pytest.raises(RefusedError) as caught:
                client.run(repeats, answer_s=1)
            assert caught.value.status == status
        assert client.hello().input_bytes == INPUT_BYTES


def test_garbage_on_the_wire_does_not_take_the_next_request_along(flashed):
    with Client(flashed[0].port) as client:
        client._link._write(os.urandom(5000))
        assert client.hello().output_bytes == OUTPUT_BYTES


def test_a_reset_raises_the_boot_count_and_a_power_cycle_restarts_it(flashed):
    station, image = flashed
    station.flash(image)
    with Client(station.port) as client:
        assert (client.hello().boot_count, client.hello().reset_cause) == (1, ResetCause.POWER_ON)
        station.reset()
        assert client.hello().boot_count == 2
        client.reset()
        greeting = client.hello()
        assert (greeting.boot_count, greeting.reset_cause) == (3, ResetCause.SOFTWARE)
    station.flash(image)
    with Client(station.port) as client:
        assert client.hello().boot_count == 1
