"""Energy per inference by an instrument: several runs, each long enough, each refused where it cannot be right."""

import itertools
import logging
import time
from dataclasses import dataclass

import numpy as np

from tinynas.cost import Source
from tinynas.device.client import Client, RefusedError
from tinynas.device.messages import Greeting, Status
from tinynas.device.meters.contract import Meter, Recording, Subject
from tinynas.device.station import Station
from tinynas.errors import MeterError

_log = logging.getLogger(__name__)

# A run is repeated so often when samples were lost in it.
_ATTEMPTS = 3
_MOST_LOST = 0.001
# Of the voltage that the board is meant to have.
_VOLTAGE_TOLERANCE = 0.05
# Two clocks, the board's and the instrument's, and some edges.
_LENGTH_TOLERANCE = 0.02
# Instruments hand over samples in blocks: a pulse from before the start must not be in the first one.
_SETTLE_S = 0.1
# How long the board is given for a first inference, four times over.
_FIRST_ANSWER_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Rule:
    """runs: whose median counts; inferences, seconds: at least, in each run; idle_s: how long the board rests for its
    idle power to be taken.
    """

    runs: int = 5
    inferences: int = 10
    seconds: float = 10.0
    idle_s: float = 1.0


RULE = Rule()


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy of one inference: median over `runs` runs and interquartile range [uJ], each run a mean over its
    inferences, idle power included. idle_mw: what the board draws while it waits for a request [mW]; supply_v [V]:
    either None where the instrument does not know.
    """

    energy_uj: float
    iqr_uj: float
    runs: int
    inferences: int
    idle_mw: float | None
    supply_v: float | None
    source: Source
    basis: str


class _LostSamplesError(MeterError):
    """Bad luck, perhaps: the run is worth repeating."""


def measure_energy(
    meter: Meter, station: Station, inputs: np.ndarray, *, rule: Rule = RULE, greeting: Greeting | None = None
) -> Energy:
    """Run the network that the board holds while `meter` looks on.

    Args:
        inputs: int8 of shape (n, input bytes), taken in turn.
        greeting: what the board must still say afterwards.

    Raises:
        MeterError: the instrument went away, lost samples, was overdriven, sees another voltage than the board should
            have, or other pulses than the board ran inferences.
        LinkError: the board does not answer.
    """
    with Client(station.port, baud=station.board.baud) as client:
        before = client.hello()
        if greeting is not None and before != greeting:
            raise MeterError(f"board {station.name} started again before its energy was measured")
        runner = _Runner(client, before, inputs)
        subject = Subject(
            board=station.board,
            client=client,
            latency_s=runner.warm_up(),
            take_intervals=station.take_intervals,
        )
        idle = _rest_of(meter, subject, min(rule.idle_s, meter.shortest_s))
        recordings = [_valid_run(meter, subject, runner, rule, number) for number in range(1, rule.runs + 1)]
        if client.hello().boot_count != before.boot_count:
            raise MeterError(f"board {station.name} started again while its energy was measured")
    return _summary(meter, idle, recordings)


class _Runner:
    """Has the board run inferences one at a time, so that the sync pin is low long enough between them to be seen."""

    def __init__(self, client: Client, greeting: Greeting, inputs: np.ndarray) -> None:
        self._client = client
        self._ticks_hz = greeting.ticks_hz
        self._tensors = itertools.cycle(each.tobytes() for each in inputs.reshape(len(inputs), -1))
        self._tensor = b""
        self._keeps_input = True
        self._answer_s = _FIRST_ANSWER_S

    def warm_up(self) -> float:
        """What one inference takes by the board's timer [s]."""
        self.next_input()
        try:
            self._client.run(2, answer_s=2 * self._answer_s)
        except RefusedError as error:
            # There is no room for a copy of the input, so it is spent after one inference.
            if error.status != Status.NO_MEMORY:
                raise
            self._keeps_input = False
        started = time.monotonic()
        latency_s = self.run()
        self._answer_s = 1.0 + 10 * (time.monotonic() - started)
        return latency_s

    def next_input(self) -> None:
        self._tensor = next(self._tensors)
        self._client.load(self._tensor)

    def run(self) -> float:
        """Run one inference; what it took by the board's timer [s]."""
        self._client.run(1, answer_s=self._answer_s)
        latency_s = self._client.ticks(1)[0] / self._ticks_hz
        if not self._keeps_input:
            self._client.load(self._tensor)
        return latency_s


