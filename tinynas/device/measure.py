"""Run an image on a board and say what it costs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tinynas.boards import Board, Power
from tinynas.cost import Cost, Flash, Source, Sram, Validity
from tinynas.deploy.build import Image
from tinynas.device.client import Client, RefusedError, StackUse
from tinynas.device.counter import Interval, total
from tinynas.device.energy import Energy
from tinynas.device.messages import MAX_REPEATS, Greeting, Status
from tinynas.device.station import Station
from tinynas.errors import BenchError, LeaseLostError, WrongOutputError

# How long a first inference is waited for, four times over: nothing is known of a network's speed before.
_FIRST_ANSWER_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a board did with n inputs, each run `repeats` times.

    outputs: int8 of shape (n, output_bytes), as the board computed them.
    ticks: int64 of shape (n, repeats), one timed inference each, of a timer with `ticks_hz` ticks a second.
    intervals: of each timed inference, in the order of `ticks`, what was executed between its writes to the sync pin:
    one interval, or in a profile build one before its first layer, one for each layer and one after its last. None
    where nothing counts.
    stack_bytes: painted high water of the stack during an inference [B]; depth_bytes: what the firmware had on it where
    the inference began.
    station, epoch: the board's place on the bench and the lease under which all of this was measured.
    energy: of one inference, where an instrument is on the board's supply.
    """

    outputs: np.ndarray
    ticks: np.ndarray
    ticks_hz: int
    clock_hz: int
    intervals: tuple[tuple[Interval, ...], ...] | None
    stack_bytes: int
    depth_bytes: int
    greeting: Greeting
    source: Literal["measured", "emulated"]
    station: str
    epoch: int
    energy: Energy | None = None

    @property
    def instructions(self) -> int | None:
        """Executed instructions per inference, median; None where nothing counts them."""
        return self._median(lambda counted: counted.instructions)

    @property
    def cycles(self) -> int | None:
        """Modelled cycles per inference with memory that never makes the CPU wait, median."""
        return self._median(lambda counted: counted.cycles)

    @property
    def wait_cycles(self) -> int | None:
        """Modelled cycles per inference that the CPU waits for the board's flash, median."""
        return self._median(lambda counted: counted.wait_cycles)

    @property
    def latencies_us(self) -> np.ndarray:
        """Latency of every timed inference [us], float64 of shape (n, repeats).

        On an emulated board it is modelled: cycles and wait cycles over the clock, and the timer is not asked.
        """
        if self.intervals is None:
            return self.ticks / self.ticks_hz * 1e6
        inferences = [total(parts) for parts in self.intervals]
        cycles = np.array([each.cycles + each.wait_cycles for each in inferences]).reshape(self.ticks.shape)
        return cycles / self.clock_hz * 1e6

    @property
    def spread(self) -> float:
        """Interquartile range over median of one input's latencies, of the input where it is largest.

        Latencies of different inputs may differ for good reasons, those of one input may not.
        """
        low, median, high = np.percentile(self.latencies_us, [25, 50, 75], axis=1)
        return float(np.max((high - low) / median))

    @property
    def outliers(self) -> int:
        """How many latencies lie more than 1.5 interquartile ranges outside the quartiles of their input (Tukey,
        Exploratory Data Analysis, 1977). They stay in all figures.
        """
        latencies = self.latencies_us
        low, high = np.percentile(latencies, [25, 75], axis=1, keepdims=True)
        fence = 1.5 * (high - low)
        return int(np.sum((latencies < low - fence) | (latencies > high + fence)))

    def _median(self, figure: Callable[[Interval], int]) -> int | None:
        if self.intervals is None:
            return None
        return round(float(np.median([sum(map(figure, parts)) for parts in self.intervals])))


