"""A board's place on the bench: how it is flashed, reset, reached and turned off."""

import os
import re
import tempfile
from pathlib import Path
from typing import Protocol

from tinynas.boards import Board
from tinynas.deploy.build import Image
from tinynas.deploy.upload import upload
from tinynas.device.client import Client
from tinynas.device.counter import Interval
from tinynas.device.emulator import EmulatedBoard
from tinynas.device.lease import Lease


class Station(Protocol):
    """One board as the bench sees it. `name` is unique on the bench."""

    name: str
    board: Board

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

    def flash(self, image: Image) -> None:
        """Write `image` and boot it. Raises BenchError."""

    def reset(self) -> None:
        """Start the CPU again. Raises BenchError."""

    def power_cycle(self) -> bool:
        """Cut the board's power for a moment; False when nothing here can. Raises BenchError."""

    def power_off(self) -> None:
        """Leave the board at rest until it is flashed again."""

    def take_intervals(self) -> tuple[Interval, ...] | None:
        """What was executed between writes to the sync pin since the last call. None: nothing counts on this board."""


class EmulatedStation:
    """An emulated board. It costs nothing to make another one, so a process keeps it until `give_up`."""

    def __init__(self, emulated: EmulatedBoard, board: Board) -> None:
        self.board = board
        self.name = emulated.folder.name
        self._emulated = emulated
        self._lease = Lease(emulated.folder / "lock", self.name)
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
        pass

    def give_up(self) -> None:
        """Leave the board to other processes."""
        self._lease.release()
        self._claimed = False

    def flash(self, image: Image) -> None:
        self._emulated.power_off()
        upload(image, self.board, str(self._emulated.flash), self._emulated.folder, lease=self._lease.descriptor)
        self._emulated.power_on()

    def reset(self) -> None:
        self._emulated.reset()

    def power_cycle(self) -> bool:
        self._emulated.power_off()
        self._emulated.power_on()
        return True

    def power_off(self) -> None:
        self._emulated.power_off()

    def take_intervals(self) -> tuple[Interval, ...]:
        return self._emulated.counter.take()


class SerialStation:
    """A board on a serial port. It is locked by the port's real name, so that two links to one port are one board."""

    def __init__(self, board: Board, port: str, directory: Path) -> None:
        self.board = board
        self.name = f"{board.name} on {port}"
        self.port = port
        place = re.sub(r"[^A-Za-z0-9]+", "-", port if "://" in port else os.path.realpath(port)).strip("-")
        self._folder = directory / f"{board.name}-{place}"
        # Every user and checkout of this machine must meet at the same file.
        self._lease = Lease(Path(tempfile.gettempdir()) / f"tinynas-{place}.lock", self.name)

    @property
    def epoch(self) -> int:
        return self._lease.epoch

    def claim(self) -> bool:
        return self._lease.acquire()

    def release(self) -> None:
        self._lease.release()

    def flash(self, image: Image) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        upload(image, self.board, self.port, self._folder, lease=self._lease.descriptor)

    def reset(self) -> None:
        with Client(self.port, baud=self.board.baud) as client:
            client.reset()

    def power_cycle(self) -> bool:
        return False

    def power_off(self) -> None:
        pass

    def take_intervals(self) -> None:
        pass
