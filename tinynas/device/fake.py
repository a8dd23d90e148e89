"""A board without hardware that speaks the protocol and misbehaves on demand, for the contract tests of the bench.

It sits behind a pseudo-terminal, so that the port, the codec and the deadlines in front of it are the real ones.
It keeps firmware/PROTOCOL.md as a board does, and the same tests hold for both.
"""

import os
import select
import struct
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from tinynas.boards import Board
from tinynas.deploy.build import Image
from tinynas.device.counter import CLASSES, Interval
from tinynas.device.frames import MAX_PAYLOAD, PROTOCOL_VERSION, Decoder, Frame, encode
from tinynas.device.lease import Holder
from tinynas.device.messages import ANSWER, ERROR, MAX_REPEATS, Greeting, Request, ResetCause, Status
from tinynas.device.meters.contract import Meter
from tinynas.errors import FlashError


class Fault(Enum):
    """What may go wrong with one answer."""

    SILENT = "no answer"
    GARBAGE = "random bytes instead of the answer"
    CORRUPT = "one byte of the answer is damaged"
    LATE = "the answer comes after `delay_s`"
    TWICE = "the answer comes two times"
    CHATTER = "log text with control characters around the answer"
    RESET = "the board resets instead of answering"
    BROWN_OUT = "the work is done, then power fails for a moment before the answer"
    WRONG_SHA = "the greeting names another network"


@dataclass(frozen=True, kw_only=True)
class Mishap:
    """`fault` befalls the next `times` answers to `request`; None: to any request; times None: for ever.

    network_sha256: only while the board holds this network; None: whatever it holds.
    """

    fault: Fault
    request: Request | None = None
    times: int | None = 1
    network_sha256: bytes | None = None
    delay_s: float = 0.3


class _Refusal(Exception):  # noqa: N818 - not an error: what a healthy board answers
    """A request that the board answers with a status instead."""

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status


def greeting_of(board: Board, *, input_bytes: int, output_bytes: int) -> Greeting:
    """What a board says that was just turned on and holds no network yet."""
    return Greeting(
        protocol=PROTOCOL_VERSION,
        build_id=bytes(16),
        network_sha256=bytes(32),
        reset_cause=ResetCause.POWER_ON,
        boot_count=1,
        ticks_hz=board.clock_hz,
        clock_hz=board.clock_hz,
        input_bytes=input_bytes,
        output_bytes=output_bytes,
        arena_bytes=input_bytes,
        static_bytes=5000,
        stack_bytes=4096,
        max_payload=MAX_PAYLOAD,
        networks=1,
        chip_id=bytes(16),
        board=board.name,
    )


