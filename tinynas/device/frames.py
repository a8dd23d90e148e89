"""The wire between host and board, without any port: bytes in, frames and log lines out.

The twin of firmware/src/frames.c; firmware/PROTOCOL.md documents every byte. A frame is `0x00 COBS(body) 0x00`
(COBS: Cheshire and Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999) and
ends in a CRC-32, so that no zero byte occurs inside and a reader that lost its place finds it at the next zero. What
is no frame is log text.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from cobs import cobs

PROTOCOL_VERSION = 1
MAX_PAYLOAD = 1024

_HEADER = struct.Struct("<BBHI")
_CRC = struct.Struct("<I")
_MIN_BODY = _HEADER.size + _CRC.size
_MAX_BODY = _MIN_BODY + MAX_PAYLOAD
# COBS adds one byte for every 254 begun.
_MAX_STUFFED = _MAX_BODY + -(-_MAX_BODY // 254)
_MAX_LINE = 240


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One message. `sequence` is 0 to 65535, `run_id` 0 to 2^32 - 1, `payload` 0 to 1024 bytes."""

    type: int
    sequence: int
    run_id: int
    payload: bytes = b""
    version: int = PROTOCOL_VERSION


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """Text between frames. It comes from outside, so everything but printable ASCII is escaped."""

    text: str


def encode(frame: Frame) -> bytes:
    """The bytes of one frame, delimiters included.

    Raises:
        ValueError: the payload is longer than 1024 bytes, or a field is outside its range.
    """
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"a payload has at most {MAX_PAYLOAD} bytes, not {len(frame.payload)}")
    try:
        header = _HEADER.pack(frame.version, frame.type, frame.sequence, frame.run_id)
    except struct.error as error:
        raise ValueError(f"{frame} does not fit the header: {error}") from error
    body = header + frame.payload
    return b"\0" + bytes(cobs.encode(body + _CRC.pack(zlib.crc32(body)))) + b"\0"


class Decoder:
    """Takes bytes in pieces of any size and yields frames and log lines, in order.

    Never holds more than one frame's length of bytes. A damaged frame comes out as a log line; the next intact one is
    recognised whatever went before it. `stray_bytes` counts the bytes that belonged to no frame.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._too_long = False
        self.stray_bytes = 0

    @property
    def pending(self) -> str:
        """What has arrived since the last zero byte and may still become a frame or a line of text, escaped."""
        return _escape(bytes(self._pending))

    def feed(self, data: bytes) -> list[Frame | LogLine]:
        """Everything that `data` completes, in order."""
        found: list[Frame | LogLine] = []
        *ended, rest = data.split(b"\0")
        for piece in ended:
            found += self._extend(piece)
            found += self._end_segment()
        found += self._extend(rest)
        return found

    def _extend(self, piece: bytes) -> Iterator[LogLine]:
        self._pending += piece
        # Longer than any frame: text, whose lines need not wait for the next zero byte.
        self._too_long = self._too_long or len(self._pending) > _MAX_STUFFED
        if self._too_long:
            *lines, rest = self._pending.split(b"\n")
            self._pending = bytearray(rest[-_MAX_LINE:])
            for line in (*lines, rest[:-_MAX_LINE]):
                yield from self._log(bytes(line))

    def _end_segment(self) -> Iterator[Frame | LogLine]:
        segment, too_long = bytes(self._pending), self._too_long
        self._pending.clear()
        self._too_long = False
        if not segment:
            return
        frame = None if too_long else _decode(segment)
        if frame is not None:
            yield frame
            return
        for line in segment.split(b"\n"):
            yield from self._log(line)

    def _log(self, line: bytes) -> Iterator[LogLine]:
        self.stray_bytes += len(line)
        line = line.removesuffix(b"\r")
        for start in range(0, len(line), _MAX_LINE):
            yield LogLine(text=_escape(line[start : start + _MAX_LINE]))


def _decode(stuffed: bytes) -> Frame | None:
    """The frame between two zero bytes, or None for anything that is none."""
    try:
        body = bytes(cobs.decode(stuffed))
    except cobs.DecodeError:
        return None
    if not _MIN_BODY <= len(body) <= _MAX_BODY:
        return None
    covered, (crc,) = body[: -_CRC.size], _CRC.unpack(body[-_CRC.size :])
    if zlib.crc32(covered) != crc:
        return None
    version, kind, sequence, run_id = _HEADER.unpack_from(covered)
    payload = covered[_HEADER.size :]
    return Frame(version=version, type=kind, sequence=sequence, run_id=run_id, payload=payload)


def _escape(text: bytes) -> str:
    """Printable ASCII as it is, the rest as backslash escapes: a board must not reach the user's terminal controls."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F or byte == 0x09 else f"\\x{byte:02x}" for byte in text)
