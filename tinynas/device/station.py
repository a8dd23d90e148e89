"""A board's place on the bench: how it is flashed, reset, reached and turned off."""

import os
import re
import shlex
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tinynas.boards import Board
from tinynas.deploy.build import Image
from tinynas.deploy.upload import ATTEMPTS, TIMEOUT_S, upload
from tinynas.device.client import Client
from tinynas.device.counter import Interval
from tinynas.device.emulator import EmulatedBoard
from tinynas.device.identity import Identity, identity_of, usb_ports
from tinynas.device.lease import Holder, Lease
from tinynas.device.meters.contract import Meter
from tinynas.errors import BenchError

_TAIL = 300
_RETURN_S = 15.0
_SETTLE_S = 0.5


class Station(Protocol):
    """One board as the bench sees it. `name` is unique on the bench."""

    name: str
    board: Board
    meter: Meter | None
    """The instrument on the board's supply, connected; None: there is none."""
    serial: str | None
    """The board's USB serial number; None: it has none, or it is not known."""

    @property
    def port(self) -> str:
        """What the board's link is opened with: a device or a URL. Raises BenchError while it is not under power."""

    @property
    def epoch(self) -> int:
        """The number of the claim, which results carry. Raises LeaseLostError: another process has the board now."""

    def claim(self) -> bool:
        """Take the board from all other processes; False when one of them has it. Raises BenchError."""

    def release(self) -> None:
        """Give up the claim."""

    def in_use(self) -> bool:
        """Whether somebody has claimed the board, in this process or another. Raises BenchError."""

    def holder(self) -> Holder | None:
        """Who claimed the board last, in this process or another; it may have ended since. None: nobody."""

    def flash(self, image: Image) -> None:
        """Write `image` and boot it. Raises BenchError."""

    def reset(self) -> None:
        """Start the CPU again. Raises BenchError."""

    def power_cycle(self) -> bool:
        """Cut the board's power for a moment; False when nothing here can. Raises BenchError."""

    def power_off(self) -> None:
        """Leave the board at rest until it is flashed again, or needed with what it holds."""

    def power_on(self) -> None:
        """Boot what the board holds, if it is at rest. Raises BenchError."""

    def take_intervals(self) -> tuple[Interval, ...] | None:
        """What was executed between writes to the sync pin since the last call. None: nothing counts on this board."""


@dataclass(frozen=True, kw_only=True)
class Commands:
    """How a lab's board is reset and its power cut, None where the lab has no way; `limit_s` for one such command,
    `attempts` and `upload_s` for flashing it. In a command {port} stands for the port's present name.
    """

    reset: str | None = None
    power_cycle: str | None = None
    limit_s: float = 30.0
    attempts: int = ATTEMPTS
    upload_s: float = TIMEOUT_S


class EmulatedStation:
    """An emulated board. If `keep`, this process keeps it from the first claim on until `give_up`: it costs nothing to
    make another one for another process.
    """

    def __init__(self, emulated: EmulatedBoard, board: Board, *, keep: bool = True) -> None:
        self.board = board
        self.meter: Meter | None = None
        self.serial: str | None = None
        self.name = emulated.folder.name
        self._emulated = emulated
        self._lease = Lease(emulated.folder / "lock", self.name)
        self._keep = keep
        self._claimed = False

    @property
    def port(self) -> str:
        return self._emulated.url

    @property
    def epoch(self) -> int:
        return self._lease.epoch

    def claim(self) -> bool:
        self._claimed = self._claimed or self._lease.acquire()
        return self._claimed

    def release(self) -> None:
        if not self._keep:
            self.give_up()

    def in_use(self) -> bool:
        return self._lease.in_use()

    def holder(self) -> Holder | None:
        return self._lease.holder()

    def give_up(self) -> None:
        """Leave the board to other processes."""
        self._lease.release()
        self._claimed = False

    def flash(self, image: Image) -> None:
        self._emulated.power_off()
        upload(image, self.board, str(self._emulated.flash), self._emulated.folder, lease=self._lease.descriptor)
        # QEMU has no clocks: its cycle counter and the emulated meter reckon with those that the image sets on a chip.
        self.board = self._emulated.board = self.board.at(image.clock_hz)
        self._emulated.power_on()

    def reset(self) -> None:
        self._emulated.reset()

    def power_cycle(self) -> bool:
        self._emulated.power_off()
        self._emulated.power_on()
        return True

    def power_off(self) -> None:
        self._emulated.power_off()

    def power_on(self) -> None:
        self._emulated.power_on()

    def take_intervals(self) -> tuple[Interval, ...]:
        return self._emulated.counter.take()


