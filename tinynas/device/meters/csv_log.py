"""Any instrument whose software writes a CSV file as it goes: a column of time, one of current, one of the sync pin."""

import csv
import io
import time
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from tinynas.cost import Source
from tinynas.device.meters.contract import Recording, Subject
from tinynas.device.meters.pulses import PulseIntegrator
from tinynas.errors import MeterError
from tinynas.settings import Section

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_MILLIAMPERES = {"A": 1e3, "mA": 1.0, "uA": 1e-3}
_VOLTS = {"V": 1.0, "mV": 1e-3}
# A header stands within the first lines, whatever an instrument's software writes above it.
_HEADER_BYTES = 65536
_MOST_BYTES = 1 << 30
# A logger that writes nothing for so long has stopped.
_SILENCE_S = 3.0
# Of the time that passed, so much must be in the file.
_LEAST_COVERED = 0.9


class CsvConfig(Section):
    """A file that a logger appends lines to. `time`, `current`, `voltage` and `sync` are names of its columns; without
    `voltage` the supply is taken to be `supply_v`. The pin is high where `sync` is above `sync_above`. `flush_s`: how
    late the logger may write a line. `full_scale_ma`: the end of the instrument's range.
    """

    kind: Literal["csv"]
    path: Path
    supply_v: Annotated[float, Field(gt=0, le=60)]
    time: str
    time_unit: Literal["s", "ms", "us"] = "s"
    current: str
    current_unit: Literal["A", "mA", "uA"] = "mA"
    voltage: str | None = None
    voltage_unit: Literal["V", "mV"] = "V"
    sync: str
    sync_above: float = 0.5
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    flush_s: Annotated[float, Field(ge=0, le=60)] = 1.0
    full_scale_ma: Annotated[float, Field(gt=0)] | None = None


class CsvMeter:
    """Reads what the logger appends from `start` to `stop`."""

    source: Source = "measured"
    shortest_s = 10.0

    def __init__(self, config: CsvConfig) -> None:
        self.name = f"csv {config.path}"
        self.supply_v: float | None = config.supply_v
        self._config = config
        self._columns: dict[str, int] = {}
        self._offset = 0
        self._started = 0.0
        self._grown: tuple[int, float] = (0, 0.0)

    def __enter__(self) -> Self:
        """Raises MeterError: the file cannot be read, or has no such columns."""
        config = self._config
        wanted = [config.time, config.current, config.sync, *([config.voltage] if config.voltage else [])]
        head = self._read(0, _HEADER_BYTES).decode("utf-8", errors="replace")
        for row in csv.reader(io.StringIO(head), delimiter=config.delimiter):
            names = [name.strip() for name in row]
            if all(name in names for name in wanted):
                self._columns = {name: names.index(name) for name in wanted}
                return self
        raise MeterError(f"meter {self.name}: no line of its beginning names the columns {', '.join(wanted)}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def start(self, subject: Subject) -> None:
        # Lines of earlier samples may still be on their way to the file.
        time.sleep(self._config.flush_s)
        self._offset = self._size()
        self._started = time.monotonic()
        self._grown = (self._offset, self._started)

    def ran(self, latency_s: float) -> None:
        size, now = self._size(), time.monotonic()
        if size != self._grown[0]:
            self._grown = (size, now)
        elif now - self._grown[1] > _SILENCE_S + self._config.flush_s:
            raise MeterError(f"meter {self.name} went away: nothing was written for {now - self._grown[1]:.0f} s")

    def stop(self) -> Recording:
        elapsed_s = time.monotonic() - self._started
        time.sleep(self._config.flush_s)
        times_s, current_ma, volts, sync = self._samples()
        covered_s = times_s[-1] - times_s[0] if len(times_s) > 1 else 0.0
        if covered_s < _LEAST_COVERED * elapsed_s:
            raise MeterError(
                f"meter {self.name} went away: {covered_s:.2f} s of the last {elapsed_s:.2f} s are in the file"
            )
        return self._integrate(times_s, current_ma, volts, sync)

    def _integrate(self, times_s: np.ndarray, current_ma: np.ndarray, volts: np.ndarray, sync: np.ndarray) -> Recording:
        steps_s = np.diff(times_s)
        step_s = float(np.median(steps_s))
        if step_s <= 0 or steps_s.min() <= 0:
            raise MeterError(f"meter {self.name}: column {self._config.time} does not increase from line to line")
        missing = np.rint(steps_s / step_s).astype(np.int64) - 1
        integrator = PulseIntegrator(sample_hz=1 / step_s)
        start = 0
        for end in [*(np.flatnonzero(missing > 0) + 1).tolist(), len(times_s)]:
            part = slice(start, end)
            integrator.feed(
                current_ma[part] * volts[part], sync[part], volts[part], clipped=self._clipped(current_ma[part])
            )
            if end < len(times_s):
                integrator.gap(int(missing[end - 1]))
            start = end
        return integrator.recording(
            note="" if self._config.voltage else f"at {self._config.supply_v:g} V, as configured"
        )

    def _clipped(self, current_ma: np.ndarray) -> int:
        full = self._config.full_scale_ma
        return 0 if full is None else int(np.count_nonzero(np.abs(current_ma) >= full))

    def _samples(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Times [s], currents [mA], voltages [V] and levels of the pin since `start`."""
        config = self._config
        data = self._read(self._offset, _MOST_BYTES)
        # The first line may have been begun before, the last may not be whole yet.
        whole = data[data.find(b"\n") + 1 : data.rfind(b"\n") + 1]
        if not whole:
            raise MeterError(f"meter {self.name} went away: no line was written")
        order = list(self._columns.values())
        try:
            table = np.loadtxt(io.BytesIO(whole), delimiter=config.delimiter, usecols=order, ndmin=2, encoding="utf-8")
        except (ValueError, IndexError) as error:
            raise MeterError(f"meter {self.name}: a line holds no number where one belongs: {error}") from error
        if not np.isfinite(table).all():
            raise MeterError(f"meter {self.name}: a value is not finite")
        columns = dict(zip(self._columns, table.T, strict=True))
        volts = (
            columns[config.voltage] * _VOLTS[config.voltage_unit]
            if config.voltage
            else np.full(len(table), config.supply_v)
        )
        current_ma = columns[config.current] * _MILLIAMPERES[config.current_unit]
        return (
            columns[config.time] * _SECONDS[config.time_unit],
            current_ma,
            volts,
            columns[config.sync] > config.sync_above,
        )

    def _read(self, offset: int, most: int) -> bytes:
        try:
            with self._config.path.open("rb") as stream:
                stream.seek(offset)
                return stream.read(most)
        except OSError as error:
            raise MeterError(f"meter {self.name} went away: {error.strerror}") from error

    def _size(self) -> int:
        try:
            return self._config.path.stat().st_size
        except OSError as error:
            raise MeterError(f"meter {self.name} went away: {error.strerror}") from error
