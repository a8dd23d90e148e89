"""What an emulated board's cycle counter found between writes to the sync pin: the emulated bench's logic analyser."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from tinynas.boards import Board
from tinynas.errors import BenchError

# The columns of firmware/emulator/tn_cycles.c after the first five, which are the fields of Interval.
CLASSES = ("alu", "multiply", "dsp", "load", "store", "branch", "divide", "fpu", "vector", "other")


@dataclass(frozen=True, kw_only=True)
class Interval:
    """What was executed between two writes to the sync pin.

    cycles: of the core, modelled, with memory that never makes it wait; wait_cycles: what the board's flash adds.
    loads, stores: in words. by_class: instructions of each of CLASSES; "dsp" is the DSP extension (SMLAD, SXTB16 ...),
    "fpu" is floating-point arithmetic, "vector" that of MVE.
    """

    instructions: int
    cycles: int
    wait_cycles: int
    loads: int
    stores: int
    by_class: Mapping[str, int]


_NUMBERS = tuple(field.name for field in fields(Interval))[:-1]


def total(intervals: Iterable[Interval]) -> Interval:
    """All of the intervals as one."""
    parts = list(intervals)
    return Interval(
        **{name: sum(getattr(part, name) for part in parts) for name in _NUMBERS},
        by_class={name: sum(part.by_class[name] for part in parts) for name in CLASSES},
    )


class Counter:
    """The counter of one emulated board, which writes to `path`, anew after each power-on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0

    def begin(self) -> str:
        """The file to count into, which is empty now. What was not taken before is forgotten."""
        self._path.unlink(missing_ok=True)
        self._read_bytes = 0
        return str(self._path)

    def arguments(self, library: Path, board: Board) -> list[str]:
        """What QEMU is started with. What was not taken before is forgotten."""
        if board.emulator is None:
            raise ValueError(f"{board.name} has no emulator")
        settings = {"output": self.begin(), "sync": board.emulator.sync_address, "core": board.emulator.core}
        if board.flash_timing is not None:
            timing = board.flash_timing
            settings |= {
                "flash_start": board.flash_start,
                "flash_bytes": str(board.flash_bytes),
                "wait_states": str(timing.wait_states),
                "line_bytes": str(timing.line_bytes),
                "prefetch": "on" if timing.prefetch else "off",
                "instruction_lines": str(timing.instruction_lines),
                "data_lines": str(timing.data_lines),
            }
        # QEMU takes a doubled comma for one that belongs to a value.
        return ["-plugin", ",".join(each.replace(",", ",,") for each in (str(library), *_assignments(settings)))]

    def take(self) -> tuple[Interval, ...]:
        """The intervals that ended since the last call.

        Raises:
            BenchError: the counter wrote something else.
        """
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._read_bytes)
                data = stream.read()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise BenchError(f"{self._path} cannot be read: {error.strerror}") from error
        self._read_bytes += len(data)
        return tuple(_parse(line) for line in data.splitlines())


def _assignments(settings: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in settings.items()]


def _parse(line: bytes) -> Interval:
    numbers = line.split()
    if len(numbers) != len(_NUMBERS) + len(CLASSES) or not all(number.isdigit() for number in numbers):
        raise BenchError(f"the emulator's cycle counter wrote no interval: {line[:80]!r}")
    values = [int(number) for number in numbers]
    return Interval(
        **dict(zip(_NUMBERS, values, strict=False)),
        by_class=dict(zip(CLASSES, values[len(_NUMBERS) :], strict=True)),
    )
