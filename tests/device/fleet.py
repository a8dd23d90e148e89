"""Eight boards on pseudo-terminals that fail as boards do, and the part of a host process that measures on them.

The boards live in the tests' process. A host finds them as it would find real ones: ports and serial numbers come from
a file that stands for USB, uploads are a process of their own, reset and power-cycle are commands.

    python fleet.py FOLDER NAME FIRST LAST    measure the candidates FIRST to LAST - 1, results to FOLDER/NAME.json
"""

import hashlib
import json
import logging
import os
import random
import subprocess
import sys
import time
import tty
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tinynas.boards import Board
from tinynas.deploy import guard
from tinynas.deploy.build import Image
from tinynas.deploy.sizes import Sizes
from tinynas.device import bench as bench_module
from tinynas.device import client, inventory, measure, station
from tinynas.device.bench import open_bench
from tinynas.device.fake import FakeBoard, greeting_of
from tinynas.device.frames import Frame
from tinynas.device.ladder import flash_and_measure
from tinynas.device.messages import Request, ResetCause
from tinynas.errors import CandidateError, FlashError, WrongOutputError

INPUT_BYTES = 64
INPUTS = np.random.default_rng(0).integers(-128, 128, (2, INPUT_BYTES), dtype=np.int8)
_SIZES = Sizes(code=1, constants=1, static=1, arena=1, image=1)
# An upload that meets another one on the same board says so; one in ten fails.
_FLASHER = """
import os, random, sys, time
from pathlib import Path
folder, content = Path(sys.argv[1]), sys.argv[2]
try:
    os.close(os.open(folder / "flashing", os.O_CREAT | os.O_EXCL))
except FileExistsError:
    (folder / "two flashers").touch()
    sys.exit(2)
time.sleep(0.02)
failed = random.random() < 0.1
if not failed:
    (folder / "flash.new").write_text(content)
    (folder / "flash.new").replace(folder / "flash")
(folder / "flashing").unlink()
sys.exit(failed)
"""


def board_kind() -> Board:
    return Board(
        name="simulated",
        title="A board on a pseudo-terminal",
        path=Path("simulated.json"),
        port="none",
        link="serial",
        verified="no",
        sram_bytes=131072,
        flash_bytes=1048576,
        clock_hz=1_000_000,
        usb=("0483:374b",),
    )


def image_of(candidate: int) -> Image:
    digest = hashlib.sha256(f"candidate {candidate}".encode()).hexdigest()
    return Image(
        binary=str(candidate).encode(),
        sha256=digest,
        build_id=digest[:32],
        sizes=_SIZES,
        baseline=_SIZES,
        toolchain="none",
        flags="",
        firmware_hash="",
    )


def compute(candidate: int, tensor: bytes) -> bytes:
    """The network of a candidate: another one for each."""
    mask = hashlib.sha512(f"mask {candidate}".encode()).digest()
    return bytes(byte ^ key for byte, key in zip(tensor, mask, strict=True))


def ticks_of(candidate: int) -> int:
    return 10_000 + candidate