def measure(station: Station, image: Image, inputs: np.ndarray, *, repeats: int) -> Measurement:
    """Run the network that the board holds on every input, `repeats` times each, after one run that warms up caches
    and does not count.

    Args:
        image: what the board must hold; a board that says otherwise is not measured.
        inputs: int8 of shape (n, ...) with n >= 1, each the size of the network's input.

    Raises:
        BenchError: the board holds another image, or runs at another clock than that one was built for.
        LeaseLostError: another process was given the board meanwhile.
        LinkError: the board does not answer, or not with what was asked for.
        ValueError: there is no input, an input has another size than the network's, or `repeats` is below 1.
    """
    if not len(inputs) or repeats < 1 or inputs.dtype != np.int8:
        raise ValueError(f"nothing to measure: {len(inputs)} inputs of {inputs.dtype}, {repeats} times")
    board, epoch = station.board, station.epoch
    with Client(station.port, baud=board.baud) as client:
        greeting = client.hello()
        if greeting.boot_count == 1 and not board.emulated:
            # Should power fail for a moment, the count becomes 1 again, which must not look like no reset at all.
            client.reset()
            greeting = client.hello()
        if image.networks and greeting.build_id.hex() == image.build_id:
            greeting = client.select(bytes.fromhex(image.sha256))
        _require_fresh(greeting, image, station)
        outputs, runs = _run_all(station, client, greeting, inputs.reshape(len(inputs), -1), repeats)
        _require_same_start(client.hello(), greeting, station)
    if station.epoch != epoch:
        raise LeaseLostError(f"board {station.name}: lease {epoch} ended while it was measured")
    return Measurement(
        outputs=outputs,
        ticks=np.array([run.ticks for run in runs], np.int64),
        ticks_hz=greeting.ticks_hz,
        clock_hz=greeting.clock_hz,
        intervals=None if runs[0].intervals is None else tuple(each for run in runs for each in run.intervals or ()),
        stack_bytes=max(run.stack.used_bytes for run in runs),
        depth_bytes=max(run.stack.depth_bytes for run in runs),
        greeting=greeting,
        source="emulated" if board.emulated else "measured",
        station=station.name,
        epoch=epoch,
    )


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What `repeats` inferences of one input gave."""

    ticks: list[int]
    intervals: list[tuple[Interval, ...]] | None
    stack: StackUse


def _run_all(
    station: Station, client: Client, greeting: Greeting, inputs: np.ndarray, repeats: int
) -> tuple[np.ndarray, list[_Run]]:
    """Outputs (n, output_bytes) and one run for each of the inputs, int8 of shape (n, input_bytes)."""
    if inputs.shape[1] != greeting.input_bytes:
        raise ValueError(f"an input has {inputs.shape[1]} B, the network takes {greeting.input_bytes} B")
    answer_s = _FIRST_ANSWER_S
    runs, outputs = [], []
    client.load(inputs[0].tobytes())
    client.run(1, answer_s=answer_s)
    for tensor in inputs:
        started = time.monotonic()
        runs.append(_run(station, client, tensor.tobytes(), repeats, answer_s))
        outputs.append(np.frombuffer(client.output(greeting.output_bytes), np.int8))
        # Later inputs take as long as the first one, give or take the host's other work.
        answer_s = min(answer_s, 1.0 + 10 * (time.monotonic() - started))
    return np.stack(outputs), runs


def _run(station: Station, client: Client, tensor: bytes, repeats: int, answer_s: float) -> _Run:
    ticks: list[int] = []
    intervals: list[tuple[Interval, ...]] | None = None
    used: list[StackUse] = []
    batch = min(repeats, MAX_REPEATS)
    while len(ticks) < repeats:
        # An inference may overwrite its input, and a board without room for a copy needs it again each time.
        client.load(tensor)
        count = min(batch, repeats - len(ticks))
        station.take_intervals()
        try:
            used.append(client.run(count, answer_s=answer_s * count))
        except RefusedError as error:
            if error.status != Status.NO_MEMORY or count == 1:
                raise
            batch = 1
        else:
            ticks += client.ticks(count)
            taken = station.take_intervals()
            if taken is not None:
                intervals = [*(intervals or []), *_by_inference(taken, count, station)]
    return _Run(ticks=ticks, intervals=intervals, stack=max(used, key=lambda stack: stack.used_bytes))


def _by_inference(taken: Sequence[Interval], count: int, station: Station) -> list[tuple[Interval, ...]]:
    """The intervals of each of `count` inferences, without the one that ends where it starts."""
    each = len(taken) // count
    if each < 2 or len(taken) % count:
        raise BenchError(
            f"board {station.name} wrote its sync pin {len(taken)} times during {count} inferences, "
            "not as often in each and at least twice: is the firmware the one that came with this tinynas?"
        )
    return [tuple(taken[first + 1 : first + each]) for first in range(0, len(taken), each)]


def _require_fresh(greeting: Greeting, image: Image, station: Station) -> None:
    held, wanted = greeting.network_sha256.hex(), image.sha256
    if held != wanted:
        raise BenchError(f"board {station.name} holds network {held[:12]}, not {wanted[:12]}: it was not flashed")
    held, wanted = greeting.build_id.hex(), image.build_id
    if held != wanted:
        raise BenchError(f"board {station.name} holds build {held[:12]}, not {wanted[:12]}: it was not flashed")
    if greeting.clock_hz != image.clock_hz:
        raise BenchError(
            f"board {station.name} runs at {greeting.clock_hz:,} Hz, its image was built for {image.clock_hz:,} Hz"
        )


def _require_same_start(after: Greeting, before: Greeting, station: Station) -> None:
    """A board that reset in between measured an empty input."""
    if _state_of(after) != _state_of(before):
        raise BenchError(
            f"board {station.name} reset while it was measured (cause {after.reset_cause.name.lower()}, "
            f"start {before.boot_count} became {after.boot_count})"
        )


def _state_of(greeting: Greeting) -> tuple[object, ...]:
    """What a reset changes, and another image."""
    return greeting.boot_count, greeting.build_id, greeting.network_sha256


def require_equal(outputs: np.ndarray, expected: np.ndarray, board: str) -> None:
    """Compare int8 arrays of shape (n, ...), byte for byte.

    Raises:
        WrongOutputError: a byte differs; the message says how many and where the first one is.
    """
    flat, wanted = outputs.reshape(len(expected), -1), expected.reshape(len(expected), -1)
    differing = (flat != wanted).nonzero()
    if len(differing[0]):
        sample, element = int(differing[0][0]), int(differing[1][0])
        raise WrongOutputError(
            f"{len(differing[0]):,} of {wanted.size:,} output bytes differ between {board} and tflite-micro, first "
            f"input {sample}, element {element}: {int(flat[sample, element])} on the board, "
            f"{int(wanted[sample, element])} on the host"
        )


def to_cost(measurement: Measurement, image: Image, board: Board) -> Cost:
    """What the network costs: latency and stack as the board gave them, memories of the image less those of an image
    without a network, energy as the instrument saw it, or without one as the datasheet's power times the latency.
    """
    latencies = measurement.latencies_us
    latency_us = float(np.median(latencies))
    quartiles = np.percentile(latencies, [25, 75])
    source: Source = measurement.source
    sizes, empty = image.sizes, image.baseline
    static = sizes.static - empty.static + (0 if board.fast_memory else sizes.fast)
    return Cost(
        latency_us=latency_us,
        latency_source=source,
        latency_iqr_us=float(quartiles[1] - quartiles[0]),
        latency_outliers=measurement.outliers,
        repeats=measurement.ticks.size,
        instructions=measurement.instructions,
        cycles=measurement.cycles,
        wait_cycles=measurement.wait_cycles,
        sram=Sram(static=static, arena=sizes.arena - empty.arena, stack=measurement.stack_bytes),
        sram_source=source,
        flash=Flash(code=sizes.code - empty.code, constants=sizes.constants - empty.constants, image=sizes.image),
        flash_source=source,
        **_energy_fields(measurement.energy, board.at(image.clock_hz).power, latency_us),
        validity=Validity(
            board=board.name,
            clock_hz=measurement.clock_hz,
            toolchain=image.toolchain,
            flags=image.flags,
            firmware=image.firmware_hash,
        ),
    )


def _energy_fields(energy: Energy | None, power: Power | None, latency_us: float) -> dict[str, Any]:
    """The fields of Cost that are about energy."""
    if energy is not None:
        return {
            "energy_uj": energy.energy_uj,
            "energy_source": energy.source,
            "energy_basis": energy.basis,
            "energy_iqr_uj": energy.iqr_uj,
            "idle_mw": energy.idle_mw,
            "supply_v": energy.supply_v,
        }
    if power is None:
        return {}
    return {
        "energy_uj": power.run_mw * latency_us / 1000,
        "energy_source": "estimated",
        "energy_basis": f"{power.run_mw:.1f} mW while running ({power.source}) x latency",
    }
