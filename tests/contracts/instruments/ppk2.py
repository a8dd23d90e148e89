"""A PPK2's measurement port on a pseudo-terminal: its commands, its metadata, its samples as the instrument sends them.

Commands and the layout of samples and metadata are those of Nordic's Power Profiler app (pc-nrfconnect-ppk), as written
down in ppk2lab's docs/protocol-spec.md.
"""

import contextlib
import os
import select
import threading
import time
import tty

import numpy as np

from tinynas.device.meters.fake import Load

SAMPLE_HZ = 100_000
# Full scale of each range [A], and the shunts [ohm] with which 0x3FFF is that much.
FULL_SCALE_A = (50e-6, 500e-6, 5e-3, 50e-3, 1.0)
SHUNTS = [0x3FFF * 4 * (1.8 / 163840) / full for full in FULL_SCALE_A]
LENGTHS = {0x06: 1, 0x07: 1, 0x0C: 2, 0x0D: 3, 0x11: 2, 0x19: 1, 0x20: 1, 0x25: 6}


class SimulatedPpk2:
    """Serves `port` until `close`. Only with `powered` does the board draw current. `drop_share` of the samples are
    lost inside the instrument, `stuck_mv` is the voltage that it makes whatever it is asked for, `sync_wired` False
    leaves D0 open, `calibrated` False leaves a range without calibration.
    """

    def __init__(self, load: Load) -> None:
        self.drop_share = 0.0
        self.stuck_mv: int | None = None
        self.sync_wired = True
        self.calibrated = True
        self.powered = False
        self.commands: list[bytes] = []
        self._load = load
        self._vdd_mv, self._mode = 3000, 1
        self._measuring_since: float | None = None
        self._sent = self._counter = 0
        self._pending = b""
        self._random = np.random.default_rng(0)
        self._ours, theirs = os.openpty()
        tty.setraw(theirs)
        self.port = os.ttyname(theirs)
        self._theirs = theirs
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Pull the USB plug."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            os.close(self._ours)
            os.close(self._theirs)

    def _serve(self) -> None:
        os.set_blocking(self._ours, False)
        while not self._stop.is_set():
            readable, _, _ = select.select([self._ours], [], [], 0.005)
            if readable:
                with contextlib.suppress(BlockingIOError):
                    self._take(os.read(self._ours, 256))
            if self._measuring_since is not None:
                self._write(self._samples())

    def _write(self, data: bytes) -> None:
        while data and not self._stop.is_set():
            _, writable, _ = select.select([], [self._ours], [], 0.05)
            if writable:
                data = data[os.write(self._ours, data[:4096]) :]

    def _take(self, data: bytes) -> None:
        self._pending += data
        while self._pending and len(self._pending) >= LENGTHS[self._pending[0]]:
            length = LENGTHS[self._pending[0]]
            command, self._pending = self._pending[:length], self._pending[length:]
            self.commands.append(command)
            self._execute(command)

    def _execute(self, command: bytes) -> None:
        match command[0]:
            case 0x06:
                self._measuring_since, self._sent = time.monotonic(), 0
            case 0x07:
                self._measuring_since = None
            case 0x0C:
                self.powered = command[1] == 1
            case 0x0D:
                self._vdd_mv = int.from_bytes(command[1:], "big") if self.stuck_mv is None else self.stuck_mv
            case 0x11:
                self._mode = command[1]
            case 0x19:
                self._write(self._metadata())

    def _metadata(self) -> bytes:
        lines = ["Calibrated: 1"]
        for family, values in (("R", SHUNTS), ("GS", [0.0] * 5), ("GI", [1.0] * 5), ("O", [0.0] * 5)):
            lines += [f"{family}{number}: {value}" for number, value in enumerate(values)]
        for family, value in (("S", 0.0), ("I", 0.0), ("UG", 1.0)):
            lines += [f"{family}{number}: {value}" for number in range(5 if self.calibrated else 4)]
        return "\n".join(
            [*lines, f"VDD: {self._vdd_mv}", "HW: 9173", f"mode: {self._mode}", "IA: 56", "END", ""]
        ).encode()

    def _samples(self) -> bytes:
        """Those since the last call: 14 bits of ADC, 3 of range, 6 of a counter, 8 of inputs."""
        until = int((time.monotonic() - 0.002 - self._measuring_since) * SAMPLE_HZ)
        numbers = np.arange(self._sent, max(until, self._sent))
        self._sent = max(until, self._sent)
        high = self._load.sync(self._measuring_since + numbers / SAMPLE_HZ)
        current_a = self._load.current_ma(high) / 1000 * self.powered
        ranges = np.searchsorted(FULL_SCALE_A, current_a).clip(max=4)
        adc = np.rint(current_a / np.array(FULL_SCALE_A)[ranges] * 0x3FFF).clip(max=0x3FFF).astype(np.uint32)
        counters = (self._counter + np.arange(len(numbers))) & 0x3F
        self._counter = (self._counter + len(numbers)) & 0x3F
        words = adc | ranges.astype(np.uint32) << 14 | counters.astype(np.uint32) << 18
        words |= (high & self.sync_wired).astype(np.uint32) << 24
        # It loses samples one or a few at a time, and the counter goes on.
        lost = self._random.random(len(words)) < self.drop_share
        return words[~lost].astype("<u4").tobytes()
