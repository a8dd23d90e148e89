"""The emulated bench's power meter: what was executed, at what the manifest says that it costs."""

from types import TracebackType
from typing import Self

from tinynas.boards import Board, Power
from tinynas.cost import Source
from tinynas.device.meters.contract import Recording, Subject
from tinynas.errors import ConfigError, MeterError


class EmulatedMeter:
    """Cycles, waits for the flash included, at the manifest's power; loads and stores at its energy for each, where it
    has one. It repeats exactly, so its runs are short. What the board draws at rest is not modelled.
    """

    source: Source = "emulated"
    shortest_s = 0.0

    def __init__(self, board: Board) -> None:
        """For an emulated `board`.

        Raises:
            ConfigError: it is not emulated, or its manifest has no power figure.
        """
        if not board.emulated:
            raise ConfigError(f"board {board.name} is not emulated: name an instrument that is on its supply")
        if board.power is None:
            raise ConfigError(
                f"board {board.name} has no power figure in {board.path.name}, so nothing to multiply with"
            )
        self.name = "emulated"
        self.supply_v: float | None = board.power.supply_v
        self._subject: Subject | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def start(self, subject: Subject) -> None:
        self._subject = subject
        subject.take_intervals()

    def ran(self, latency_s: float) -> None:
        pass

    def stop(self) -> Recording:
        if self._subject is None:
            raise ValueError("the meter was not started")
        taken = self._subject.take_intervals()
        # Its clock and current are those of the image that it runs.
        board = self._subject.board
        power = board.power
        if taken is None or power is None:
            raise MeterError(f"board {board.name} counts no cycles, or has no power figure")
        # Every other interval lies between two inferences.
        pulses = taken[1::2]
        seconds = tuple((each.cycles + each.wait_cycles) / board.clock_hz for each in pulses)
        accesses_pj = [each.loads * (power.load_pj or 0) + each.stores * (power.store_pj or 0) for each in pulses]
        return Recording(
            pulses_uj=tuple(
                power.run_mw * 1e3 * time_s + access_pj / 1e6
                for time_s, access_pj in zip(seconds, accesses_pj, strict=True)
            ),
            pulses_s=seconds,
            between_mw=None,
            supply_v=power.supply_v,
            note=_note(power),
        )


def _note(power: Power) -> str:
    cycles = f"emulated cycles x {power.run_mw:.1f} mW ({power.source})"
    if power.load_pj is None or power.store_pj is None:
        return f"{cycles}; the manifest has no figures for memory accesses"
    return f"{cycles} + {power.load_pj:g} pJ a load + {power.store_pj:g} pJ a store ({power.access_source})"
