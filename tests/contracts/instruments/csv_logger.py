"""A logger that appends samples of a Load to a CSV file, in batches, as instruments' own software does."""

import threading
import time
from pathlib import Path

import numpy as np

from tinynas.device.meters.fake import Load

SAMPLE_HZ = 20_000


class CsvLogger:
    """Writes to `path` until `close`. `sync_wired` False: the column of the pin stays 0."""

    def __init__(self, load: Load, path: Path) -> None:
        self.sync_wired = True
        self.lose_share = 0.0
        self._load = load
        self._path = path
        self._stop = threading.Event()
        path.write_text("# A logger of some make\nTimestamp(ms),Current(uA),Voltage(mV),D0\n")
        self._thread = threading.Thread(target=self._log, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _log(self) -> None:
        begun, written, random = time.monotonic(), 0, np.random.default_rng(0)
        with self._path.open("a") as stream:
            while not self._stop.wait(0.02):
                until = int((time.monotonic() - begun - 0.002) * SAMPLE_HZ)
                numbers = np.arange(written, until)
                high = self._load.sync(begun + numbers / SAMPLE_HZ)
                current_ua = self._load.current_ma(high) * 1e3
                pin = (high & self.sync_wired).astype(int)
                kept = random.random(len(numbers)) >= self.lose_share
                for number, current, level in zip(numbers[kept], current_ua[kept], pin[kept], strict=True):
                    stream.write(
                        f"{number * 1e3 / SAMPLE_HZ:.3f},{current:.3f},{self._load.supply_v * 1e3:.0f},{level}\n"
                    )
                stream.flush()
                written = max(written, until)
