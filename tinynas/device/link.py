"""A board's serial port with deadlines: one request, one answer, at most three resends.

The same code talks to a USB port, a pseudo-terminal and an emulated board's socket (pyserial's `serial_for_url`).
"""

import contextlib
import logging
import secrets
import time
from collections import deque
from types import TracebackType
from typing import Any, Self

import serial

from tinynas.device.frames import PROTOCOL_VERSION, Decoder, Frame, LogLine, encode
from tinynas.errors import LinkError

RESENDS = 3

_log = logging.getLogger(__name__)
_POLL_S = 0.02
# A frame of which the board buffers several.
_SHORT = 256
_WRITE_S = 5.0
_MAX_LAST_WORDS = 200


class Link:
    """An open port. A request that got no answer is sent again with the same sequence number, and the board does not
    do its work twice; `run_id` is drawn anew for every link, so that nothing left over from an earlier one is taken
    for an answer. `requests` counts those made, `resent` how often one was sent again.

    `port` is a device (`/dev/ttyACM0`, `COM3`) or a URL that pyserial knows (`socket://host:port`, and
    `rfc2217://host:port` for a port that another host serves).
    """

    def __init__(self, port: str, *, baud: int = 115200) -> None:
        """Open `port`.

        Raises:
            LinkError: it does not exist, is in use, or may not be opened.
        """
        self.port = port
        self._decoder = Decoder()
        self._sequence = 0
        self._run_id = secrets.randbits(32)
        self._said: deque[str] = deque(maxlen=3)
        self.requests = 0
        self.resent = 0
        # pyserial's RFC 2217 port takes no such limit, and has one of 5 s of its own.
        write_s = None if port.startswith("rfc2217://") else _WRITE_S
        try:
            self._serial: Any = serial.serial_for_url(
                port, baudrate=baud, timeout=_POLL_S, write_timeout=write_s, exclusive=True
            )
        except (OSError, ValueError) as error:
            raise LinkError(f"port {port} cannot be opened: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        connection = getattr(self._serial, "_socket", None)
        if connection is not None and self.port.startswith("socket://"):
            # pyserial sleeps 0.3 s after closing a socket, and does not close one whose other end has gone first.
            connection.close()
            self._serial.is_open = False
        else:
            with contextlib.suppress(OSError):
                self._serial.close()

    def exchange(self, kind: int, payload: bytes = b"", *, answer_s: float) -> Frame:
        """Send a request until its answer is there: four times at most, waiting `answer_s` seconds after each.

        Raises:
            LinkError: no answer came, or the port went away.
            LinkError: the board speaks another version of the protocol.
        """
        self._sequence = (self._sequence + 1) & 0xFFFF
        request = Frame(type=kind, sequence=self._sequence, run_id=self._run_id, payload=payload)
        data, stray_bytes, started = encode(request), self._decoder.stray_bytes, time.monotonic()
        self.requests += 1
        for resend in range(1 + RESENDS):
            self.resent += resend > 0
            # A line that lost one frame may lose the next: two short ones cost less than another wait.
            self._write(data * 2 if resend and len(data) <= _SHORT else data)
            answer = self._await_answer(request, time.monotonic() + answer_s)
            if answer is not None:
                return answer
        stray_bytes = self._decoder.stray_bytes - stray_bytes
        raise LinkError(
            f"port {self.port}: no answer to request 0x{kind:02x} in {time.monotonic() - started:.1f} s, sent "
            f"{1 + RESENDS} times; {stray_bytes} bytes came that are no frame{self._last_words()}"
        )

    def _await_answer(self, request: Frame, deadline: float) -> Frame | None:
        expected = (request.sequence, request.run_id)
        while time.monotonic() < deadline:
            for item in self._decoder.feed(self._read()):
                if isinstance(item, LogLine):
                    self._said.append(item.text)
                    _log.info("%s: %s", self.port, item.text)
                elif item.version != PROTOCOL_VERSION:
                    raise LinkError(
                        f"port {self.port}: the board speaks version {item.version} of the protocol, "
                        f"this tinynas version {PROTOCOL_VERSION}: flash the board again"
                    )
                elif (item.sequence, item.run_id) == expected:
                    return item
        return None

    def _read(self) -> bytes:
        try:
            data: bytes = self._serial.read(1)
            waiting = self._serial.in_waiting
            return data + self._serial.read(waiting) if data and waiting else data
        except (OSError, TypeError) as error:
            # pyserial raises TypeError for a port that another thread closed.
            raise LinkError(f"port {self.port} went away: {error}{self._last_words()}") from error

    def _write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except OSError as error:
            raise LinkError(f"port {self.port} does not take data: {error}{self._last_words()}") from error

    def _last_words(self) -> str:
        said = [*self._said, *([self._decoder.pending] if self._decoder.pending else [])]
        return f"; the board's last words: {' | '.join(said)[-_MAX_LAST_WORDS:]}" if said else ""
