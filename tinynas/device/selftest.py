"""A board tries itself: its memories, stack, timer, sync pin, kernels and link. Twin of firmware/selftest/network.h."""

import functools
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from tinynas.deploy.build import Image
from tinynas.device.check import Finding, flash_and_greet, tried
from tinynas.device.client import Client
from tinynas.device.energy import Rule, measure_energy
from tinynas.device.messages import Greeting
from tinynas.device.station import Station
from tinynas.errors import BenchError, LinkError

# Bytes that come along with a task, and bytes of an answer to it.
PAYLOAD_BYTES = 512
_INPUT = struct.Struct(f"<II{PAYLOAD_BYTES}s")
_OUTPUT = struct.Struct(f"<4I{PAYLOAD_BYTES}s")

# Trying all memory of the largest microcontrollers takes less, four times over.
_ANSWER_S = 5.0
_SPIN_S = 2.0
_ROUNDS = 20_000
_MOST = 2**32 - 1
# What may lie between two steps of the same work.
_EVEN = 0.01
# The internal oscillator of a microcontroller is off by 1 to 2 %; the rest is the host's part.
_CLOCK_TOLERANCE = 0.03
# Alignment of a stack frame, and an interrupt's.
_STACK_TOLERANCE = 32
_ECHOES, _LEAST_ECHOES = 32, 8
_LINK_S = 5.0
# Of all requests, what may have to be sent again: the host may be busy once.
_RESENT = 0.01
_ENERGY = Rule(runs=1, inferences=10, seconds=1.0, idle_s=1.0)


class Task(IntEnum):
    ECHO = 1
    SPIN = 2
    STACK = 3
    SRAM = 4
    FLASH = 5
    KERNELS = 6
    FAST = 7


@dataclass(frozen=True, kw_only=True)
class Known:
    """Inputs of the network of known answers, int8 (n, input bytes), and its outputs, int8 (n, output bytes)."""

    inputs: np.ndarray
    outputs: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a task gave, how long it took by the board's timer, and the deepest stack [B]."""

    values: tuple[int, ...]
    payload: bytes
    ticks: int
    stack_bytes: int


def self_test(
    station: Station,
    image: Image,
    known: Known,
    other_speeds: Mapping[int, Image],
    notify: Callable[[str], None] = lambda what: None,
) -> list[Finding]:
    """Flash the self-test to a board that this process has claimed, and have it try everything.

    Args:
        image: the self-test with the network of known answers.
        other_speeds: the same, built for a link of so many baud. The board holds `image` again afterwards.
        notify: told what is tried next.

    A board that cannot be flashed is tried no further; otherwise one failure does not hide the next.
    """
    findings: list[Finding] = []

    def attempt(what: str, trial: Callable[..., str | None], *arguments: Any, lacks: str = "") -> None:
        notify(what)
        findings.append(tried(what, functools.partial(trial, station, *arguments), lacks=lacks))

    attempt("flashing", _flashed, image)
    if not findings[0].passed:
        return findings
    attempt("flash", _try_flash, image, lacks="its Arduino core's linker script has no place for it")
    attempt("SRAM", _try_sram)
    attempt("fast memory", _try_fast_memory, lacks="the manifest names none")
    attempt("stack", _try_stack)
    attempt("clock", _try_clock)
    attempt("sync pin", _try_sync_pin, lacks="no instrument looks at it: name one with --meter")
    attempt("kernels", _try_kernels, known)
    attempt("link", _try_link, image, station.board.baud)
    for baud, other in other_speeds.items():
        attempt(f"link at {baud:,} Bd", _try_speed, other, baud)
    if other_speeds:
        attempt("flashing again", _flashed, image)
    return findings


def ask(client: Client, task: Task, *, amount: int = 0, payload: bytes = b"") -> Answer:
    """Have the board do one task. Raises LinkError: it does not answer, which is what a fault looks like."""
    client.load(task_input(task, amount=amount, payload=payload))
    stack_bytes = client.run(1, answer_s=_ANSWER_S).used_bytes
    (ticks,) = client.ticks(1)
    *values, answered = _OUTPUT.unpack(client.output(_OUTPUT.size))
    return Answer(values=tuple(values), payload=answered, ticks=ticks, stack_bytes=stack_bytes)


def task_input(task: Task, *, amount: int = 0, payload: bytes = b"") -> bytes:
    """The self-test's input."""
    return _INPUT.pack(task, amount, payload)


def _flashed(station: Station, image: Image) -> str:
    flash_and_greet(station, image)
    return f"build {image.build_id[:12]} answers on {station.port}"


