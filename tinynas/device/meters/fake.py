"""A board's supply without hardware, and an ideal instrument on it that fails on demand."""

import threading
import time
from types import TracebackType
from typing import Self

import numpy as np

from tinynas.cost import Source
from tinynas.device.meters.contract import Recording, Subject
from tinynas.device.meters.pulses import PulseIntegrator
from tinynas.errors import MeterError


class Load:
    """What a fake board draws as time goes by: `run_ma` during an inference of `inference_s`, else `idle_ma`.

    Simulated instruments ask for it at any time up to now. `pulses_s` are the true lengths of the inferences.
    """

    def __init__(
        self, *, supply_v: float = 3.3, idle_ma: float = 4.0, run_ma: float = 20.0, inference_s: float = 0.004
    ) -> None:
        self.supply_v = supply_v
        self.idle_ma = idle_ma
        self.run_ma = run_ma
        self.inference_s = inference_s
        self._edges: list[float] = []
        self._lock = threading.Lock()

    @property
    def pulses_s(self) -> list[float]:
        """Lengths of all inferences so far [s]."""
        with self._lock:
            return [end - start for start, end in zip(self._edges[::2], self._edges[1::2], strict=False)]

    @property
    def energy_uj(self) -> float:
        """True energy of an inference of `inference_s` [uJ]."""
        return self.supply_v * self.run_ma * 1e3 * self.inference_s

    def run(self) -> int:
        """Run one inference, as `ticks` of a fake board; returns its true length [us]."""
        with self._lock:
            self._edges.append(time.monotonic())
        time.sleep(self.inference_s)
        with self._lock:
            self._edges.append(time.monotonic())
            return round((self._edges[-1] - self._edges[-2]) * 1e6)

    def sync(self, times: np.ndarray) -> np.ndarray:
        """Level of the sync pin at `times` of time.monotonic(), float64 (n,) -> bool (n,)."""
        with self._lock:
            edges = np.array(self._edges)
        high: np.ndarray = np.searchsorted(edges, times, side="right") % 2 == 1
        return high

    def current_ma(self, sync: np.ndarray) -> np.ndarray:
        """Current [mA], float64 (n,), for levels of the sync pin."""
        return np.where(sync, self.run_ma, self.idle_ma)


class FakeMeter:
    """Samples a Load at `sample_hz`. `lost_share` of the samples are lost, all above `full_scale_ma` are clipped, and
    `unplugged` ends it.
    """

    source: Source = "measured"

    def __init__(self, load: Load, *, supply_v: float | None = 3.3, shortest_s: float = 0.1) -> None:
        self.name = "fake"
        self.supply_v = supply_v
        self.shortest_s = shortest_s
        self.sample_hz = 50_000.0
        self.lost_share = 0.0
        self.full_scale_ma = 100.0
        self.unplugged = False
        self._load = load
        self._started: float | None = None

    def __enter__(self) -> Self:
        self._require_plugged()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def start(self, subject: Subject) -> None:
        self._require_plugged()
        self._started = time.monotonic()

    def ran(self, latency_s: float) -> None:
        self._require_plugged()

    def stop(self) -> Recording:
        self._require_plugged()
        if self._started is None:
            raise ValueError("the meter was not started")
        integrator = PulseIntegrator(sample_hz=self.sample_hz)
        sync = self._load.sync(np.arange(self._started, time.monotonic(), 1 / self.sample_hz))
        current_ma = self._load.current_ma(sync)
        clipped = int(np.count_nonzero(current_ma >= self.full_scale_ma))
        kept = len(sync) - round(len(sync) * self.lost_share)
        integrator.feed(current_ma[:kept] * self._load.supply_v, sync[:kept], self._load.supply_v, clipped=clipped)
        integrator.gap(len(sync) - kept)
        return integrator.recording()

    def _require_plugged(self) -> None:
        if self.unplugged:
            raise MeterError("meter fake went away")
