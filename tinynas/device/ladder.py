"""From an image to its measurement, whatever goes wrong on the way: who failed is found out, and only that one pays."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tinynas.deploy.build import Image
from tinynas.device.bench import Bench, Proven
from tinynas.device.client import Client
from tinynas.device.energy import measure_energy
from tinynas.device.measure import Measurement, measure
from tinynas.device.station import Station
from tinynas.errors import (
    BenchError,
    CandidateError,
    LeaseLostError,
    MeterError,
    NoBoardError,
    WrongBoardError,
    WrongOutputError,
)

_log = logging.getLogger(__name__)

# The rungs of the ladder, mildest first.
_RUNGS = ("flash", "repeat", "reset", "flash again", "power cycle")
_STEADY_ATTEMPTS = 3
_REFERENCE_REPEATS = 15
# A board that holds one of our images answers at once.
_GREETING_S = 0.0


def flash_and_measure(
    bench: Bench,
    image: Image,
    inputs: np.ndarray,
    *,
    repeats: int,
    accept: Callable[[Measurement], None] = lambda measurement: None,
    label: str = "",
) -> Measurement:
    """Measure `image` on any board of the bench. Arguments and result as for `measure`; `accept` raises
    WrongOutputError if it does not take the measurement; `label` is what `verify` calls it if it becomes suspect.

    A board that fails is tried again as it is, after a reset, after flashing it again and after a power cycle. Then it
    is given the last image that was measured on this bench. If it does not run that one either, it is quarantined. If
    it does, or if the image gave a wrong output, the image is flashed on another board, or where there is none on
    the same: the second such failure is the image's, a success is a fault of the board that failed.

    Raises:
        CandidateError: boards run an older image and twice not this one.
        WrongOutputError: `accept` took neither of two measurements.
        MeterError: the instrument on the supply of the only board gives no valid figures. Where there are other boards
            they go on, and this one is quarantined; the image never pays.
        NoBoardError: every board is quarantined.
        ToolchainError: QEMU or PlatformIO is missing.
    """

    def measured(station: Station) -> Measurement:
        measurement = _steady(bench, station, image, inputs, repeats)
        bench.meet(station, measurement.greeting.chip_id)
        return _with_energy(measurement, station, inputs)

    failures: dict[str, str] = {}
    while True:
        with bench.lease(avoid=failures, build_id=image.build_id, work=label) as station:
            try:
                measurement, rung = _climb(bench, station, image, measured, afresh=bool(failures))
                accept(measurement)
            except MeterError as error:
                # Without its instrument a board gives no figures; another one may.
                if bench.size == 1:
                    raise
                bench.quarantine(station.name, f"its meter: {error}")
            except (BenchError, WrongOutputError) as error:
                _blame(bench, station, error, failures)
            else:
                for name, reason in failures.items():
                    bench.fault(name, reason)
                failures.clear()
                bench.note(station.name, "measurement", detail=image.sha256)
                bench.proven = Proven(image=image, inputs=inputs[:1])
                if _is_credible(bench, station, label, recovered=rung != _RUNGS[0]):
                    return measurement


def _blame(bench: Bench, station: Station, error: BenchError | WrongOutputError, failures: dict[str, str]) -> None:
    """Hold the board that failed, or add it to the `failures` of the image; the second one is raised."""
    match error:
        case LeaseLostError():
            _log.warning("%s", error)
        case WrongBoardError():
            bench.quarantine(station.name, str(error))
        case WrongOutputError():
            if failures:
                raise error
            _log.warning("board %s: %s", station.name, error)
            failures[station.name] = str(error)
        case _ if bench.proven is None or not _runs(bench, station, bench.proven):
            bench.quarantine(station.name, str(error))
        case _ if failures:
            raise CandidateError(
                f"board {station.name} does not run the image, but one of another network: {error}"
            ) from error
        case _:
            failures[station.name] = str(error)


def verify(bench: Bench) -> set[str]:
    """Check every board that has measured since its last good check; returns the labels of what must be repeated.

    Results of a board that cannot be checked, because it is held by now, are among them.
    """
    if bench.drift is None:
        return set()
    for name in bench.drift.unchecked():
        try:
            with bench.lease(only=name, work="the reference") as station:
                _has_drifted(bench, station)
        except NoBoardError:
            bench.drift.condemn(name)
    return bench.drift.take_suspects()


def _is_credible(bench: Bench, station: Station, label: str, *, recovered: bool) -> bool:
    """Whether the result that the board has just given may be used, as far as is known now."""
    if bench.drift is None or bench.proven is None:
        return True
    bench.drift.reference(bench.proven.image, bench.proven.inputs)
    is_due = bench.drift.credit(station.name, label)
    if not (is_due or recovered) or not _has_drifted(bench, station):
        return True
    bench.drift.clear(label)
    return False


def _has_drifted(bench: Bench, station: Station) -> bool:
    """Measure the reference. A board that still errs after a reset is quarantined; what it measured is suspect."""
    if bench.drift is None or bench.proven is None:
        return False
    reference = bench.drift.reference(bench.proven.image, bench.proven.inputs)

    def measured(station: Station) -> Measurement:
        return measure(station, reference.image, reference.inputs, repeats=_REFERENCE_REPEATS)

    reason: str | None = None
    for attempt in range(2):
        try:
            if attempt:
                station.reset()
            found, _ = _climb(bench, station, reference.image, measured, afresh=False)
            reason = bench.drift.judge(station.name, found)
        except LeaseLostError as error:
            bench.drift.condemn(station.name)
            _log.warning("%s", error)
            return True
        except BenchError as error:
            bench.drift.condemn(station.name)
            reason = str(error)
        if reason is None:
            return attempt > 0
        _log.warning("board %s: %s", station.name, reason)
    bench.quarantine(station.name, str(reason))
    return True


def _climb(
    bench: Bench, station: Station, image: Image, attempt: Callable[[Station], Measurement], *, afresh: bool
) -> tuple[Measurement, str]:
    """Flash the image, `afresh` even if the board has it, and `attempt` to measure it; returns on which rung it worked.

    Raises:
        BenchError: on none; the message has the reasons.
    """
    reasons: dict[str, list[str]] = {}
    flashed = False
    for rung in _RUNGS:
        try:
            if rung in {"repeat", "reset"} and not flashed:
                continue
            if not _prepare(bench, station, image, rung, afresh=afresh):
                continue
            flashed = True
            return attempt(station), rung
        except (LeaseLostError, MeterError, WrongBoardError):
            raise
        except BenchError as error:
            what = bench.event(station.name, "retry", after=rung, reason=str(error))
            _log.warning("board %s, %s: %s", station.name, rung, error, extra=what)
            reasons.setdefault(str(error), []).append(rung)
    raise BenchError("; ".join(f"{', '.join(rungs)}: {reason}" for reason, rungs in reasons.items()))


def _steady(bench: Bench, station: Station, image: Image, inputs: np.ndarray, repeats: int) -> Measurement:
    """The steadiest of up to three measurements, the first within the bench's limit. Raises as `measure`."""
    found = []
    for _ in range(_STEADY_ATTEMPTS):
        found.append(measure(station, image, inputs, repeats=repeats))
        if found[-1].spread <= bench.spread_limit:
            return found[-1]
        spread, limit = found[-1].spread, bench.spread_limit
        _log.warning(
            "board %s: latencies of one input spread by %.1f %%, limit %.1f %%", station.name, spread * 100, limit * 100
        )
    return min(found, key=lambda measurement: measurement.spread)


