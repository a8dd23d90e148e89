"""Whether a board still measures what it measured at the start: clocks drift, supplies sag, firmware is replaced."""

import threading
from dataclasses import dataclass

import numpy as np

from tinynas.deploy.build import Image
from tinynas.device.measure import Measurement

# A shift counts if it is larger than three times the baseline's spread, and than what a cheap oscillator does anyway.
_SPREADS = 3.0
_FLOOR = 0.005


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What is measured again and again: the first image that ran on this bench, with one of its inputs."""

    image: Image
    inputs: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The reference's latency on one board at the start, median and interquartile range [us]."""

    latency_us: float
    spread_us: float


class DriftGuard:
    """Which results of each board hang on its next check, which comes after `every` of them and after each recovery.

    A result is known by its label. A good check clears those since the last one, a bad check makes them suspects.
    """

    def __init__(self, *, every: int) -> None:
        self._every = every
        self._lock = threading.Lock()
        self._reference: Reference | None = None
        self._baselines: dict[str, Baseline] = {}
        self._unchecked: dict[str, list[str]] = {}
        self._suspects: set[str] = set()

    def reference(self, image: Image, inputs: np.ndarray) -> Reference:
        """The bench's reference, which is this one if there was none."""
        with self._lock:
            self._reference = self._reference or Reference(image=image, inputs=inputs[:1])
            return self._reference

    def credit(self, board: str, label: str) -> bool:
        """Take note of a result; returns whether the board is to be checked now."""
        with self._lock:
            labels = self._unchecked.setdefault(board, [])
            labels.append(label)
            return len(labels) >= self._every or board not in self._baselines

    def judge(self, board: str, measurement: Measurement) -> str | None:
        """Compare the reference's measurement with the board's first one; returns what is wrong, None if nothing."""
        low, latency_us, high = (float(each) for each in np.percentile(measurement.latencies_us, [25, 50, 75]))
        with self._lock:
            start = self._baselines.setdefault(board, Baseline(latency_us=latency_us, spread_us=high - low))
            tolerance_us = max(_SPREADS * start.spread_us, _FLOOR * start.latency_us)
            if abs(latency_us - start.latency_us) <= tolerance_us:
                self._unchecked.pop(board, None)
                return None
        self.condemn(board)
        return (
            f"the reference network takes {latency_us:,.1f} us and took {start.latency_us:,.1f} us at the start, "
            f"more than {tolerance_us:,.1f} us apart"
        )

    def condemn(self, board: str) -> None:
        """Suspect all results of a board since its last good check."""
        with self._lock:
            self._suspects.update(self._unchecked.pop(board, []))

    def clear(self, label: str) -> None:
        """Forget that a result is suspect: it is measured again."""
        with self._lock:
            self._suspects.discard(label)

    def unchecked(self) -> list[str]:
        """The boards with results since their last good check."""
        with self._lock:
            return [board for board, labels in self._unchecked.items() if labels]

    def take_suspects(self) -> set[str]:
        """The labels of results that are to be measured again; they are told once."""
        with self._lock:
            suspects, self._suspects = self._suspects, set()
            return suspects
