"""Texas Instruments' power sensors on the board's own I2C bus, read by the board and understood here."""

import time
from types import TracebackType
from typing import Annotated, Literal, Protocol, Self

from pydantic import Field, model_validator

from tinynas.cost import Source
from tinynas.device.client import Client, RefusedError
from tinynas.device.messages import Status
from tinynas.device.meters.contract import Recording, Subject
from tinynas.errors import MeterError
from tinynas.settings import Section

# The largest shunt voltage of each [mV]: INA228 with ADCRANGE = 0 (SLYS021A), INA226 (SBOS547B), INA219 with its PGA at
# /8 (SBOS448G).
FULL_SCALE_MV = {"ina228": 163.84, "ina226": 81.92, "ina219": 320.0}


class InaConfig(Section):
    """A sensor in the line of the board's supply, at `address` of the board's bus, with a shunt of `shunt_ohm`.

    most_ma: what the board draws at most; supply_v: what it is meant to have.
    """

    kind: Literal["ina228", "ina226", "ina219"]
    supply_v: Annotated[float, Field(gt=0, le=26)]
    shunt_ohm: Annotated[float, Field(gt=0, le=100)]
    most_ma: Annotated[float, Field(gt=0)]
    address: Annotated[int, Field(ge=0x40, le=0x4F)] = 0x40

    @model_validator(mode="after")
    def _shunt_fits(self) -> Self:
        drop_mv, most_mv = self.most_ma * self.shunt_ohm, FULL_SCALE_MV[self.kind]
        if drop_mv > most_mv:
            raise ValueError(
                f"{self.most_ma:g} mA through {self.shunt_ohm:g} ohm are {drop_mv:g} mV, "
                f"an {self.kind} takes {most_mv:g} mV"
            )
        return self


class Registers:
    """A sensor's registers, through the board."""

    def __init__(self, client: Client, address: int) -> None:
        self._client = client
        self.address = address

    def read(self, register: int, size: int = 2) -> int:
        """A register of `size` bytes, unsigned."""
        return int.from_bytes(self._client.i2c(self.address, bytes([register]), size), "big")

    def write(self, register: int, value: int) -> None:
        """A register of two bytes."""
        self._client.i2c(self.address, bytes([register]) + value.to_bytes(2, "big"))

    def around(self, *, before: bytes, after: bytes = b"", reads: int = 0) -> None:
        """What the board does around each inference."""
        self._client.probe(self.address, before=before, after=after, reads=reads)

    def found(self, reads: int) -> tuple[bytes, bytes]:
        """What the board read before and after the last inference."""
        return self._client.probed(reads)


class Sensor(Protocol):
    """One kind of sensor. Its methods may raise LinkError and MeterError."""

    def begin(self, registers: Registers, latency_s: float) -> None:
        """Check that it is there and set it up for inferences of `latency_s`; its figures start now."""

    def inference(self, registers: Registers, latency_s: float) -> float | None:
        """Energy [uJ] of the inference that just ran; None: the sensor was not ready."""

    def end(self, registers: Registers, seconds: float, pulses_uj: float, pulses_s: float) -> float | None:
        """Mean power [mW] outside of the pulses, of `seconds` in all, that took so much; None: not seen."""

    def condition(self, registers: Registers) -> tuple[float, int]:
        """Voltage [V], and how many readings were at an end of the range."""

    def note(self, latency_s: float) -> str:
        """What a reader must know of the figures."""


class InaMeter:
    """Asks the board for the sensor's registers around each inference."""

    source: Source = "measured"
    shortest_s = 10.0

    def __init__(self, config: InaConfig, sensor: Sensor) -> None:
        self.name = f"{config.kind} at 0x{config.address:02x}"
        self.supply_v: float | None = config.supply_v
        self._address = config.address
        self._sensor = sensor
        self._subject: Subject | None = None
        self._started = 0.0
        self._pulses: list[tuple[float, float]] = []
        self._lost = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def start(self, subject: Subject) -> None:
        self._subject = subject
        self._pulses, self._lost = [], 0
        with _Named(self.name, "cannot be used"):
            self._sensor.begin(self._registers(), subject.latency_s)
        self._started = time.monotonic()

    def ran(self, latency_s: float) -> None:
        with _Named(self.name, "went away"):
            energy_uj = self._sensor.inference(self._registers(), latency_s)
        if energy_uj is None:
            self._lost += 1
            # Its pulse was there, and its energy is not known: the share of lost ones decides about the run.
            energy_uj = self._pulses[-1][0] if self._pulses else 0.0
        self._pulses.append((energy_uj, latency_s))

    def stop(self) -> Recording:
        seconds = time.monotonic() - self._started
        pulses_uj, pulses_s = (tuple(each[index] for each in self._pulses) for index in (0, 1))
        registers = self._registers()
        with _Named(self.name, "went away"):
            between_mw = self._sensor.end(registers, seconds, sum(pulses_uj), sum(pulses_s))
            supply_v, clipped = self._sensor.condition(registers)
            self._running().client.end_probe()
        return Recording(
            pulses_uj=pulses_uj,
            pulses_s=pulses_s,
            between_mw=between_mw,
            supply_v=supply_v,
            samples=len(pulses_uj) - self._lost,
            lost=self._lost,
            clipped=clipped,
            note=self._sensor.note(self._running().latency_s),
        )

    def _running(self) -> Subject:
        if self._subject is None:
            raise ValueError("the meter was not started")
        return self._subject

    def _registers(self) -> Registers:
        return Registers(self._running().client, self._address)


class _Named:
    """Turns the board's word that nobody acknowledged into an error of the sensor's."""

    def __init__(self, name: str, what: str) -> None:
        self._name, self._what = name, what

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, RefusedError) and error.status == Status.NO_SENSOR:
            raise MeterError(
                f"meter {self._name} {self._what}: nobody answers at that address of the board's bus"
            ) from error


def signed(value: int, bits: int) -> int:
    """Two's complement."""
    return value - (1 << bits) if value >> (bits - 1) else value
