"""The bench: which boards are here, and whose turn it is on each."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from tinynas.boards import Board, load_board
from tinynas.deploy.build import Image
from tinynas.device.drift import DriftGuard
from tinynas.device.emulator import EmulatedBoard, qemu
from tinynas.device.identity import Identity, identity_of, ports_here, usb_ports
from tinynas.device.inventory import CHECK_EVERY, SPREAD_LIMIT, BoardEntry, LimitsSection, load_inventory
from tinynas.device.journal import Journal, Kind
from tinynas.device.meters import open_meter
from tinynas.device.meters.contract import Meter
from tinynas.device.station import Commands, EmulatedStation, SerialStation, Station
from tinynas.errors import ConfigError, NoBoardError, WrongBoardError
from tinynas.events import event

_log = logging.getLogger(__name__)
_MAX_FOLDERS = 1000
_ELSEWHERE_POLL_S = 0.2
_MAX_FAULTS = 3


@dataclass(frozen=True, kw_only=True)
class Proven:
    """An image that was measured, with one input of it [int8, shape (1, ...)]."""

    image: Image
    inputs: np.ndarray


@dataclass(frozen=True, kw_only=True)
class BoardNow:
    """What a board does: `work` is what is measured on it, None while nobody here has it, and `seconds` for how long.
    held: why it is not leased.
    """

    name: str
    kind: str
    work: str | None
    seconds: float
    held: str | None


class Bench:
    """Boards of one kind, shared by the threads of a search. A thread leases one, flashes it, measures, gives it back.

    A board that keeps failing is quarantined with a reason: it is leased no more, and the others go on. `proven` is the
    last image that was measured, which tells a broken board from a broken image. A lab's boards have a `journal`, in
    which people hold and release boards meanwhile: while all are held the bench waits, and says so. What spreads more
    than `spread_limit` is measured again, and so is what `drift` makes suspect.
    """

    def __init__(
        self,
        stations: Sequence[Station],
        *,
        resources: ExitStack | None = None,
        journal: Journal | None = None,
        spread_limit: float = SPREAD_LIMIT,
        drift: DriftGuard | None = None,
    ) -> None:
        self._stations = tuple(stations)
        self._free = list(stations)
        self._faults: Counter[str] = Counter()
        self._closed = False
        self._quarantined: dict[str, str] = {}
        self._flashed: dict[str, str] = {}
        self._chips: dict[bytes, Station] = {}
        self._working: dict[str, tuple[str, float]] = {}
        self._journal = journal
        self.spread_limit = spread_limit
        self.drift = drift
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
    def size(self) -> int:
        """How many boards there are, held ones included."""
        return len(self._stations)

    @property
    def quarantined(self) -> dict[str, str]:
        """Name of each board that is not leased -> why."""
        if self._journal is None:
            return dict(self._quarantined)
        holds, names = self._journal.holds(), {station.name for station in self._stations}
        return {name: f"{hold.kind}, {hold.reason}" for name, hold in holds.items() if name in names}

    def now(self) -> list[BoardNow]:
        """What each board does, for whoever watches."""
        held = self.quarantined
        with self._changed:
            working, at = dict(self._working), time.monotonic()
        return [
            BoardNow(
                name=station.name,
                kind=station.board.name,
                work=working[station.name][0] if station.name in working else None,
                seconds=at - working[station.name][1] if station.name in working else 0.0,
                held=held.get(station.name),
            )
            for station in self._stations
        ]

    @contextmanager
    def lease(
        self, *, avoid: Collection[str] = (), only: str | None = None, build_id: str | None = None, work: str = ""
    ) -> Iterator[Station]:
        """A board for this thread alone, for as long as the block lasts. Waits until one is free; turns it off after.

        avoid: names of boards that are taken only if there are no others; only: the name of the one that is wanted;
        build_id: of those that are free the one that was flashed with this image last is taken; work: what for.

        Raises:
            NoBoardError: every board is quarantined, and nobody can release one; the message says why.
            NoBoardError: the only one that is wanted is held.
        """
        station = self._take(avoid, only, build_id)
        started = time.monotonic()
        with self._changed:
            self._working[station.name] = work, started
        try:
            yield station
        finally:
            try:
                station.power_off()
            finally:
                self.note(station.name, "lease", seconds=time.monotonic() - started)
                with self._changed:
                    del self._working[station.name]
                self._give_back(station)

    def note(self, name: str, kind: Kind, *, seconds: float = 0.0, detail: str = "") -> None:
        """Record what happened on the board `name`: in the log, and in the journal, if there is one."""
        what = self.event(name, kind, seconds=round(seconds, 3) or None, detail=detail or None)
        _log.info("board %s: %s", name, kind, extra=what)
        self._record(name, kind, seconds, detail)

    def _record(self, name: str, kind: Kind, seconds: float, detail: str) -> None:
        if self._journal is not None:
            self._journal.note(name, kind, seconds=seconds, detail=detail)

    def event(self, name: str, what: str, **fields: Any) -> dict[str, Any]:
        """What to log as `extra` of something that happened on the board `name`, and to whom if it is at work."""
        (station,) = (each for each in self._stations if each.name == name)
        with self._changed:
            work = self._working.get(name)
        about = {"board": name, "kind": station.board.name, "serial": station.serial}
        return event(what, **about, genome=work[0] or None if work else None, **fields)

    def flashed(self, name: str, build_id: str) -> None:
        """Record which image the board `name` holds now."""
        with self._changed:
            self._flashed[name] = build_id

    def holds(self, name: str, build_id: str) -> bool:
        """Whether this process flashed the board `name` with that image last; another one may have been there since."""
        with self._changed:
            return self._flashed.get(name) == build_id

    def meet(self, station: Station, chip_id: bytes) -> None:
        """Take note of the chip that answers for a board.

        Raises:
            WrongBoardError: it has answered for another board of this bench: two of the links lead to one board.
        """
        if not any(chip_id) or station.board.emulated:
            return
        with self._changed:
            other = self._chips.setdefault(chip_id, station)
        if other.name != station.name:
            raise WrongBoardError(
                f"board {station.name} on {station.port} and board {other.name} on {other.port} answer as one chip, "
                f"{chip_id.hex()}: leave one of them out of the bench's file"
            )

    def quarantine(self, name: str, reason: str) -> None:
        """Lease the board `name` no more."""
        with self._changed:
            self._quarantined[name] = reason
        self._record(name, "quarantine", 0.0, reason)
        release = f"; when it is mended: tinynas bench release {name}" if self._journal else ""
        _log.warning(
            "board %s is quarantined: %s%s", name, reason, release, extra=self.event(name, "quarantine", reason=reason)
        )

    def fault(self, name: str, reason: str) -> None:
        """Count a failure of the board `name` that another board proved to be its own; the third is one too many."""
        self.note(name, "fault", detail=reason)
        with self._changed:
            self._faults[name] += 1
            faults = self._faults[name] if self._journal is None else self._journal.record(name).faults
        if faults >= _MAX_FAULTS:
            self.quarantine(name, f"failed {faults} times where another board did not, last: {reason}")

    def _take(self, avoid: Collection[str], only: str | None, build_id: str | None) -> Station:
        told = ""
        with self._changed:
            while not self._closed:
                held = self.quarantined
                if only in held:
                    break
                if len(held) == len(self._stations) and self._journal is None:
                    break
                left = self._left(held, avoid, only)
                free = [station for station in self._free if station in left]
                free.sort(key=lambda station: self._flashed.get(station.name) != build_id)
                for station in free:
                    if station.claim():
                        self._free.remove(station)
                        return station
                told = self._say(told, free, held if not left else {})
                # Only other processes and people can change something without a word to this one.
                self._changed.wait(_ELSEWHERE_POLL_S if free or self._journal else None)
            reasons = _reasons(self.quarantined)
        raise NoBoardError(f"no board is left: {reasons or 'the bench is closed'}")

    def _left(self, held: Collection[str], avoid: Collection[str], only: str | None) -> list[Station]:
        """The boards that are not held, without those to avoid if there are others."""
        left = [station for station in self._stations if station.name not in held and only in {None, station.name}]
        return [station for station in left if station.name not in avoid] or left

    def _say(self, told: str, busy: Sequence[Station], held: Mapping[str, str]) -> str:
        """Say once what is waited for; returns what was said."""
        if held:
            message = f"no board is left, waiting until one is released: {_reasons(held)}"
        elif busy:
            message = f"in use by another process, waiting: {', '.join(station.name for station in busy)}"
        else:
            return told
        if message != told:
            _log.warning("%s", message)
        return message

    def _give_back(self, station: Station) -> None:
        station.release()
        with self._changed:
            self._free.append(station)
            self._changed.notify_all()


def open_bench(
    board: Board,
    *,
    port: str | None = None,
    count: int = 1,
    directory: Path,
    file: Path | None = None,
    names: Collection[str] | None = None,
    meter: Meter | None = None,
) -> Bench:
    """Open the boards of this kind that `file` (a bench.toml) lists, of these `names` if any; without a file `count` of
    them: emulated ones in folders below `directory`, or real ones on serial ports.

    `port` names a real board's port; without it, boards are found by the USB ids of their manifest.
    `meter` is an instrument on the supply of the one board that is opened, connected already; the file has its own.

    Raises:
        ConfigError: a port is given for an emulated board, a meter for several boards or beside a file, or the file is
            wrong or has no such board.
        NoBoardError: no port has the board, or `port` does not exist.
        ToolchainError: the board is emulated and QEMU is not installed.
    """
    if meter is not None and (count != 1 or file is not None):
        raise ConfigError(
            f"meter {meter.name} is on the supply of one board: open 1 board; a bench's file names each board's meter"
        )
    directory.mkdir(parents=True, exist_ok=True)
    if file is not None:
        return _open_listed(board, file, directory, names)
    if board.emulated:
        if port is not None:
            raise ConfigError(f"board {board.name} is emulated and takes no port, not {port!r}")
        return _open_emulated(board, count, directory, meter)
    if port is not None and "://" not in port and not Path(port).exists():
        raise NoBoardError(f"port {port} does not exist; ports here: {ports_here()}")
    links = [port] if port is not None else find_boards(board)[:count]
    stations = [SerialStation(board, link, directory) for link in links]
    for station in stations:
        station.meter = meter
    return Bench(stations, drift=DriftGuard(every=CHECK_EVERY))


def journal_in(directory: Path) -> Journal:
    """The journal of all boards whose folders are below `directory`."""
    return Journal(directory / "journal.db")


def station_for(name: str, entry: BoardEntry, limits: LimitsSection, directory: Path) -> Station:
    """The place of a listed board. Raises ConfigError: its kind is not known."""
    board = load_board(entry.board)
    if board.emulated:
        folder = directory / name
        folder.mkdir(parents=True, exist_ok=True)
        return EmulatedStation(EmulatedBoard(board, folder), board, keep=False)
    commands = Commands(
        reset=entry.reset,
        power_cycle=entry.power_cycle,
        limit_s=limits.command,
        attempts=limits.attempts,
        upload_s=limits.upload,
    )
    link = entry.identity or str(entry.link)
    return SerialStation(board, link, directory, name=name, commands=commands)


def _open_listed(board: Board, file: Path, directory: Path, names: Collection[str] | None) -> Bench:
    inventory = load_inventory(file)
    entries = {
        name: entry
        for name, entry in inventory.boards.items()
        if entry.board == board.name and (names is None or name in names)
    }
    if not entries:
        kinds = ", ".join(sorted({entry.board for entry in inventory.boards.values()}))
        raise ConfigError(f"config {file} lists no {board.name}; its boards are {kinds}")
    if len({entry.meter is None for entry in entries.values()}) > 1:
        raise ConfigError(f"config {file}: either all {board.name} have a meter or none: their energies are compared")
    if board.emulated:
        qemu()
    stations = [station_for(name, entry, inventory.limits, directory) for name, entry in entries.items()]
    with ExitStack() as connected:
        for station, entry in zip(stations, entries.values(), strict=True):
            meter = None if entry.meter is None else open_meter(entry.meter, board)
            station.meter = None if meter is None else connected.enter_context(meter)
        return Bench(
            stations,
            resources=connected.pop_all(),
            journal=journal_in(directory),
            spread_limit=inventory.limits.spread,
            drift=None if board.emulated else DriftGuard(every=inventory.limits.check_every),
        )


def _open_emulated(board: Board, count: int, directory: Path, meter: Meter | None) -> Bench:
    qemu()
    with ExitStack() as claimed:
        stations = []
        for index in range(_MAX_FOLDERS):
            folder = directory / f"{board.name}-{index}"
            folder.mkdir(exist_ok=True)
            # Emulated boards cost nothing: one that another process works with is left to it, and the next one taken.
            station = EmulatedStation(EmulatedBoard(board, folder), board)
            station.meter = meter
            if station.claim():
                claimed.callback(station.give_up)
                stations.append(station)
            if len(stations) == count:
                return Bench(stations, resources=claimed.pop_all())
    raise NoBoardError(f"all {_MAX_FOLDERS} emulated boards in {directory} are in use by other processes")


def find_boards(board: Board) -> list[str | Identity]:
    """What identifies the boards whose USB ids (`VID:PID`, hexadecimal) are among the manifest's, by port.

    Raises:
        NoBoardError: there is none; the message lists the ports that there are.
    """
    wanted = {usb.upper() for usb in board.usb}
    ports = usb_ports()
    found = [port for port in ports if port.usb in wanted]
    if not found:
        raise NoBoardError(
            f"no port has a {board.name} (USB ids {', '.join(board.usb) or 'not known'}); ports here: {ports_here()}: "
            "connect the board, or name its port with --port"
        )
    return [identity_of(port, ports) if port.serial or port.path else port.device for port in found]


def _reasons(held: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in held.items())