def _with_energy(measurement: Measurement, station: Station, inputs: np.ndarray) -> Measurement:
    """The measurement and, where an instrument is on the board's supply, what that one saw."""
    if station.meter is None:
        return measurement
    energy = measure_energy(station.meter, station, inputs, greeting=measurement.greeting)
    if station.epoch != measurement.epoch:
        raise LeaseLostError(f"board {station.name}: lease {measurement.epoch} ended while its energy was measured")
    return replace(measurement, energy=energy)


def _prepare(bench: Bench, station: Station, image: Image, rung: str, *, afresh: bool) -> bool:
    """Do what `rung` says; False where the board cannot do it. Raises BenchError."""
    match rung:
        case "flash":
            # Whether it is the right board is asked in any case.
            if not _holds(bench, station, image) or afresh:
                _flash(bench, station, image)
        case "reset":
            station.reset()
        case "flash again":
            _flash(bench, station, image)
        case "power cycle":
            if not station.power_cycle():
                return False
            bench.note(station.name, "power_cycle")
            if not _holds(bench, station, image):
                _flash(bench, station, image)
    return True


def _flash(bench: Bench, station: Station, image: Image) -> None:
    started = time.monotonic()
    station.flash(image)
    bench.flashed(station.name, image.build_id)
    bench.note(station.name, "flash", seconds=time.monotonic() - started, detail=image.build_id)


def _holds(bench: Bench, station: Station, image: Image) -> bool:
    """Whether the board runs this very image already.

    Raises:
        WrongBoardError: it says that it is a board of another kind, which is left alone.
    """
    try:
        if bench.holds(station.name, image.build_id):
            station.power_on()
        with Client(station.port, baud=station.board.baud) as client:
            greeting = client.hello(boot_s=_GREETING_S)
    except WrongBoardError:
        raise
    except BenchError:
        return False
    if greeting.board != station.board.name:
        raise WrongBoardError(
            f"board {station.name} says that it is a {greeting.board}, not a {station.board.name}: "
            "it is left as it is; correct the bench's file, or erase the board"
        )
    # Of several networks in it any may be selected.
    is_there = image.networks or greeting.network_sha256.hex() == image.sha256
    return greeting.build_id.hex() == image.build_id and bool(is_there)


def _runs(bench: Bench, station: Station, proven: Proven) -> bool:
    """Whether a board that failed with one image still measures another."""
    try:
        _flash(bench, station, proven.image)
        measure(station, proven.image, proven.inputs, repeats=1)
    except BenchError as error:
        _log.warning("board %s, the last image that ran: %s", station.name, error)
        return False
    return True
