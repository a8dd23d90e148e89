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
    WrongBoardError,
    WrongOutputError,
)

_log = logging.getLogger(__name__)

# The rungs of the ladder, mildest first.
_RUNGS = ("flash", "repeat", "reset", "flash again", "power cycle")
_STEADY_ATTEMPTS = 3
# A board that holds one of our images answers at once.
_GREETING_S = 0.0


def flash_and_measure(
    bench: Bench,
    image: Image,
    inputs: np.ndarray,
    *,
    repeats: int,
    accept: Callable[[Measurement], None] = lambda measurement: None,
) -> Measurement:
    """Measure `image` on any board of the bench. Arguments and result as for `measure`; `accept` raises
    WrongOutputError if it does not take the measurement.

    A board that fails is tried again as it is, after a reset, after flashing it again and after a power cycle. Then it
    is given the last image that was measured on this bench. If it does not run that one either, it is quarantined. If
    it does, or if the image gave a wrong output, the image is flashed on another board, or where there is none on
    the same: the second such failure is the image's, a success is a fault of the board that failed.

    Raises:
        CandidateError: boards run an older image and twice not this one.
        WrongOutputError: `accept` took neither of two measurements.
        MeterError: the instrument on the board's supply gives no valid figures; neither board nor image pays.
        NoBoardError: every board is quarantined.
        ToolchainError: QEMU or PlatformIO is missing.
    """
    failures: dict[str, str] = {}
    while True:
        with bench.lease(avoid=failures) as station:
            try:
                measurement = _climb(bench, station, image, inputs, repeats, afresh=bool(failures))
                accept(measurement)
            except MeterError:
                raise
            except LeaseLostError as error:
                _log.warning("%s", error)
            except WrongBoardError as error:
                bench.quarantine(station.name, str(error))
            except WrongOutputError as error:
                if failures:
                    raise
                _log.warning("board %s: %s", station.name, error)
                failures[station.name] = str(error)
            except BenchError as error:
                if bench.proven is None or not _runs(bench, station, bench.proven):
                    bench.quarantine(station.name, str(error))
                elif failures:
                    raise CandidateError(
                        f"board {station.name} does not run the image, but one of another network: {error}"
                    ) from error
                else:
                    failures[station.name] = str(error)
            else:
                for name, reason in failures.items():
                    bench.fault(name, reason)
                bench.note(station.name, "measurement", detail=image.sha256)
                bench.proven = Proven(image=image, inputs=inputs[:1])
                return measurement


def _climb(
    bench: Bench, station: Station, image: Image, inputs: np.ndarray, repeats: int, *, afresh: bool
) -> Measurement:
    """Flash the image, `afresh` even if the board has it. Raises BenchError with the reason of every rung."""
    reasons: dict[str, list[str]] = {}
    flashed = False
    for rung in _RUNGS:
        try:
            if rung in {"repeat", "reset"} and not flashed:
                continue
            if not _prepare(bench, station, image, rung, afresh=afresh):
                continue
            flashed = True
            return _with_energy(_steady(bench, station, image, inputs, repeats), station, inputs)
        except (LeaseLostError, MeterError, WrongBoardError):
            raise
        except BenchError as error:
            _log.warning("board %s, %s: %s", station.name, rung, error)
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
            if not _holds(station, image) or afresh:
                _flash(bench, station, image)
        case "reset":
            station.reset()
        case "flash again":
            _flash(bench, station, image)
        case "power cycle":
            if not station.power_cycle():
                return False
            bench.note(station.name, "power_cycle")
            if not _holds(station, image):
                _flash(bench, station, image)
    return True


def _flash(bench: Bench, station: Station, image: Image) -> None:
    started = time.monotonic()
    station.flash(image)
    bench.note(station.name, "flash", seconds=time.monotonic() - started, detail=image.build_id)


def _holds(station: Station, image: Image) -> bool:
    """Whether the board runs this very image already.

    Raises:
        WrongBoardError: it says that it is a board of another kind, which is left alone.
    """
    try:
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
    return (greeting.build_id.hex(), greeting.network_sha256.hex()) == (image.build_id, image.sha256)


def _runs(bench: Bench, station: Station, proven: Proven) -> bool:
    """Whether a board that failed with one image still measures another."""
    try:
        _flash(bench, station, proven.image)
        measure(station, proven.image, proven.inputs, repeats=1)
    except BenchError as error:
        _log.warning("board %s, the last image that ran: %s", station.name, error)
        return False
    return True