class FleetBoard(FakeBoard):
    """Holds the candidate that `folder/flash` names. Of its runs, 2 % hang until a reset or a power cycle, 1 % reset
    the board, 1 % answer late, 1 % unplug it, after which it comes back under another name; all runs of a `bad` one
    hang. `clashes` lists connections that came back after another one had begun.
    """

    def __init__(self, folder: Path, seed: int, *, bad: bool) -> None:
        folder.mkdir()
        self.folder = folder
        self.bad = bad
        self.clashes: list[int] = []
        self.faults: list[str] = []
        self._random = random.Random(seed)
        self._seen: dict[str, int] = {}
        self._hangs = False
        self._connections: list[int] = []
        super().__init__(greeting_of(board_kind(), input_bytes=INPUT_BYTES, output_bytes=INPUT_BYTES), lambda _: b"")
        self.announce()

    def announce(self) -> None:
        """Tell USB the port's present name."""
        (self.folder / "port.new").write_text(self.port)
        (self.folder / "port.new").replace(self.folder / "port")

    def _misbehave(self, request: Frame) -> bytes:
        self._look_around()
        if request.run_id not in self._connections:
            self._connections.append(request.run_id)
        elif self._connections[-1] != request.run_id:
            self.clashes.append(request.run_id)
        if self._hangs:
            return b""
        if request.type == Request.RUN:
            draw = 0.0 if self.bad else self._random.random()
            if draw < 0.02:
                self.faults.append("hang")
                self._hangs = True
                return b""
            if draw < 0.03:
                self.faults.append("reset")
                self.restart(ResetCause.WATCHDOG)
                return b""
            if draw < 0.04:
                self.faults.append("late")
                time.sleep(0.5)
            elif draw < 0.05:
                self.faults.append("rename")
                self._replug()
                return b""
        return self._answer(request)

    def _look_around(self) -> None:
        """Boot what was flashed, and follow reset pin and power, since the last look."""
        if self._changed("flash"):
            candidate = int((self.folder / "flash").read_text())
            image = image_of(candidate)
            self.greeting = replace(
                self.greeting,
                build_id=bytes.fromhex(image.build_id),
                network_sha256=bytes.fromhex(image.sha256),
            )
            self._network = lambda tensor: compute(candidate, tensor)
            self.ticks = lambda: ticks_of(candidate)
            self._start(ResetCause.PIN)
        if self._changed("reset"):
            self._start(ResetCause.PIN)
        if self._changed("power"):
            self._start(ResetCause.POWER_ON)

    def _changed(self, name: str) -> bool:
        try:
            stamp = (self.folder / name).stat().st_mtime_ns
        except FileNotFoundError:
            return False
        before, self._seen[name] = self._seen.get(name), stamp
        return before != stamp

    def _start(self, cause: ResetCause) -> None:
        self._hangs = False
        self.restart(cause)

    def _replug(self) -> None:
        """Whoever has the port open is cut off; the board keeps its serial number and gets another port."""
        os.close(self._ours)
        os.close(self._theirs)
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        self.restart(ResetCause.POWER_ON)
        self.announce()


@dataclass(frozen=True, kw_only=True)
class Fleet:
    folder: Path
    boards: list[FleetBoard]

    def file(self) -> str:
        """The bench.toml that lists them."""
        return '[limits]\nupload = "20 s"\n' + "".join(
            f'[boards.b{number}]\nboard = "simulated"\nusb = "{self.folder.name}-{board.folder.name}"\n'
            f'reset = "touch {board.folder}/reset"\npower_cycle = "touch {board.folder}/power"\n'
            for number, board in enumerate(self.boards)
        )


def main() -> None:
    folder, name, first, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    logging.basicConfig(filename=folder / f"{name}.log", level=logging.WARNING, format="%(asctime)s %(message)s")
    _stand_in(folder)
    results: dict[int, dict[str, object]] = {}
    with open_bench(board_kind(), directory=folder / "home", file=folder / "bench.toml") as bench:

        def work(candidate: int) -> None:
            expected = np.stack([np.frombuffer(compute(candidate, each.tobytes()), np.int8) for each in INPUTS])

            def accept(found: measure.Measurement) -> None:
                if not np.array_equal(found.outputs, expected):
                    raise WrongOutputError("another candidate's output")

            try:
                found = flash_and_measure(bench, image_of(candidate), INPUTS, repeats=2, accept=accept)
            except CandidateError as error:
                results[candidate] = {"blamed": str(error)}
            else:
                ticks = sorted({int(each) for each in found.ticks.flat})
                results[candidate] = {"ticks": ticks, "station": found.station, "epoch": found.epoch}

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(work, range(first, last)))
    (folder / f"{name}.json").write_text(json.dumps(results))


def _stand_in(folder: Path) -> None:
    """For USB and for PlatformIO, and make this host as impatient as simulated boards allow."""

    def comports() -> list[SimpleNamespace]:
        return [
            SimpleNamespace(
                device=path.read_text(),
                vid=0x0483,
                pid=0x374B,
                serial_number=f"{folder.name}-{path.parent.name}",
                location=f"1-{path.parent.name}",
                description="simulated",
            )
            for path in sorted((folder / "boards").glob("*/port"))
        ]

    def upload(image: Image, board: Board, port: str, workdir: Path, *, lease: int, attempts: int, timeout_s: float):
        (place,) = (path.parent for path in (folder / "boards").glob("*/port") if path.read_text() == port)
        for _ in range(attempts):
            command = [sys.executable, "-I", "-S", "-c", _FLASHER, str(place), image.binary.decode()]
            with subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *command], pass_fds=[lease]
            ) as process:
                if process.wait(timeout_s) == 0:
                    return
        raise FlashError(f"{port} could not be flashed")

    import serial.tools.list_ports

    serial.tools.list_ports.comports = comports
    station.upload = upload
    station._SETTLE_S = 0.02
    measure._FIRST_ANSWER_S = 0.2
    client._BOOT_S = 0.5
    bench_module.load_board = inventory.load_board = lambda name: board_kind()


if __name__ == "__main__":
    main()
