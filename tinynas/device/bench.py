"""The bench: which boards are here, and whose turn it is on each."""

import logging
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from serial.tools import list_ports

from tinynas.boards import Board
from tinynas.deploy.build import Image
from tinynas.device.emulator import EmulatedBoard, qemu
from tinynas.device.station import EmulatedStation, SerialStation, Station
from tinynas.errors import ConfigError, NoBoardError

_log = logging.getLogger(__name__)
_MAX_FOLDERS = 1000
_ELSEWHERE_POLL_S = 0.2
_MAX_FAULTS = 3


@dataclass(frozen=True, kw_only=True)
class Proven:
    """An image that was measured, with one input of it [int8, shape (1, ...)]."""

    image: Image
    inputs: np.ndarray


class Bench:
    """Boards of one kind, shared by the threads of a search. A thread leases one, flashes it, measures, gives it back.

    A board that keeps failing is quarantined with a reason: it is leased no more, and the others go on. `proven` is the
    last image that was measured, which tells a broken board from a broken image.
    """

    def __init__(self, stations: Sequence[Station], *, resources: ExitStack | None = None) -> None:
        self._stations = tuple(stations)
        self._free = list(stations)
        self._faults: Counter[str] = Counter()
        self._closed = False
        self._quarantined: dict[str, str] = {}
        self._changed = threading.Condition()
        self.proven: Proven | None = None
        self._resources = resources or ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up every board. Boards that are leased are turned off when their lease ends."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._resources.close()

    @property
    def quarantined(self) -> dict[str, str]:
        """Name of each quarantined board -> why."""
        with self._changed:
            return dict(self._quarantined)

    @contextmanager
    def lease(self, *, avoid: Collection[str] = ()) -> Iterator[Station]:
        """A board for this thread alone, for as long as the block lasts. Waits until one is free; turns it off after.

        avoid: names of boards that are taken only if there are no others.

        Raises:
            NoBoardError: every board is quarantined; the message says why.
        """
        station = self._take(avoid)
        try:
            yield station
        finally:
            try:
                station.power_off()
            finally:
                self._give_back(station)

    def quarantine(self, station: Station, reason: str) -> None:
        """Lease `station` no more."""
        with self._changed:
            self._quarantined[station.name] = reason
        _log.warning("board %s is quarantined: %s", station.name, reason)

    def fault(self, name: str, reason: str) -> None:
        """Count a failure of the board `name` that another board proved to be its own; the third is one too many."""
        with self._changed:
            self._faults[name] += 1
            if self._faults[name] == _MAX_FAULTS:
                self._quarantined[name] = f"failed {_MAX_FAULTS} times where another board did not, last: {reason}"
                _log.warning("board %s is quarantined: %s", name, self._quarantined[name])

    def _take(self, avoid: Collection[str]) -> Station:
        told = False
        with self._changed:
            while not self._closed and (left := self._left(avoid)):
                free = [station for station in self._free if station in left]
                for station in free:
                    if station.claim():
                        self._free.remove(station)
                        return station
                if free and not told:
                    told = True
                    names = ", ".join(station.name for station in free)
                    _log.warning("in use by another process, waiting: %s", names)
                self._changed.wait(_ELSEWHERE_POLL_S if free else None)
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self._quarantined.items())
        raise NoBoardError(f"no board is left: {reasons or 'the bench is closed'}")

    def _left(self, avoid: Collection[str]) -> list[Station]:
        """The boards that are not quarantined, without those to avoid if there are others."""
        left = [station for station in self._stations if station.name not in self._quarantined]
        return [station for station in left if station.name not in avoid] or left

    def _give_back(self, station: Station) -> None:
        station.release()
        with self._changed:
            self._free.append(station)
            self._changed.notify_all()


def open_bench(board: Board, *, port: str | None = None, count: int = 1, directory: Path) -> Bench:
    """Open `count` boards: emulated ones in folders below `directory`, or real ones on serial ports.

    `port` names a real board's port; without it, ports are found by the USB ids of the board's manifest.

    Raises:
        ConfigError: a port is given for an emulated board.
        NoBoardError: no port has the board, or `port` does not exist.
        ToolchainError: the board is emulated and QEMU is not installed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if board.emulated:
        if port is not None:
            raise ConfigError(f"board {board.name} is emulated and takes no port, not {port!r}")
        return _open_emulated(board, count, directory)
    if port is not None and "://" not in port and not Path(port).exists():
        raise NoBoardError(f"port {port} does not exist; ports here: {_ports_here()}")
    ports = [port] if port is not None else find_ports(board)[:count]
    return Bench([SerialStation(board, name, directory) for name in ports])


def _open_emulated(board: Board, count: int, directory: Path) -> Bench:
    qemu()
    with ExitStack() as claimed:
        stations = []
        for index in range(_MAX_FOLDERS):
            folder = directory / f"{board.name}-{index}"
            folder.mkdir(exist_ok=True)
            # Emulated boards cost nothing: one that another process works with is left to it, and the next one taken.
            station = EmulatedStation(EmulatedBoard(board, folder), board)
            if station.claim():
                claimed.callback(station.give_up)
                stations.append(station)
            if len(stations) == count:
                return Bench(stations, resources=claimed.pop_all())
    raise NoBoardError(f"all {_MAX_FOLDERS} emulated boards in {directory} are in use by other processes")


def find_ports(board: Board) -> list[str]:
    """The serial ports whose USB ids (`VID:PID`, hexadecimal) are among the board's, sorted.

    Raises:
        NoBoardError: there is none; the message lists the ports that there are.
    """
    wanted = {usb.upper() for usb in board.usb}
    found = sorted(
        str(info.device) for info in list_ports.comports() if info.vid and f"{info.vid:04X}:{info.pid:04X}" in wanted
    )
    if not found:
        raise NoBoardError(
            f"no port has a {board.name} (USB ids {', '.join(board.usb) or 'not known'}); ports here: {_ports_here()}: "
            "connect the board, or name its port with --port"
        )
    return found


def _ports_here() -> str:
    return ", ".join(sorted(f"{info.device} ({info.description})" for info in list_ports.comports())) or "none"
