"""From samples of power and of the sync pin to the energy of each pulse."""

from dataclasses import dataclass, field

import numpy as np

from tinynas.device.meters.contract import Recording


@dataclass(kw_only=True)
class PulseIntegrator:
    """Takes samples in blocks of any size and keeps only sums: a run is tens of millions of samples.

    A sample counts for the time from it to the next one. Lost samples are taken to be as the last one before them, so
    that time does not shrink; how many they are is in the recording. A pulse that was under way at the start or is at
    the end counts for nothing, and the number of pulses tells.
    """

    sample_hz: float
    _samples: int = 0
    _lost: int = 0
    _clipped: int = 0
    _sum_v: float = 0.0
    _low_uj: float = 0.0
    _low_samples: int = 0
    _high: bool | None = None
    _power_mw: float = 0.0
    _pulse: list[float] | None = None
    _pulses: list[tuple[float, int]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How much time the samples stand for, lost ones included [s]."""
        return (self._samples + self._lost) / self.sample_hz

    def feed(
        self, power_mw: np.ndarray, sync: np.ndarray, supply_v: np.ndarray | float = 0.0, *, clipped: int = 0
    ) -> None:
        """Add samples: power [mW] float64 (n,), level of the sync pin bool (n,), voltage [V] (n,) or a constant.

        Raises:
            ValueError: the arrays differ in length.
        """
        if len(power_mw) != len(sync):
            raise ValueError(f"{len(power_mw)} samples of power, {len(sync)} of the sync pin")
        count = len(power_mw)
        if not count:
            return
        self._samples += count
        self._clipped += clipped
        self._sum_v += float(np.sum(np.broadcast_to(supply_v, count), dtype=np.float64))
        self._integrate(np.asarray(power_mw, np.float64), np.asarray(sync, bool))

    def gap(self, count: int) -> None:
        """`count` samples are missing here."""
        self._lost += count
        if self._high is not None and count:
            self._add(self._high, self._power_mw * count, count)

    def recording(self, *, supply_v: float | None = None, note: str = "") -> Recording:
        """All of it; `supply_v` where the samples had no voltage."""
        if supply_v is None and self._samples:
            supply_v = self._sum_v / self._samples
        return Recording(
            pulses_uj=tuple(total * 1e3 / self.sample_hz for total, _ in self._pulses),
            pulses_s=tuple(count / self.sample_hz for _, count in self._pulses),
            between_mw=self._low_uj / self._low_samples if self._low_samples else None,
            supply_v=supply_v,
            resolution_s=1 / self.sample_hz,
            samples=self._samples,
            lost=self._lost,
            clipped=self._clipped,
            note=note,
        )

    def _integrate(self, power_mw: np.ndarray, sync: np.ndarray) -> None:
        turns = np.flatnonzero(sync[1:] != sync[:-1]) + 1
        bounds = [0, *turns.tolist(), len(sync)]
        sums = np.add.reduceat(power_mw, bounds[:-1])
        for start, end, total in zip(bounds[:-1], bounds[1:], sums.tolist(), strict=True):
            self._add(bool(sync[start]), total, end - start)
        self._power_mw = float(power_mw[-1])

    def _add(self, high: bool, total_mw: float, count: int) -> None:
        """`count` samples at one level of the pin, whose powers add up to `total_mw`."""
        if high != self._high:
            if high:
                self._pulse = None if self._high is None else [0.0, 0]
            elif self._pulse is not None:
                self._pulses.append((self._pulse[0], int(self._pulse[1])))
                self._pulse = None
            self._high = high
        if not high:
            self._low_uj += total_mw
            self._low_samples += count
        elif self._pulse is not None:
            self._pulse[0] += total_mw
            self._pulse[1] += count
