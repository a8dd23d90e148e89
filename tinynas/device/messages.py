"""What the payloads of frames mean: requests, statuses, the greeting. firmware/PROTOCOL.md has the tables.

Bytes from a board are untrusted: every length and range is checked before a field is used.
"""

import struct
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

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
    I2C = 0x07
    PROBE = 0x08
    PROBED = 0x09
    SELECT = 0x0A


ERROR = 0x7F


class Status(IntEnum):
    OK = 0
    BAD_REQUEST = 1
    NO_MEMORY = 2
    NO_SENSOR = 3
    NO_NETWORK = 4


class ResetCause(IntEnum):
    UNKNOWN = 0
    POWER_ON = 1
    PIN = 2
    SOFTWARE = 3
    WATCHDOG = 4


# The fields of Greeting in their order, but for the name that follows them.
_GREETING = struct.Struct("<B16s32sBIIIIIIIIHB16s")
_MAX_NAME = 32
# More than any microcontroller has; a size beyond it is damage, and no reason to allocate.
_MAX_MEMORY = 64 * 1024**2
_MEMORIES = ("input", "output", "arena", "static", "stack")
# An offset and four bytes of input.
_MIN_PAYLOAD = 8


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """What a board says of itself and of the image that it runs.

    build_id: 16 bytes; network_sha256: 32 bytes, of the .tflite of the network that requests are about, one of
    `networks`; boot_count: starts since power came on, from 1. ticks_hz: ticks a second of the timer; clock_hz: clock
    of the CPU; chip_id: 16 bytes, zeros where the port cannot tell; the rest in bytes.
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
    networks: int
    chip_id: bytes
    board: str

    def pack(self) -> bytes:
        """The payload of the answer to HELLO."""
        *values, name = (getattr(self, field.name) for field in fields(self))
        return _GREETING.pack(*values) + str(name).encode("ascii") + b"\0"

    @classmethod
    def unpack(cls, payload: bytes) -> "Greeting":
        """Read the answer to HELLO.

        Raises:
            LinkError: it is too short or too long, or a field is outside its range.
        """
        if not _GREETING.size < len(payload) <= _GREETING.size + _MAX_NAME:
            raise LinkError(f"the board's greeting has {len(payload)} bytes")
        values: dict[str, Any] = dict(
            zip((field.name for field in fields(cls)), _GREETING.unpack_from(payload), strict=False)
        )
        name, end, rest = payload[_GREETING.size :].partition(b"\0")
        checks = {
            "protocol": values["protocol"] == PROTOCOL_VERSION,
            "reset cause": values["reset_cause"] in set(ResetCause),
            "boot count": values["boot_count"] >= 1,
            "ticks per second": values["ticks_hz"] >= 1,
            "clock": values["clock_hz"] >= 1,
            "memory sizes": all(values[f"{of}_bytes"] <= _MAX_MEMORY for of in _MEMORIES),
            "largest payload": _MIN_PAYLOAD <= values["max_payload"] <= MAX_PAYLOAD,
            "number of networks": values["networks"] >= 1,
            "name": bool(end) and not rest and all(0x20 <= byte < 0x7F for byte in name),
        }
        if wrong := [field for field, fine in checks.items() if not fine]:
            raise LinkError(f"the board's greeting is out of range: {', '.join(wrong)}: {payload.hex()}")
        values["reset_cause"] = ResetCause(values["reset_cause"])
        return cls(**values, board=name.decode("ascii"))
