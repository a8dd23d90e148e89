"""A JS220 behind pyjoulescope_driver's interface: it is opened by its path, told what to stream, and publishes blocks
of samples as the binding hands them over (binding.pyx, jsdrv_stream_signal_s): ids at 2 MHz, current and voltage as
float32, an input as bits, eight to a byte.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynas.device.meters.fake import Load

RATE_HZ = 2_000_000
INPUT_HZ = 1_000_000
PATH = "u/js220/001234"


class SimulatedJoulescope:
    """Takes the place of pyjoulescope_driver.Driver. `drop_share` of the blocks of current are lost, `nan_share` of its
    samples are not numbers, `sync_wired` False leaves the input open, `volts` None means the load's.
    """

    def __init__(self, load: Load) -> None:
        self.nan_share = 0.0
        self.drop_blocks = False
        self.sync_wired = True
        self.opened: str | None = None
        self.published: dict[str, Any] = {}
        self.paths = [PATH]
        self._load = load
        self._subscribers: dict[str, list[Callable[[str, Any], None]]] = {}
        self._since = time.monotonic()
        self._sent = {"i": 0, "v": 0, "gpi/0": 0}
        self._random = np.random.default_rng(0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._stream, daemon=True)
        self._thread.start()

    def device_paths(self) -> list[str]:
        return self.paths

    def open(self, device_prefix: str, mode: str | None = None) -> None:
        if device_prefix not in self.paths:
            raise RuntimeError(f"jsdrv_open failed: {device_prefix} NOT_FOUND")
        self.opened = device_prefix

    def close(self, device_prefix: str) -> None:
        self.opened = None

    def finalize(self) -> None:
        pass

    def publish(self, topic: str, value: Any, timeout: float | None = None) -> None:
        if not self.paths:
            raise RuntimeError(f"jsdrv_publish failed: {topic} UNAVAILABLE")
        self.published[topic] = value

    def subscribe(self, topic: str, flags: Any, fn: Callable[[str, Any], None]) -> None:
        self._subscribers.setdefault(topic, []).append(fn)

    def unsubscribe(self, topic: str, fn: Callable[[str, Any], None]) -> None:
        self._subscribers[topic].remove(fn)

    def unplug(self) -> None:
        """Pull the USB plug."""
        self.paths = []
        self._tell("@/!remove", PATH)

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _tell(self, topic: str, value: Any) -> None:
        for subscriber in list(self._subscribers.get(topic, [])):
            subscriber(topic, value)

    def _stream(self) -> None:
        while not self._stop.wait(0.01):
            until = int((time.monotonic() - self._since - 0.003) * RATE_HZ)
            # Signals do not come in step with each other.
            for signal, lag in (("i", 0), ("v", 2200), ("gpi/0", 5100)):
                step = RATE_HZ // (INPUT_HZ if signal == "gpi/0" else self.published.get(f"{PATH}/h/fs", 1_000_000))
                self._send(signal, step, (until - lag) // (8 * step) * 8 * step)

    def _send(self, signal: str, step: int, until: int) -> None:
        ids = np.arange(self._sent[signal], until, step)
        self._sent[signal] = max(until, self._sent[signal])
        if not len(ids) or not self.paths or not self.published.get(f"{PATH}/s/{signal}/ctrl"):
            return
        if signal == "i" and self.drop_blocks and self._random.random() < 0.3:
            return
        value = {"sample_id": int(ids[0]), "sample_rate": RATE_HZ, "decimate_factor": step}
        self._tell(f"{PATH}/s/{signal}/!data", value | {"data": self._samples(signal, ids)})

    def _samples(self, signal: str, ids: np.ndarray) -> np.ndarray:
        high = self._load.sync(self._since + ids / RATE_HZ)
        if signal == "gpi/0":
            return np.packbits(high & self.sync_wired, bitorder="little")
        if signal == "v":
            return np.full(len(ids), self._load.supply_v, np.float32)
        current_a = (self._load.current_ma(high) / 1e3).astype(np.float32)
        current_a[self._random.random(len(ids)) < self.nan_share] = np.nan
        return current_a
