"""What a host asks of a board, one method a request."""

import struct
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tinynas.device.frames import MAX_PAYLOAD
from tinynas.device.link import Link
from tinynas.device.messages import ANSWER, ERROR, Greeting, Request, Status
from tinynas.errors import LinkError

# A request that the board answers at once. A port at 115,200 Bd needs 0.1 s for the longest frame.
_ANSWER_S = 1.0
_HELLO_S = 0.15
_BOOT_S = 3.0
_SATURATED = 0xFFFFFFFF
# Payloads [B]: a damaged one that is longer than the first is followed by one a quarter as long; those that are lost
# altogether by the second, than which a header is hardly shorter.
_SHORT = 64
_SHORTEST = 16
_SHORTER = 4
# A board that answers nothing so often in a row has gone.
_LOSSES = 3


class RefusedError(LinkError):
    """The board understood the request and said no, with `status`."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class StackUse:
    """Of the stack, what inferences used at most, and what was in use where they began [B]."""

    used_bytes: int
    depth_bytes: int


class Client:
    """A conversation with the firmware on one board. Raises LinkError throughout.

    Inputs and outputs go in parts as long as the board takes, and in shorter ones as soon as the line damages those,
    unless it is the line that is to be tried: then it `adapts` to nothing.
    """

    def __init__(self, port: str, *, baud: int = 115200, adapts: bool = True) -> None:
        self._link = Link(port, baud=baud)
        self._part = MAX_PAYLOAD
        self._losses = 0
        self._adapts = adapts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._link.close()

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return self._link.requests

    @property
    def resent(self) -> int:
        """How often a request was sent again."""
        return self._link.resent

    def hello(self, *, boot_s: float | None = None) -> Greeting:
        """The board's greeting. A board that still boots loses bytes, so it is asked often, for `boot_s` seconds.

        None: for 3 seconds.
        """
        return self._greeting(Request.HELLO, b"", boot_s)

    def select(self, sha256: bytes) -> Greeting:
        """Ask for that network of the image, by the SHA-256 of its .tflite; returns the greeting with its sizes."""
        return self._greeting(Request.SELECT, sha256, None)

    def _greeting(self, request: Request, payload: bytes, boot_s: float | None) -> Greeting:
        deadline = time.monotonic() + (_BOOT_S if boot_s is None else boot_s)
        while True:
            try:
                greeting = Greeting.unpack(self._ask(request, payload, answer_s=_HELLO_S))
            except RefusedError:
                raise
            except LinkError:
                if time.monotonic() > deadline:
                    raise
            else:
                self._part = min(self._part, greeting.max_payload)
                return greeting

    def load(self, tensor: bytes) -> None:
        """Write the network's input."""
        offset = 0
        while offset < len(tensor):
            part = tensor[offset : offset + self._part - 4]
            if self._ask_part(Request.INPUT, struct.pack("<I", offset) + part) is not None:
                offset += len(part)

    def run(self, repeats: int, *, answer_s: float) -> StackUse:
        """Run the network on the loaded input `repeats` times."""
        answer = self._ask(Request.RUN, struct.pack("<H", repeats), answer_s=answer_s)
        ran, used_bytes, depth_bytes = self._unpack("<HII", answer, Request.RUN)
        if ran != repeats:
            raise LinkError(f"port {self._link.port}: asked for {repeats} inferences, the board ran {ran}")
        return StackUse(used_bytes=used_bytes, depth_bytes=depth_bytes)

    def ticks(self, count: int) -> list[int]:
        """The timer's ticks of each of the `count` inferences of the last run."""
        ticks: list[int] = []
        while len(ticks) < count:
            payload = self._ask(Request.TIMES, struct.pack("<H", len(ticks)))
            more = len(payload) // 4
            if not 1 <= more <= count - len(ticks) or len(payload) % 4:
                raise self._malformed(Request.TIMES, payload)
            ticks += struct.unpack(f"<{more}I", payload)
        if max(ticks) == _SATURATED:
            raise LinkError(f"port {self._link.port}: an inference took longer than the board's timer counts")
        return ticks

    def output(self, size: int) -> bytes:
        """The `size` bytes of the network's output."""
        output = b""
        while len(output) < size:
            length = min(self._part, size - len(output))
            part = self._ask_part(Request.OUTPUT, struct.pack("<IH", len(output), length))
            if part is not None and len(part) != length:
                raise self._malformed(Request.OUTPUT, part)
            output += part or b""
        return output

    def i2c(self, address: int, data: bytes = b"", reads: int = 0) -> bytes:
        """Write `data` to the device at `address` of the board's bus, then read `reads` bytes; 0 to 32 of each."""
        answer = self._ask(Request.I2C, bytes([address, reads]) + data)
        if len(answer) != reads:
            raise self._malformed(Request.I2C, answer)
        return answer

    def probe(self, address: int, *, before: bytes, after: bytes = b"", reads: int = 0) -> None:
        """Around each later inference write `before` and `after` to the device at `address` and read; 0 to 8 bytes."""
        self._ask(Request.PROBE, bytes([address, reads, len(before)]) + before + after)

    def probed(self, reads: int) -> tuple[bytes, bytes]:
        """The `reads` bytes each that the board read before and after its last inference."""
        answer = self._ask(Request.PROBED)
        if len(answer) != 2 * reads:
            raise self._malformed(Request.PROBED, answer)
        return answer[:reads], answer[reads:]

    def end_probe(self) -> None:
        """Leave later inferences alone."""
        self._ask(Request.PROBE)

    def reset(self) -> None:
        """Ask the board to start again."""
        self._ask(Request.RESET)

    def _ask_part(self, request: Request, payload: bytes) -> bytes | None:
        """The answer, or None where none came and a shorter frame is worth a try."""
        resent = self._link.resent
        try:
            answer = self._ask(request, payload)
        except RefusedError:
            raise
        except LinkError:
            self._losses += 1
            if self._losses == _LOSSES or not self._adapts:
                raise
            self._part = min(self._part, _SHORTEST)
            return None
        self._losses = 0
        if self._adapts and self._link.resent > resent and max(len(payload), len(answer)) > _SHORT:
            self._part = max(_SHORT, self._part // _SHORTER)
        return answer

    def _ask(self, request: Request, payload: bytes = b"", *, answer_s: float = _ANSWER_S) -> bytes:
        answer = self._link.exchange(request, payload, answer_s=answer_s)
        if answer.type == request | ANSWER:
            return answer.payload
        if answer.type == ERROR and len(answer.payload) == 2 and answer.payload[1] == request:
            status = answer.payload[0]
            name = Status(status).name.lower() if status in set(Status) else "unknown status"
            raise RefusedError(f"port {self._link.port}: the board refused {request.name}: {name} ({status})", status)
        raise self._malformed(request, answer.payload)

    def _unpack(self, layout: str, payload: bytes, request: Request) -> tuple[int, ...]:
        if len(payload) != struct.calcsize(layout):
            raise self._malformed(request, payload)
        return struct.unpack(layout, payload)

    def _malformed(self, request: Request, payload: bytes) -> LinkError:
        return LinkError(
            f"port {self._link.port}: no valid answer to {request.name}: {len(payload)} bytes, {payload[:16].hex()}"
        )