class SerialStation:
    """A board on a serial port, at `link`: an identity, which is looked for anew every time, or a device or URL.

    It is locked by what stands for the physical board, so that two links to one board are one board.
    """

    def __init__(
        self,
        board: Board,
        link: str | Identity,
        directory: Path,
        *,
        name: str | None = None,
        commands: Commands | None = None,
    ) -> None:
        self.board = board
        self.meter: Meter | None = None
        self.serial = link.serial if isinstance(link, Identity) else None
        self.name = name or f"{board.name} on {link}"
        self._link = link
        self._commands = commands or Commands()
        place = _place(link)
        self._folder = directory / f"{board.name}-{place}"
        # Every user and checkout of this machine must meet at the same file.
        self._lease = Lease(Path(tempfile.gettempdir()) / f"tinynas-{place}.lock", self.name)

    @property
    def port(self) -> str:
        return self._link if isinstance(self._link, str) else self._link.find()

    @property
    def epoch(self) -> int:
        return self._lease.epoch

    def claim(self) -> bool:
        return self._lease.acquire()

    def release(self) -> None:
        self._lease.release()

    def in_use(self) -> bool:
        return self._lease.in_use()

    def holder(self) -> Holder | None:
        return self._lease.holder()

    def flash(self, image: Image) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        upload(
            image,
            self.board,
            self.port,
            self._folder,
            lease=self._lease.descriptor,
            attempts=self._commands.attempts,
            timeout_s=self._commands.upload_s,
        )

    def reset(self) -> None:
        if self._commands.reset is not None:
            self._run(self._commands.reset)
        else:
            with Client(self.port, baud=self.board.baud) as client:
                client.reset()

    def power_cycle(self) -> bool:
        if self._commands.power_cycle is None:
            return False
        self._run(self._commands.power_cycle)
        self._await_port()
        return True

    def power_off(self) -> None:
        pass

    def power_on(self) -> None:
        pass

    def take_intervals(self) -> None:
        pass

    def _await_port(self) -> None:
        """Wait until a board that was without power has its port again."""
        deadline = time.monotonic() + _RETURN_S
        while True:
            # It takes the system a moment to see that the board has gone.
            time.sleep(_SETTLE_S)
            try:
                port = self.port
            except BenchError:
                if time.monotonic() > deadline:
                    raise
            else:
                if "://" in port or Path(port).exists() or time.monotonic() > deadline:
                    return

    def _run(self, command: str) -> None:
        # A board that has lost its port may need this command most.
        port = self.port if "{port}" in command else ""
        words = [word.replace("{port}", port) for word in shlex.split(command)]
        limit_s = self._commands.limit_s
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, check=False, text=True
            )
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"board {self.name}: {command!r} took longer than {limit_s:g} s") from error
        except OSError as error:
            raise BenchError(f"board {self.name}: {command!r} cannot be run: {error}") from error
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-_TAIL:]
            raise BenchError(
                f"board {self.name}: {command!r} ended with status {done.returncode}: {said or 'no words'}"
            )


def _place(link: str | Identity) -> str:
    """A name for the physical board at `link`, for files."""
    if isinstance(link, Identity):
        return link.key
    if "://" in link:
        return _plain(link)
    ports = usb_ports()
    by_name = next((port for port in ports if os.path.realpath(port.device) == os.path.realpath(link)), None)
    return _plain(os.path.realpath(link)) if by_name is None else identity_of(by_name, ports).key


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
