"""Whether a board does what the bench relies on: it is the right one, resets, and loses power when told to."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tinynas.deploy.build import Image
from tinynas.device.client import Client
from tinynas.device.messages import Greeting, ResetCause
from tinynas.device.station import Station
from tinynas.errors import BenchError


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was tried on a board, and how long it took; `passed` None: the board has no means for it."""

    what: str
    passed: bool | None
    said: str
    seconds: float


def check_board(station: Station, image: Image) -> list[Finding]:
    """Flash `image` to a board that this process has claimed, and try everything that the ladder needs.

    A reset must add one to the boot count and a power cycle must set it to one: a hub that switches only data, or a
    debugger that powers the board from behind, is found out. What comes after a failure is not tried.
    """
    greetings: list[Greeting] = []
    trials: list[tuple[str, Callable[[], str | None]]] = [
        ("flash", lambda: _flashed(station, image, greetings)),
        ("reset", lambda: _reset(station, greetings)),
        ("power cycle", lambda: _power_cycled(station, greetings)),
    ]
    findings: list[Finding] = []
    for what, attempt in trials:
        findings.append(tried(what, attempt, lacks="bench.toml has no power_cycle command for it"))
        if findings[-1].passed is False:
            break
    return findings


def tried(what: str, attempt: Callable[[], str | None], *, lacks: str = "") -> Finding:
    """What came of `attempt`, which says what it found, or None where the board has no means for it: it `lacks` one."""
    passed: bool | None = True
    started = time.monotonic()
    try:
        said = attempt()
    except BenchError as error:
        passed, said = False, str(error)
    if said is None:
        passed, said = None, lacks
    return Finding(what=what, passed=passed, said=said, seconds=time.monotonic() - started)


def flash_and_greet(station: Station, image: Image) -> Greeting:
    """Flash `image` and boot it. Raises BenchError: that fails, or the board is another one than the bench says."""
    station.flash(image)
    greeting = _greeting(station)
    if greeting.build_id.hex() != image.build_id:
        raise BenchError(f"the board holds build {greeting.build_id.hex()[:12]} after build {image.build_id[:12]}")
    if greeting.board != station.board.name:
        raise BenchError(f"the board says that it is a {greeting.board}, not a {station.board.name}")
    if greeting.clock_hz != station.board.clock_hz:
        raise BenchError(f"the board runs at {greeting.clock_hz:,} Hz, its manifest says {station.board.clock_hz:,} Hz")
    return greeting


def _flashed(station: Station, image: Image, greetings: list[Greeting]) -> str:
    greetings.append(flash_and_greet(station, image))
    return f"build {image.build_id[:12]} answers on {station.port}"


def _reset(station: Station, greetings: list[Greeting]) -> str:
    before = greetings[-1].boot_count
    station.reset()
    after = _greeting(station)
    # More than one start is no fault: a request whose answer was lost resets the board again.
    if after.boot_count <= before:
        raise BenchError(f"boot count {before} became {after.boot_count}: the board did not reset, or lost its power")
    greetings.append(after)
    return f"boot count {before} became {after.boot_count}, cause {after.reset_cause.name.lower()}"


def _power_cycled(station: Station, greetings: list[Greeting]) -> str | None:
    before = greetings[-1].boot_count
    if not station.power_cycle():
        return None
    after = _greeting(station)
    cause = after.reset_cause
    if after.boot_count != 1 or cause not in {ResetCause.POWER_ON, ResetCause.UNKNOWN}:
        raise BenchError(
            f"boot count {before} became {after.boot_count} (cause {cause.name.lower()}), not 1: its power was "
            "not cut; many hubs switch data lines only, and a debugger's cable may power the board, too"
        )
    return f"boot count {before} became 1, cause {cause.name.lower()}: power is really cut"


def _greeting(station: Station) -> Greeting:
    with Client(station.port, baud=station.board.baud) as client:
        return client.hello()