def _try_flash(station: Station, image: Image) -> str | None:
    """The image must read back, and the last word that the manifest promises must be there."""
    board = station.board
    if not board.own_memory_map:
        return None
    size = len(image.binary)
    try:
        with _greeted(station) as (client, _):
            checksum = ask(client, Task.FLASH, amount=size).values[0]
    except LinkError as error:
        raise BenchError(f"{error}: are there {board.flash_bytes:,} B of flash at {board.flash_start}?") from error
    if checksum != zlib.crc32(image.binary):
        raise BenchError(
            f"the image's {size:,} B read back with CRC-32 {checksum:08x}, not {zlib.crc32(image.binary):08x}: "
            "the flash does not hold what was written"
        )
    return f"{size:,} B read back as written, and byte {board.flash_bytes:,} answers"


def _try_sram(station: Station) -> str:
    board = station.board
    return _try_ram(station, Task.SRAM, "SRAM", start=board.sram_start, size=board.sram_bytes)


def _try_fast_memory(station: Station) -> str | None:
    memory = station.board.fast_memory
    if memory is None:
        return None
    return _try_ram(station, Task.FAST, "fast memory", start=memory.start, size=memory.bytes)


def _try_ram(station: Station, task: Task, what: str, *, start: str, size: int) -> str:
    """All of it but the image's own must hold what is written, every address for itself."""
    question = f"are there {size:,} B of {what} at {start}?"
    try:
        with _greeted(station) as (client, _):
            first, tried_bytes, failed, failed_at = ask(client, task).values
    except LinkError as error:
        raise BenchError(f"{error}: {question}") from error
    # An Arduino core has its stack at the end.
    ends = first + tried_bytes == int(start, 16) + size or not station.board.own_memory_map
    if not ends or not 0 < tried_bytes <= size:
        raise BenchError(
            f"the board tried {tried_bytes:,} B from {first:#010x} on, which do not end where its manifest's {what} "
            f"ends ({size:,} B at {start})"
        )
    if failed:
        raise BenchError(
            f"{failed:,} of 2 x {tried_bytes // 4:,} words do not hold what is written to them, first at "
            f"{failed_at:#010x}: {question}"
        )
    return f"{tried_bytes:,} of {size:,} B hold every bit as 0 and as 1; the image itself lies in the others"


def _try_stack(station: Station) -> str:
    """The high water must follow what is used, down again, too."""
    with _greeted(station) as (client, greeting):
        # Enough to lie below whatever else an inference puts onto the stack.
        amount = greeting.stack_bytes // 4
        first, second, third = (
            ask(client, Task.STACK, amount=each).stack_bytes for each in (amount, 2 * amount, amount)
        )
    if (
        abs(second - first - amount) > _STACK_TOLERANCE
        or abs(third - first) > _STACK_TOLERANCE
        or not amount < first < 2 * amount
    ):
        raise BenchError(
            f"the high water was {first:,} B with {amount:,} B in use, {second:,} B with {2 * amount:,} B, then "
            f"{third:,} B with {amount:,} B again: painting does not find what is used"
        )
    return (
        f"{amount:,} B more in use raise the high water by {second - first:,} B; "
        f"{greeting.stack_bytes:,} B are set aside"
    )


def _try_clock(station: Station) -> str:
    """The timer against the host's clock, or on an emulated board, which has its own time, against the work."""
    with _greeted(station) as (client, greeting):
        ticks = [ask(client, Task.SPIN, amount=times * _ROUNDS).ticks for times in (1, 2, 3)]
        steps = ticks[1] - ticks[0], ticks[2] - ticks[1]
        if min(steps) <= 0 or abs(steps[1] - steps[0]) > _EVEN * steps[0] + 2:
            raise BenchError(
                f"once, twice and three times the same work took {ticks[0]:,}, {ticks[1]:,} and {ticks[2]:,} ticks: "
                "the timer does not count time"
            )
        if station.board.emulated:
            return f"{_ROUNDS:,} rounds more take {steps[0]:,} ticks; an emulator's time is not the host's, so no more"
        return _compare_with_host(client, greeting, min(int(_ROUNDS / steps[0] * _SPIN_S * greeting.ticks_hz), _MOST))


def _compare_with_host(client: Client, greeting: Greeting, rounds: int) -> str:
    idle_s, _ = _timed_run(client, 0)
    spun_s, ticks = _timed_run(client, rounds)
    seconds, host_s = ticks / greeting.ticks_hz, spun_s - idle_s
    # A board that answers at once did not work for two seconds.
    off = seconds / host_s - 1 if host_s > 0 else float("inf")
    if abs(off) > _CLOCK_TOLERANCE:
        raise BenchError(
            f"the board's timer counted {seconds:.3f} s in {host_s:.3f} s of the host's: off by {off:+.1%}, at most "
            f"{_CLOCK_TOLERANCE:.0%} are allowed: does its clock run at {greeting.clock_hz:,} Hz?"
        )
    return f"the board's timer counted {seconds:.3f} s in {host_s:.3f} s of the host's ({off:+.2%})"


