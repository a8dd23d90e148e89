"""A Joulescope JS220 or JS110, through pyjoulescope_driver: current, voltage and a digital input, sampled together."""

import contextlib
import threading
from types import TracebackType
from typing import Annotated, Any, Literal, Protocol, Self

import numpy as np
from pydantic import Field

from tinynas.device.meters.contract import Recording
from tinynas.device.meters.pulses import PulseIntegrator
from tinynas.device.meters.stream import Stream, StreamingMeter
from tinynas.errors import ConfigError, MeterError
from tinynas.settings import Section

# What the current range "auto" ends at, JS110 and JS220 user's guides, specifications.
_FULL_SCALE_MA = 10_000.0
# Samples that are missing at once: with more, the instrument was gone.
_MOST_MISSING_S = 1.0


class JoulescopeConfig(Section):
    """A Joulescope, by its serial number, or the only one, in the line of the board's supply. The sync pin is on input
    `sync`. supply_v: what the board is meant to have.
    """

    kind: Literal["joulescope"]
    supply_v: Annotated[float, Field(gt=0, le=15)]
    serial: str | None = None
    sync: Annotated[int, Field(ge=0, le=3)] = 0
    sample_hz: Literal[10_000, 100_000, 200_000, 500_000, 1_000_000] = 200_000


class Driver(Protocol):
    """What is used of pyjoulescope_driver.Driver."""

    def device_paths(self) -> list[str]: ...
    def open(self, device_prefix: str, mode: str | None = None) -> None: ...
    def close(self, device_prefix: str) -> None: ...
    def publish(self, topic: str, value: Any, timeout: float | None = None) -> None: ...
    def subscribe(self, topic: str, flags: Any, fn: Any) -> None: ...
    def unsubscribe(self, topic: str, fn: Any) -> None: ...
    def finalize(self) -> None: ...


