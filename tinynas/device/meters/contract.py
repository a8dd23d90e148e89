"""What every instrument that measures energy does: it is started, told what ran, and stopped for its recording."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from tinynas.boards import Board
from tinynas.cost import Source
from tinynas.device.client import Client
from tinynas.device.counter import Interval


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The board that is measured, flashed and with its input loaded.

    latency_s: what one inference takes by the board's own timer [s]; take_intervals: as a station's.
    """

    board: Board
    client: Client
    latency_s: float
    take_intervals: Callable[[], tuple[Interval, ...] | None]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What an instrument saw from start to stop.

    pulses_uj, pulses_s: energy [uJ] and length [s] of each pulse of the sync pin, that is of each inference, in order.
    between_mw: mean power while the pin was low [mW]; None: the instrument does not look then.
    supply_v: mean voltage of the board's supply [V]; None: not known to the instrument.
    resolution_s: how far off the start or end of a pulse may be [s].
    samples, lost, clipped: samples taken, samples that are missing among them, and samples at an end of the range.
    note: what a reader must know of how the figures came about; empty: nothing beyond the kind of instrument.
    """

    pulses_uj: tuple[float, ...]
    pulses_s: tuple[float, ...]
    between_mw: float | None
    supply_v: float | None
    resolution_s: float = 0.0
    samples: int = 0
    lost: int = 0
    clipped: int = 0
    note: str = ""

    @property
    def lost_share(self) -> float:
        """Lost samples over all that there should be, 0 to 1."""
        return self.lost / (self.samples + self.lost) if self.lost else 0.0


class Meter(Protocol):
    """An instrument on a board's supply. Entering it connects, and where it feeds the board, turns the power on.

    name: with what the user tells it from others; source: of its figures; supply_v: the voltage that the board is meant
    to have [V], None: any. shortest_s: how long a run takes at least [s], so that noise averages out; 0 for figures
    that repeat exactly.
    """

    name: str
    source: Source
    supply_v: float | None
    shortest_s: float

    def __enter__(self) -> Self:
        """Raises MeterError: it is not there, or not what it should be."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def start(self, subject: Subject) -> None:
        """Record from now on; what was recorded before is forgotten. Raises MeterError."""

    def ran(self, latency_s: float) -> None:
        """An inference ran, which took so long [s] by the board's timer. Raises MeterError."""

    def stop(self) -> Recording:
        """What was recorded since `start`. Raises MeterError: the instrument went away meanwhile."""