class FakeBoard:
    """Serves the protocol on `port` until `close`. `greeting` is what it says of itself, `network` maps the input's
    bytes to the output's, an inference takes `ticks()`. `runs` counts inferences, so that work done twice is seen.
    Without `spare` memory it refuses to repeat an inference.
    """

    def __init__(
        self,
        greeting: Greeting,
        network: Callable[[bytes], bytes],
        *,
        ticks: Callable[[], int] = lambda: 1000,
        spare: bool = True,
    ) -> None:
        self.greeting = greeting
        self.mishaps: list[Mishap] = []
        self.runs = 0
        self.intervals: list[Interval] = []
        self.networks: tuple[bytes, ...] = ()
        self._network = network
        self.ticks = ticks
        self._spare = spare
        self._forget()
        self._ours, theirs = os.openpty()
        tty.setraw(theirs)
        self.port = os.ttyname(theirs)
        # Our end stays readable only while somebody holds the other one open.
        self._theirs = theirs
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="fake-board", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Unplug the board."""
        os.close(self._stopped)
        self._thread.join()
        for descriptor in (self._ours, self._theirs, self._stop):
            os.close(descriptor)

    def restart(self, cause: ResetCause) -> None:
        """Lose everything but the boot count, which power takes along too."""
        count = 1 if cause is ResetCause.POWER_ON else self.greeting.boot_count + 1
        first = self.networks[0] if self.networks else self.greeting.network_sha256
        self.greeting = replace(self.greeting, boot_count=count, reset_cause=cause, network_sha256=first)
        self._forget()

    def _forget(self) -> None:
        self._input = bytearray(self.greeting.input_bytes)
        self._output = bytes(self.greeting.output_bytes)
        self._times: list[int] = []
        self._last: tuple[tuple[int, int], bytes] | None = None

    def _serve(self) -> None:
        decoder = Decoder()
        while True:
            readable, _, _ = select.select([self._ours, self._stop], [], [])
            if self._stop in readable:
                return
            for item in decoder.feed(os.read(self._ours, 4096)):
                if isinstance(item, Frame):
                    os.write(self._ours, self._misbehave(item))

    def _misbehave(self, request: Frame) -> bytes:
        mishap = self._mishap_for(request)
        if mishap is None:
            return self._answer(request)
        match mishap.fault:
            case Fault.SILENT:
                return b""
            case Fault.GARBAGE:
                return os.urandom(200)
            case Fault.RESET:
                self.restart(ResetCause.WATCHDOG)
                return b""
            case Fault.WRONG_SHA:
                stale = replace(self.greeting, network_sha256=bytes(32))
                return encode(replace(request, type=request.type | ANSWER, payload=stale.pack()))
        answer = bytearray(self._answer(request))
        match mishap.fault:
            case Fault.CORRUPT:
                answer[len(answer) // 2] ^= 0x10
            case Fault.BROWN_OUT:
                self.restart(ResetCause.POWER_ON)
                answer.clear()
            case Fault.LATE:
                time.sleep(mishap.delay_s)
            case Fault.TWICE:
                answer *= 2
            case Fault.CHATTER:
                answer = bytearray(b"\x1b[2Jwarm\r\n") + answer + b"\x07half a li"
        return bytes(answer)

    def _mishap_for(self, request: Frame) -> Mishap | None:
        for index, mishap in enumerate(self.mishaps):
            befalls = mishap.network_sha256 in {None, self.greeting.network_sha256}
            if befalls and mishap.request in {None, request.type}:
                if mishap.times is not None:
                    left = replace(mishap, times=mishap.times - 1)
                    self.mishaps[index : index + 1] = [left] if left.times else []
                return mishap
        return None

    def _answer(self, request: Frame) -> bytes:
        key = (request.run_id, request.sequence)
        if self._last is None or self._last[0] != key:
            try:
                kind, payload = request.type | ANSWER, self._perform(request)
            except (_Refusal, struct.error) as error:
                status = error.status if isinstance(error, _Refusal) else Status.BAD_REQUEST
                kind, payload = ERROR, bytes([status, request.type])
            self._last = (key, encode(replace(request, type=kind, payload=payload)))
        return self._last[1]

    def _perform(self, request: Frame) -> bytes:
        requests: dict[int, Callable[[bytes], bytes]] = {
            Request.HELLO: lambda payload: self.greeting.pack(),
            Request.INPUT: self._load,
            Request.RUN: lambda payload: self._run(*struct.unpack("<H", payload)),
            Request.TIMES: self._report_times,
            Request.OUTPUT: self._report_output,
            Request.SELECT: self._select,
            Request.RESET: self._reset,
        }
        if request.type not in requests:
            raise _Refusal(Status.BAD_REQUEST)
        return requests[request.type](request.payload)

    def _report_times(self, payload: bytes) -> bytes:
        (first,) = struct.unpack("<H", payload)
        return b"".join(struct.pack("<I", ticks) for ticks in self._times[first : first + 256])

    def _report_output(self, payload: bytes) -> bytes:
        offset, length = struct.unpack("<IH", payload)
        return self._output[offset : offset + length]

    def _reset(self, payload: bytes) -> bytes:
        self.restart(ResetCause.SOFTWARE)
        return b""

    def _select(self, payload: bytes) -> bytes:
        if payload not in self.networks:
            raise _Refusal(Status.NO_NETWORK if len(payload) == 32 else Status.BAD_REQUEST)
        self.greeting = replace(self.greeting, network_sha256=payload)
        self._forget()
        return self.greeting.pack()

    def _load(self, payload: bytes) -> bytes:
        (offset,) = struct.unpack_from("<I", payload)
        data = payload[4:]
        if offset + len(data) > len(self._input):
            raise _Refusal(Status.BAD_REQUEST)
        self._input[offset : offset + len(data)] = data
        return b""

    def _run(self, repeats: int) -> bytes:
        if not repeats:
            raise _Refusal(Status.BAD_REQUEST)
        if repeats > MAX_REPEATS or (repeats > 1 and not self._spare):
            raise _Refusal(Status.NO_MEMORY)
        self.runs += repeats
        self._output = self._network(bytes(self._input))
        if not self._spare:
            self._input[:] = bytes(len(self._input))
        self._times = [self.ticks() for _ in range(repeats)]
        for ticks in self._times:
            self.intervals += [fake_interval(ticks)] * 2
        return struct.pack("<HII", repeats, 200, 100)


def fake_interval(cycles: int) -> Interval:
    """As many instructions as cycles, all of them additions."""
    by_class = dict.fromkeys(CLASSES, 0) | {"alu": cycles}
    return Interval(instructions=cycles, cycles=cycles, wait_cycles=0, loads=0, stores=0, by_class=by_class)


class FakeStation:
    """A fake board's place on the bench. The next `flash_failures` attempts to flash it fail; its power can be cut if
    it is `switched`, which mends it.
    """

    def __init__(self, name: str, board: Board, fake: FakeBoard) -> None:
        self.name = name
        self.board = board
        self.fake = fake
        self.flash_failures = 0
        self.switched = False
        self.history: list[str] = []
        self.epoch = 0
        self.meter: Meter | None = None
        self.serial: str | None = f"serial of {name}"

    @property
    def port(self) -> str:
        return self.fake.port

    def claim(self) -> bool:
        self.epoch += 1
        return True

    def release(self) -> None:
        pass

    def in_use(self) -> bool:
        return False

    def holder(self) -> Holder | None:
        return None

    def flash(self, image: Image) -> None:
        self.history.append("flash")
        if self.flash_failures:
            self.flash_failures -= 1
            raise FlashError(f"{self.name} cannot be flashed")
        networks = tuple(bytes.fromhex(each) for each in image.networks or (image.sha256,))
        self.fake.networks = networks
        self.fake.greeting = replace(
            self.fake.greeting,
            build_id=bytes.fromhex(image.build_id),
            network_sha256=networks[0],
            networks=len(networks),
            clock_hz=image.clock_hz,
        )
        self.fake.restart(ResetCause.POWER_ON)

    def reset(self) -> None:
        self.history.append("reset")
        self.fake.restart(ResetCause.PIN)

    def power_cycle(self) -> bool:
        if self.switched:
            self.history.append("power cycle")
            self.fake.mishaps.clear()
            self.fake.restart(ResetCause.POWER_ON)
        return self.switched

    def power_off(self) -> None:
        self.history.append("off")

    def power_on(self) -> None:
        pass

    def take_intervals(self) -> tuple[Interval, ...] | None:
        taken, self.fake.intervals = tuple(self.fake.intervals), []
        return taken if self.board.emulated else None