def _timed_run(client: Client, rounds: int) -> tuple[float, int]:
    """What the host waited for an answer [s], and the board's ticks."""
    client.load(task_input(Task.SPIN, amount=rounds))
    started = time.monotonic()
    client.run(1, answer_s=10 * _SPIN_S)
    waited_s = time.monotonic() - started
    return waited_s, client.ticks(1)[0]


def _try_sync_pin(station: Station) -> str | None:
    """Each inference must be one pulse, as long as the work: seen by the instrument, or by the emulator's counter."""
    if station.meter is not None:
        work = np.frombuffer(task_input(Task.SPIN, amount=_ROUNDS), np.int8).reshape(1, -1)
        energy = measure_energy(station.meter, station, work, rule=_ENERGY)
        return f"{energy.inferences} inferences were as many pulses for {station.meter.name}, as long as the timer says"
    with _greeted(station) as (client, _):
        if station.take_intervals() is None:
            return None
        pulses = []
        for times in (1, 2, 3):
            ask(client, Task.SPIN, amount=times * _ROUNDS)
            seen = station.take_intervals() or ()
            if len(seen) != 2:
                raise BenchError(f"the sync pin was written {len(seen)} times in one inference, not twice")
            pulses.append(seen[1].instructions)
    steps = pulses[1] - pulses[0], pulses[2] - pulses[1]
    # An Arduino core's timer interrupts the work.
    if abs(steps[0] - steps[1]) > _EVEN * steps[0] or steps[0] < _ROUNDS:
        raise BenchError(
            f"pulses of once, twice and three times the work hold {pulses[0]:,}, {pulses[1]:,} and {pulses[2]:,} "
            "instructions: they do not bracket the work alone"
        )
    return f"one pulse for each inference, {steps[0]:,} instructions longer for each {_ROUNDS:,} rounds of work"


def _try_kernels(station: Station, known: Known) -> str:
    """Outputs must equal the known ones byte for byte."""
    size = known.outputs.shape[1]
    with _greeted(station) as (client, _):
        for number, (given, expected) in enumerate(zip(known.inputs, known.outputs, strict=True)):
            found = ask(client, Task.KERNELS, payload=given.tobytes()).payload[:size]
            wrong = np.flatnonzero(np.frombuffer(found, np.int8) != expected)
            if wrong.size:
                raise BenchError(
                    f"input {number}: {wrong.size} of {size} bytes are not tflite-micro's, first byte {wrong[0]}: "
                    "does this CPU have what the manifest's flags and target say?"
                )
    return f"{len(known.inputs)} inputs gave {size} bytes each, all equal to tflite-micro's"


def _try_link(station: Station, image: Image, baud: int) -> str:
    """Random bytes must come back, and hardly a frame be sent twice."""
    random = np.random.default_rng(0)
    with Client(station.port, baud=baud, adapts=False) as client:
        greeting = client.hello()
        if greeting.build_id.hex() != image.build_id:
            raise BenchError(f"build {greeting.build_id.hex()[:12]} answers, not {image.build_id[:12]}")
        before, started = (client.requests, client.resent), time.monotonic()
        echoes = 0
        # A slow board need not send as much.
        while echoes < _ECHOES and (echoes < _LEAST_ECHOES or time.monotonic() - started < _LINK_S):
            echoes += 1
            sent = random.bytes(PAYLOAD_BYTES)
            if ask(client, Task.ECHO, payload=sent).payload != sent:
                raise BenchError("bytes came back as others, in frames whose CRC is right: does the SRAM hold them?")
        seconds = time.monotonic() - started
        asked, resent = client.requests - before[0], client.resent - before[1]
    if resent > max(1, _RESENT * asked):
        raise BenchError(
            f"{resent} of {asked} requests had to be sent again, at most {_RESENT:.0%} are allowed: frames are lost or "
            "damaged; try another cable or a lower baud in the manifest"
        )
    speed = echoes * (_INPUT.size + _OUTPUT.size) / seconds
    return f"{echoes * PAYLOAD_BYTES:,} B came back, {resent} of {asked} requests sent again, {speed:,.0f} B/s"


def _try_speed(station: Station, image: Image, baud: int) -> str:
    station.flash(image)
    said = _try_link(station, image, baud)
    return f"{said}; an emulated link carries any speed" if station.board.emulated else said


@contextmanager
def _greeted(station: Station) -> Iterator[tuple[Client, Greeting]]:
    """A conversation that begins with a greeting, and in which the board did not start again."""
    with Client(station.port, baud=station.board.baud) as client:
        greeting = client.hello()
        yield client, greeting
        after = client.hello()
    if after.boot_count != greeting.boot_count:
        raise LinkError(f"the board started again (cause {after.reset_cause.name.lower()})")
