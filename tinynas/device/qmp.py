"""The QEMU Machine Protocol, as much of it as an emulated board's reset button needs.

JSON objects, one a line, over a socket (QEMU documentation, "QEMU Machine Protocol Specification").
"""

import json
import socket
import time
from typing import Any

from tinynas.errors import BenchError

_MAX_LINE = 65536


class Monitor:
    """QEMU's control socket. It is at its end as soon as QEMU is."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._received = bytearray()

    def close(self) -> None:
        self._socket.close()

    def greet(self, *, timeout_s: float) -> None:
        """Wait until QEMU is up and ready for commands.

        Raises:
            BenchError: QEMU ended, or was not up within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while "QMP" not in self._receive(deadline):
            pass
        self.execute("qmp_capabilities", timeout_s=timeout_s)

    def execute(self, command: str, *, timeout_s: float) -> None:
        """Run a command that takes no arguments.

        Raises:
            BenchError: QEMU ended, refused the command or took longer than `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        try:
            self._socket.sendall(json.dumps({"execute": command}).encode() + b"\n")
        except OSError as error:
            raise BenchError(f"QEMU has ended: {error}") from error
        while True:
            # Events arrive between commands and answers.
            answer = self._receive(deadline)
            if "error" in answer:
                raise BenchError(f"QEMU refused {command}: {answer['error']}")
            if "return" in answer:
                return

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._received:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._socket.recv(4096)
            except TimeoutError:
                raise BenchError("QEMU does not answer on its monitor") from None
            except OSError as error:
                raise BenchError(f"QEMU has ended: {error}") from error
            if not data or len(self._received) > _MAX_LINE:
                raise BenchError("QEMU has ended")
            self._received += data
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise BenchError(f"QEMU's monitor sent no JSON: {line[:80]!r}") from error
        return answer if isinstance(answer, dict) else {}
