"""Nordic's Power Profiler Kit II, through ppk2lab: 100,000 samples a second of current and of eight digital inputs."""

import contextlib
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from tinynas.device.meters.contract import Recording
from tinynas.device.meters.pulses import PulseIntegrator
from tinynas.device.meters.stream import LAG_S, Stream, StreamingMeter
from tinynas.errors import ConfigError, MeterError
from tinynas.settings import Section

if TYPE_CHECKING:
    from ppk2lab.device import PPK2

SAMPLE_HZ = 100_000
# The sample's fields: ppk2lab, protocol/samples.py.
_ADC = 0x3FFF
_RANGE_SHIFT, _RANGES = 14, 5
_LOGIC_SHIFT = 24


class Ppk2Config(Section):
    """A PPK2, by its USB serial number or port, or the only one. As a `source` it feeds the board with `supply_v`; as
    an `ampere` meter it lies in the line of another supply, which is taken to have `supply_v`: the PPK2 measures no
    voltage. The sync pin is on D`sync`.
    """

    kind: Literal["ppk2"]
    supply_v: Annotated[float, Field(ge=0.8, le=5.0)]
    mode: Literal["source", "ampere"] = "source"
    serial: str | None = None
    port: str | None = None
    sync: Annotated[int, Field(ge=0, le=7)] = 0


class Ppk2Meter(StreamingMeter):
    """A thread takes the samples from `start` on; only sums are kept."""

    def __init__(self, config: Ppk2Config) -> None:
        """Raises ConfigError: ppk2lab is not installed."""
        try:
            import ppk2lab  # noqa: F401
        except ImportError as error:
            raise ConfigError("a ppk2 needs ppk2lab: pip install 'tinynas[ppk2]'") from error
        super().__init__()
        self.name = f"ppk2 {config.serial or config.port or ''}".strip()
        self.supply_v: float | None = config.supply_v
        self._config = config
        self._device: PPK2 | None = None

    def __enter__(self) -> Self:
        from ppk2lab import PPK2, Mode, Ppk2labError

        config = self._config
        millivolts = round(config.supply_v * 1000)
        try:
            self._device = PPK2.open(
                serial_number=config.serial, port=config.port, simulate=False, max_voltage_mv=millivolts
            )
            # The setting enters the conversion of samples, so an ampere meter is told, too.
            self._device.set_mode(Mode.SOURCE if config.mode == "source" else Mode.AMPERE)
            self._device.set_source_voltage_mv(millivolts)
            self._require_ready(millivolts)
            self._device.set_dut_power(True)
        except Ppk2labError as error:
            self._close()
            raise MeterError(f"meter {self.name} cannot be used: {error}") from error
        except MeterError:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def _begin(self) -> Stream:
        return _Samples(self.name, self._open(), self._config)

    def _require_ready(self, millivolts: int) -> None:
        """Raises MeterError: it took another voltage, or has no calibration."""
        state, calibration = self._open().state, self._open().calibration
        if state.source_voltage_mv != millivolts:
            raise MeterError(
                f"meter {self.name} was asked for {millivolts / 1000:.2f} V and says "
                f"{(state.source_voltage_mv or 0) / 1000:.2f} V"
            )
        if calibration is None or calibration.missing_ranges():
            raise MeterError(f"meter {self.name} gives no calibration for all of its ranges: its currents mean nothing")

    def _open(self) -> "PPK2":
        if self._device is None:
            raise ValueError("the meter is not connected")
        return self._device

    def _close(self) -> None:
        """Turn the board's power off, where it was, and let go of the port."""
        self._end_stream()
        if self._device is not None:
            # What cannot be restored on an instrument that is gone is no error of the figures.
            with contextlib.suppress(Exception):
                self._device.close()
            self._device = None


class _Samples(Stream):
    """One recording."""

    def __init__(self, name: str, device: "PPK2", config: Ppk2Config) -> None:
        super().__init__(name)
        self._integrator = PulseIntegrator(sample_hz=float(SAMPLE_HZ))
        self._device = device
        self._config = config
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="ppk2", daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        return self._integrator.seconds

    def recording(self) -> Recording:
        supply_v, fed = (
            self._config.supply_v,
            "from its own source" if self._config.mode == "source" else "as configured",
        )
        return self._integrator.recording(supply_v=supply_v, note=f"at {supply_v:g} V {fed}")

    def _close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        from ppk2lab.protocol.samples import SampleBlock

        try:
            with self._device.stream(idle_timeout_s=LAG_S) as events:
                for event in events:
                    if isinstance(event, SampleBlock):
                        self._take(np.frombuffer(event.words, np.uint32))
                    else:
                        self._skip(event.missing)
                    if self._stop.is_set():
                        return
        except Exception as error:
            # Whatever ends the thread is raised by the next call.
            self._failed(error)

    def _take(self, words: np.ndarray) -> None:
        self._came(len(words) / SAMPLE_HZ)
        supply_v = self._config.supply_v
        adc, ranges = words & _ADC, words >> _RANGE_SHIFT & 7
        if ranges.max() >= _RANGES:
            raise ValueError(f"a sample in range {ranges.max()}, there are {_RANGES}")
        current_ma = np.empty(len(words))
        calibration: Any = self._device.calibration
        for number in np.unique(ranges).tolist():
            chosen = ranges == number
            current_ua = calibration.ranges[number].convert(adc[chosen].astype(np.float64), supply_v * 1000)
            current_ma[chosen] = current_ua / 1000
        # Below the largest range, a full scale only means that the instrument is about to switch.
        clipped = int(np.count_nonzero((adc == _ADC) & (ranges == _RANGES - 1)))
        sync = (words >> (_LOGIC_SHIFT + self._config.sync) & 1).astype(bool)
        self._integrator.feed(current_ma * supply_v, sync, supply_v, clipped=clipped)

    def _skip(self, missing: int | None) -> None:
        if missing is None:
            raise ValueError("an unknown number of samples were lost")
        self._integrator.gap(missing)