def _rest_of(meter: Meter, subject: Subject, seconds: float) -> Recording:
    """The board's rest. Raises MeterError: it does not rest."""
    time.sleep(_SETTLE_S)
    meter.start(subject)
    time.sleep(seconds)
    recording = _checked(meter, meter.stop())
    if recording.pulses_s:
        raise MeterError(
            f"meter {meter.name} saw {len(recording.pulses_s)} pulses of the sync pin while board "
            f"{subject.board.name} was at rest: is the sync line connected, and to the right input?"
        )
    return recording


def _valid_run(meter: Meter, subject: Subject, runner: _Runner, rule: Rule, number: int) -> Recording:
    """One run in which no more samples were lost than may be. Raises MeterError."""
    for attempt in itertools.count(1):
        runner.next_input()
        try:
            return _run(meter, subject, runner, rule)
        except _LostSamplesError as error:
            if attempt == _ATTEMPTS:
                raise MeterError(f"run {number}, tried {_ATTEMPTS} times: {error}") from error
            _log.warning("run %d is repeated: %s", number, error)
    raise AssertionError("itertools.count does not end")


def _run(meter: Meter, subject: Subject, runner: _Runner, rule: Rule) -> Recording:
    """One run of at least so many inferences and seconds. Raises MeterError."""
    ran: list[float] = []
    time.sleep(_SETTLE_S)
    meter.start(subject)
    started, seconds = time.monotonic(), min(rule.seconds, meter.shortest_s)
    while len(ran) < rule.inferences or time.monotonic() - started < seconds:
        ran.append(runner.run())
        meter.ran(ran[-1])
    recording = _checked(meter, meter.stop())
    _require_all_pulses(meter, subject, recording, ran)
    return recording


def _checked(meter: Meter, recording: Recording) -> Recording:
    """Raises MeterError: samples are missing or clipped, or the voltage is another one."""
    if recording.lost_share > _MOST_LOST:
        raise _LostSamplesError(
            f"meter {meter.name} lost {recording.lost:,} of {recording.samples + recording.lost:,} samples, "
            f"{recording.lost_share:.2%}, at most {_MOST_LOST:.1%} are allowed: give it a USB port of its own, and the "
            "host less other work"
        )
    if recording.clipped:
        raise MeterError(
            f"meter {meter.name} was at an end of its range in {recording.clipped:,} of {recording.samples:,} samples: "
            "the board draws more than it can measure; choose a larger range or shunt"
        )
    if meter.supply_v is not None and recording.supply_v is not None:
        off = abs(recording.supply_v - meter.supply_v) / meter.supply_v
        if off > _VOLTAGE_TOLERANCE:
            raise MeterError(
                f"meter {meter.name} saw {recording.supply_v:.2f} V, the board is to have {meter.supply_v:.2f} V: "
                "check supply and wiring, or correct supply_v"
            )
    return recording


def _require_all_pulses(meter: Meter, subject: Subject, recording: Recording, ran: list[float]) -> None:
    """Raises MeterError: what the instrument saw is not what the board did."""
    if len(recording.pulses_s) != len(ran):
        raise MeterError(
            f"board {subject.board.name} ran {len(ran)} inferences, meter {meter.name} saw {len(recording.pulses_s)} "
            "pulses of the sync pin: is the line connected, and its level what the instrument takes?"
        )
    seen_s, took_s = float(np.mean(recording.pulses_s)), float(np.mean(ran))
    # An emulated board's timer counts instructions, not cycles: there is one clock, and nothing to compare.
    if recording.resolution_s and abs(seen_s - took_s) > _LENGTH_TOLERANCE * took_s + 2 * recording.resolution_s:
        raise MeterError(
            f"meter {meter.name} saw pulses of {seen_s * 1e6:,.1f} us, the board's timer says {took_s * 1e6:,.1f} us: "
            "one of the two clocks is wrong, or samples were lost unseen"
        )


def _summary(meter: Meter, idle: Recording, recordings: list[Recording]) -> Energy:
    means_uj = [float(np.mean(each.pulses_uj)) for each in recordings]
    quartiles = np.percentile(means_uj, [25, 75])
    volts = [each.supply_v for each in recordings if each.supply_v is not None]
    inferences = sum(len(each.pulses_uj) for each in recordings)
    note = f"; {recordings[-1].note}" if recordings[-1].note else ""
    return Energy(
        energy_uj=float(np.median(means_uj)),
        iqr_uj=float(quartiles[1] - quartiles[0]),
        runs=len(recordings),
        inferences=inferences,
        idle_mw=idle.between_mw,
        supply_v=float(np.mean(volts)) if volts else None,
        source=meter.source,
        basis=f"meter {meter.name}: median of {len(recordings)} runs, {inferences:,} inferences, "
        f"idle power included{note}",
    )
