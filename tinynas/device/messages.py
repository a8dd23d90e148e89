"""What the payloads of frames mean: requests, statuses, the greeting. firmware/PROTOCOL.md has the tables.

Bytes from a board are untrusted: every length and range is checked before a field is used.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from tinynas.device.frames import MAX_PAYLOAD, PROTOCOL_VERSION
from tinynas.errors import LinkError

ANSWER = 0x80
# The most inferences that one RUN may ask for.
MAX_REPEATS = 256


class Request(IntEnum):
    HELLO = 0x01
    INPUT = 0x02
    RUN = 0x03
    TIMES = 0x04
    OUTPUT = 0x05
    RESET = 0x06


ERROR = 0x7F


class Status(IntEnum):
    OK = 0
    BAD_REQUEST = 1
    NO_MEMORY = 2


class ResetCause(IntEnum):
    UNKNOWN = 0
    POWER_ON = 1
    PIN = 2
    SOFTWARE = 3
    WATCHDOG = 4


_GREETING = struct.Struct("<B16s32sBIIIIIIIIH")
_MAX_NAME = 32
# More than any microcontroller has; a size beyond it is damage, and no reason to allocate.
_MAX_MEMORY = 64 * 1024**2


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """What a board says of itself and of the image that it runs.

    build_id: 16 bytes; network_sha256: 32 bytes, of the .tflite; boot_count: starts since power came on, from 1.
    ticks_hz: ticks a second of the timer; clock_hz: clock of the CPU; the rest in bytes.
    """

    protocol: int
    build_id: bytes
    network_sha256: bytes
    reset_cause: ResetCause
    boot_count: int
    ticks_hz: int
    clock_hz: int
    input_bytes: int
    output_bytes: int
    arena_bytes: int
    static_bytes: int
    stack_bytes: int
    max_payload: int
    board: str

    def pack(self) -> bytes:
        """The payload of the answer to HELLO."""
        return (
            _GREETING.pack(
                self.protocol,
                self.build_id,
                self.network_sha256,
                self.reset_cause,
                self.boot_count,
                self.ticks_hz,
                self.clock_hz,
                self.input_bytes,
                self.output_bytes,
                self.arena_bytes,
                self.static_bytes,
                self.stack_bytes,
                self.max_payload,
            )
            + self.board.encode("ascii")
            + b"\0"
        )

    @classmethod
    def unpack(cls, payload: bytes) -> "Greeting":
        """Read the answer to HELLO.

        Raises:
            LinkError: it is too short or too long, or a field is outside its range.
        """
        if not _GREETING.size < len(payload) <= _GREETING.size + _MAX_NAME:
            raise LinkError(f"the board's greeting has {len(payload)} bytes")
        protocol, build_id, sha256, cause, boots, ticks_hz, clock_hz, *sizes, max_payload = _GREETING.unpack_from(
            payload
        )
        name, _, rest = payload[_GREETING.size :].partition(b"\0")
        checks = {
            "protocol": protocol == PROTOCOL_VERSION,
            "reset cause": cause in set(ResetCause),
            "boot count": boots >= 1,
            "ticks per second": ticks_hz >= 1,
            "clock": clock_hz >= 1,
            "memory sizes": max(sizes) <= _MAX_MEMORY,
            "largest payload": 8 <= max_payload <= MAX_PAYLOAD,
            "name": name.isascii() and name.decode("latin-1").isprintable() and not rest and payload[-1] == 0,
        }
        if wrong := [field for field, fine in checks.items() if not fine]:
            raise LinkError(f"the board's greeting is out of range: {', '.join(wrong)}")
        input_bytes, output_bytes, arena_bytes, static_bytes, stack_bytes = sizes
        return cls(
            protocol=protocol,
            build_id=build_id,
            network_sha256=sha256,
            reset_cause=ResetCause(cause),
            boot_count=boots,
            ticks_hz=ticks_hz,
            clock_hz=clock_hz,
            input_bytes=input_bytes,
            output_bytes=output_bytes,
            arena_bytes=arena_bytes,
            static_bytes=static_bytes,
            stack_bytes=stack_bytes,
            max_payload=max_payload,
            board=name.decode("ascii"),
        )