class JoulescopeMeter(StreamingMeter):
    """The driver's thread hands over blocks of samples from `start` on; only sums are kept."""

    def __init__(self, config: JoulescopeConfig) -> None:
        """Raises ConfigError: pyjoulescope_driver is not installed."""
        try:
            import pyjoulescope_driver  # noqa: F401
        except ImportError as error:
            raise ConfigError("a joulescope needs pyjoulescope_driver: pip install 'tinynas[joulescope]'") from error
        super().__init__()
        self.name = f"joulescope {config.serial or ''}".strip()
        self.supply_v: float | None = config.supply_v
        self._config = config
        self._driver: Driver | None = None
        self._path = ""

    def __enter__(self) -> Self:
        import pyjoulescope_driver

        try:
            self._driver = pyjoulescope_driver.Driver()
            self._path = self._find(self._driver.device_paths())
            self._driver.open(self._path, "defaults")
            self._driver.publish(f"{self._path}/s/i/range/mode", "auto")
            self._driver.publish(f"{self._path}/h/fs", self._config.sample_hz)
        except MeterError:
            self._close()
            raise
        except Exception as error:
            # The binding raises RuntimeError, TimeoutError and others.
            self._close()
            raise MeterError(f"meter {self.name} cannot be used: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def _begin(self) -> Stream:
        if self._driver is None:
            raise ValueError("the meter is not connected")
        try:
            return _Samples(self.name, self._driver, self._path, self._config)
        except Exception as error:
            raise MeterError(f"meter {self.name} does not stream: {error}") from error

    def _find(self, paths: list[str]) -> str:
        serial = self._config.serial
        found = [path for path in paths if serial is None or path.rsplit("/", 1)[-1] == serial]
        if len(found) != 1:
            here = ", ".join(paths) or "none"
            raise MeterError(f"meter {self.name}: {len(found)} of the Joulescopes here fit ({here}): give its serial")
        return found[0]

    def _close(self) -> None:
        self._end_stream()
        if self._driver is not None:
            # What is gone cannot be closed, and that spoils no figure.
            with contextlib.suppress(Exception):
                self._driver.close(self._path)
            with contextlib.suppress(Exception):
                self._driver.finalize()
            self._driver = None


class _Channel:
    """Samples of one signal that wait for those of the others. Ids count at the instrument's own rate."""

    def __init__(self) -> None:
        self.values = np.empty(0, np.float32)
        self.first_id = 0
        self.step = 0

    @property
    def end_id(self) -> int:
        return self.first_id + len(self.values) * self.step

    def append(self, block: dict[str, Any]) -> None:
        """Add a block; missing samples become NaN. Raises ValueError: ids run backwards, or a second is missing."""
        data = block["data"]
        # Inputs come eight to a byte, the first one lowest; the last byte may not be full.
        values = np.unpackbits(data, bitorder="little") if data.dtype == np.uint8 else data
        start, step = int(block["sample_id"]), int(block["decimate_factor"])
        if not self.step:
            self.first_id, self.step = start, step
        elif step != self.step:
            raise ValueError(f"the decimation changed from {self.step} to {step}")
        missing = (start - self.end_id) // step
        if missing < -7 or missing > _MOST_MISSING_S * block["sample_rate"] / step:
            raise ValueError(f"{missing} samples are missing at once")
        kept = self.values[: len(self.values) + min(missing, 0)]
        gap = np.full(max(missing, 0), np.nan, np.float32)
        self.values = np.concatenate([kept, gap, values.astype(np.float32)])

    def take(self, start_id: int, count: int, step: int) -> np.ndarray:
        """`count` samples from `start_id` on, one for every `step` ids, and forget all before their end."""
        taken = self.values[(start_id - self.first_id + np.arange(count) * step) // self.step]
        used = (start_id + count * step - self.first_id) // self.step
        self.values, self.first_id = self.values[used:], self.first_id + used * self.step
        return taken


class _Samples(Stream):
    """One recording."""

    def __init__(self, name: str, driver: Driver, path: str, config: JoulescopeConfig) -> None:
        super().__init__(name)
        signals = {"i": "s/i", "v": "s/v", "sync": f"s/gpi/{config.sync}"}
        self._channels = {name: _Channel() for name in signals}
        self._names = {f"{path}/{topic}/!data": name for name, topic in signals.items()}
        self._controls = [f"{path}/{topic}/ctrl" for topic in signals.values()]
        self._driver, self._path = driver, path
        self._integrator: PulseIntegrator | None = None
        self._lock = threading.Lock()
        # Subscriptions are recognised by the very object.
        self._subscriber, self._removal = self._on_data, self._on_removed
        driver.subscribe("@/!remove", "pub", self._removal)
        for topic in self._names:
            driver.subscribe(topic, "pub", self._subscriber)
        for topic in self._controls:
            driver.publish(topic, 1)

    @property
    def seconds(self) -> float:
        return self._integrator.seconds if self._integrator is not None else 0.0

    def recording(self) -> Recording:
        if self._integrator is None:
            raise ValueError("there are no samples")
        with self._lock:
            return self._integrator.recording()

    def _close(self) -> None:
        with contextlib.suppress(Exception):
            for topic in self._controls:
                self._driver.publish(topic, 0)
        with contextlib.suppress(Exception):
            for topic in self._names:
                self._driver.unsubscribe(topic, self._subscriber)
            self._driver.unsubscribe("@/!remove", self._removal)

    def _on_removed(self, topic: str, value: Any) -> None:
        if value == self._path:
            self._failed(ConnectionError("it was unplugged"))

    def _on_data(self, topic: str, block: dict[str, Any]) -> None:
        """Called in the driver's thread."""
        try:
            with self._lock:
                self._channels[self._names[topic]].append(block)
                self._integrate(int(block["sample_rate"]))
        except Exception as error:
            # Whatever is wrong is raised by the next call.
            self._failed(error)

    def _integrate(self, rate_hz: int) -> None:
        """All samples that are there on each of the channels."""
        channels = self._channels
        if not all(len(channel.values) for channel in channels.values()):
            return
        step = channels["i"].step
        start = max(channel.first_id for channel in channels.values())
        # On the grid of the current's samples.
        start += (channels["i"].first_id - start) % step
        count = (min(channel.end_id for channel in channels.values()) - start) // step
        if count < 1:
            return
        if self._integrator is None:
            self._integrator = PulseIntegrator(sample_hz=rate_hz / step)
        self._came(count * step / rate_hz)
        current_a, volts, sync = (channels[name].take(start, count, step) for name in ("i", "v", "sync"))
        self._feed(self._integrator, current_a.astype(np.float64), volts.astype(np.float64), sync)

    @staticmethod
    def _feed(integrator: PulseIntegrator, current_a: np.ndarray, volts: np.ndarray, sync: np.ndarray) -> None:
        present = np.isfinite(current_a) & np.isfinite(volts) & np.isfinite(sync)
        turns = np.flatnonzero(present[1:] != present[:-1]) + 1
        for part in np.split(np.arange(len(present)), turns):
            if present[part[0]]:
                clipped = int(np.count_nonzero(np.abs(current_a[part]) * 1e3 >= _FULL_SCALE_MA))
                power_mw = current_a[part] * volts[part] * 1e3
                integrator.feed(power_mw, sync[part] > 0, volts[part], clipped=clipped)
            else:
                integrator.gap(len(part))
