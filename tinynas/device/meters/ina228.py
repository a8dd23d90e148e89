"""INA228: its ENERGY register adds up power in hardware. Datasheet SLYS021A: tables 7-3 to 7-22 (registers), 8.1.2."""

from tinynas.device.meters.ina import InaConfig, Registers
from tinynas.errors import MeterError

_CONFIG, _ADC_CONFIG, _SHUNT_CAL, _VBUS, _ENERGY, _DIAG_ALRT, _SOVL = 0x00, 0x01, 0x02, 0x05, 0x09, 0x0B, 0x0C
_MANUFACTURER_ID, _DEVICE_ID = 0x3E, 0x3F
_TI, _INA228 = 0x5449, 0x228
_RST, _RSTACC, _ADCRANGE = 1 << 15, 1 << 14, 1 << 4
# ADC_CONFIG: shunt and bus, continuously; 50 us for each of the two, no averages.
_CONTINUOUS = 0xB << 12
_CONVERSION_S = 100e-6
_ALATCH, _ENERGYOF, _MATHOF, _SHNTOL = 1 << 15, 1 << 11, 1 << 9, 1 << 6
_SMALL_RANGE_MV = 40.96
# A little below the end of the range, in SOVL's steps, of which 32,768 are all of it.
_OVER = 0x7FE0
_VBUS_V = 195.3125e-6
_ENERGY_BYTES = 5
# With fewer conversions in an inference, what is half in and half out counts for too much.
_FEWEST = 20


class Ina228:
    """The board reads ENERGY right before and right after an inference."""

    def __init__(self, config: InaConfig) -> None:
        self._small = config.most_ma * config.shunt_ohm <= _SMALL_RANGE_MV
        scale = 13107.2e6 * config.shunt_ohm * (4 if self._small else 1)
        full_scale_a = (_SMALL_RANGE_MV if self._small else 4 * _SMALL_RANGE_MV) / 1e3 / config.shunt_ohm
        self._shunt_cal = round(scale * full_scale_a / (1 << 19))
        # What the rounded register means.
        self._step_uj = 16 * 3.2 * (self._shunt_cal / scale) * 1e6
        self._start = 0

    def begin(self, registers: Registers, latency_s: float) -> None:
        found = registers.read(_MANUFACTURER_ID), registers.read(_DEVICE_ID) >> 4
        if found != (_TI, _INA228):
            raise MeterError(
                f"no INA228 at 0x{registers.address:02x}: its ids are 0x{found[0]:04x} and 0x{found[1]:03x}"
            )
        if latency_s < _FEWEST * _CONVERSION_S:
            raise MeterError(
                f"an inference takes {latency_s * 1e6:,.0f} us, an INA228 needs {_FEWEST} conversions of "
                f"{_CONVERSION_S * 1e6:.0f} us: measure with a ppk2 or joulescope"
            )
        registers.write(_CONFIG, _RST)
        registers.write(_SHUNT_CAL, self._shunt_cal)
        registers.write(_SOVL, _OVER)
        registers.write(_DIAG_ALRT, _ALATCH)
        registers.write(_ADC_CONFIG, _CONTINUOUS)
        registers.write(_CONFIG, _RSTACC | (_ADCRANGE if self._small else 0))
        # Reading ends what was latched while it was set up.
        registers.read(_DIAG_ALRT)
        registers.around(before=bytes([_ENERGY]), after=bytes([_ENERGY]), reads=_ENERGY_BYTES)
        self._start = registers.read(_ENERGY, _ENERGY_BYTES)

    def inference(self, registers: Registers, latency_s: float) -> float | None:
        before, after = (int.from_bytes(each, "big") for each in registers.found(_ENERGY_BYTES))
        return ((after - before) & 0xFF_FFFF_FFFF) * self._step_uj

    def end(self, registers: Registers, seconds: float, pulses_uj: float, pulses_s: float) -> float | None:
        total_uj = (registers.read(_ENERGY, _ENERGY_BYTES) - self._start) * self._step_uj
        return (total_uj - pulses_uj) / 1e3 / (seconds - pulses_s)

    def condition(self, registers: Registers) -> tuple[float, int]:
        flags = registers.read(_DIAG_ALRT)
        volts = (registers.read(_VBUS, 3) >> 4) * _VBUS_V
        return volts, int(bool(flags & (_ENERGYOF | _MATHOF | _SHNTOL)))

    def note(self, latency_s: float) -> str:
        return f"conversions of {_CONVERSION_S * 1e6:.0f} us, steps of {self._step_uj:.3g} uJ"
