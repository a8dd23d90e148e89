"""INA226 and INA219 have no register that adds up energy, and a busy CPU cannot poll them. So a single conversion is
triggered right before each inference, of the longest averaging that surely ends within it, and its mean power is taken
for all of the inference.
"""

import itertools
import time
from dataclasses import dataclass

from tinynas.device.meters.ina import InaConfig, Registers, signed
from tinynas.errors import MeterError

_CONFIG, _SHUNT, _BUS = 0x00, 0x01, 0x02
_TRIGGERED = 3
# Both sensors' oscillators may be 10 % slow: the maxima in the tables of their electrical characteristics.
_SLOWEST = 1.1
# Of an inference, the conversion must see so much; the INA219 can double its length, and no less.
_LEAST_COVERED = 0.45
# At rest it converts for so long [s], or as long as it can.
_REST_S = 0.1
# A mean so close to the end of the range hides peaks beyond it.
_NEARLY_FULL = 0.9


@dataclass(frozen=True, kw_only=True)
class Window:
    """A conversion: nominal length [s], and the bits of the configuration register that say so."""

    seconds: float
    bits: int


def _windows_226() -> list[Window]:
    """SBOS547B, 7.1.1 and tables 7-3 to 7-5: averages (bits 11-9), bus (8-6) and shunt (5-3) conversion times [us]."""
    averages = (1, 4, 16, 64, 128, 256, 512, 1024)
    times = (140, 204, 332, 588, 1100, 2116, 4156, 8244)
    return [
        Window(seconds=count * (bus + shunt) / 1e6, bits=average << 9 | first << 6 | second << 3)
        for (average, count), (first, bus), (second, shunt) in itertools.product(
            enumerate(averages), enumerate(times), enumerate(times)
        )
    ]


def _windows_219() -> list[Window]:
    """SBOS448G, configuration register: bus (bits 10-7) and shunt (6-3) ADC settings [us].

    The bus is read as quickly as can be.
    """
    times = {0: 84, 1: 148, 2: 276, 3: 532, 9: 1060, 10: 2130, 11: 4260, 12: 8510, 13: 17020, 14: 34050, 15: 68100}
    return [Window(seconds=(times[0] + shunt) / 1e6, bits=code << 3) for code, shunt in times.items()]


@dataclass(frozen=True, kw_only=True)
class Model:
    """What differs between the two. Steps of the registers in mV and V; `after_reset` is the configuration then."""

    name: str
    after_reset: int
    fixed_bits: int
    windows: tuple[Window, ...]
    shunt_mv: float
    full_scale: int
    bus_v: float
    bus_shift: int


def _model(config: InaConfig) -> Model:
    if config.kind == "ina226":
        # Bit 14 reads as one; full scale is 81.92 mV in 15 bits.
        return Model(
            name="INA226",
            after_reset=0x4127,
            fixed_bits=1 << 14,
            windows=tuple(_windows_226()),
            shunt_mv=2.5e-3,
            full_scale=0x7FFF,
            bus_v=1.25e-3,
            bus_shift=0,
        )
    # PG (bits 12-11) doubles 40 mV; BRNG (13) is 0 for up to 16 V.
    gain = next(code for code in range(4) if config.most_ma * config.shunt_ohm <= 40 << code)
    return Model(
        name="INA219",
        after_reset=0x399F,
        fixed_bits=(config.supply_v > 16) << 13 | gain << 11,
        windows=tuple(_windows_219()),
        shunt_mv=10e-3,
        full_scale=4000 << gain,
        bus_v=4e-3,
        bus_shift=3,
    )


class Ina2xx:
    """INA226 or INA219."""

    def __init__(self, config: InaConfig) -> None:
        self._model = _model(config)
        self._shunt_ohm = config.shunt_ohm
        self._window = self._model.windows[0]
        self._clipped = 0
        self._volts = 0.0

    def begin(self, registers: Registers, latency_s: float) -> None:
        model = self._model
        registers.write(_CONFIG, 1 << 15)
        found = registers.read(_CONFIG)
        if found != model.after_reset:
            raise MeterError(
                f"no {model.name} at 0x{registers.address:02x}: it says 0x{found:04x} after a reset, "
                f"not 0x{model.after_reset:04x}"
            )
        self._window = self._longest_within(latency_s)
        covered = self._window.seconds / latency_s
        if covered < _LEAST_COVERED:
            raise MeterError(
                f"an {model.name} sees {covered:.0%} of an inference of {latency_s * 1e3:,.1f} ms: "
                "use an ina228, a ppk2 or a joulescope"
            )
        self._clipped = 0
        registers.around(before=self._trigger(self._window))

    def inference(self, registers: Registers, latency_s: float) -> float | None:
        registers.found(0)
        power_mw = self._power_mw(registers)
        return None if power_mw is None else power_mw * latency_s * 1e3

    def end(self, registers: Registers, seconds: float, pulses_uj: float, pulses_s: float) -> float | None:
        window = min(self._model.windows, key=lambda each: abs(each.seconds - _REST_S))
        registers.write(_CONFIG, int.from_bytes(self._trigger(window)[1:], "big"))
        time.sleep(window.seconds * _SLOWEST + 0.01)
        return self._power_mw(registers)

    def condition(self, registers: Registers) -> tuple[float, int]:
        return self._volts, self._clipped

    def note(self, latency_s: float) -> str:
        return f"mean power of the first {self._window.seconds / latency_s:.0%} of each inference"

    def _longest_within(self, latency_s: float) -> Window:
        fitting = [each for each in self._model.windows if each.seconds * _SLOWEST <= latency_s]
        if not fitting:
            shortest_s = min(each.seconds for each in self._model.windows) * _SLOWEST
            raise MeterError(
                f"an inference takes {latency_s * 1e6:,.0f} us, an {self._model.name} needs "
                f"{shortest_s * 1e6:,.0f} us: measure with a ppk2 or joulescope"
            )
        return max(fitting, key=lambda each: each.seconds)

    def _trigger(self, window: Window) -> bytes:
        value = self._model.fixed_bits | window.bits | _TRIGGERED
        return bytes([_CONFIG]) + value.to_bytes(2, "big")

    def _power_mw(self, registers: Registers) -> float | None:
        """Of the last conversion; None: it has not ended."""
        bus = registers.read(_BUS)
        ready = bus >> 1 & 1 if self._model.name == "INA219" else registers.read(0x06) >> 3 & 1
        if not ready:
            return None
        shunt = signed(registers.read(_SHUNT), 16)
        self._clipped += abs(shunt) >= _NEARLY_FULL * self._model.full_scale
        self._volts = (bus >> self._model.bus_shift) * self._model.bus_v
        return self._volts * shunt * self._model.shunt_mv / self._shunt_ohm
