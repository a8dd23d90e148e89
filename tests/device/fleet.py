"""Eight boards on pseudo-terminals that fail as boards do, and the part of a host process that measures on them.

The boards live in the tests' process. A host finds them as it would find real ones: ports and serial numbers come from
a file that stands for USB, uploads are a process of their own, reset and power-cycle are commands.

    python fleet.py FOLDER NAME FIRST LAST CUTS

measures the candidates FIRST to LAST - 1, with results to FOLDER/NAME.json. CUTS is how likely an upload loses power.
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
from collections import deque
from collections.abc import Mapping
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
from tinynas.device.frames import PROTOCOL_VERSION, Frame, encode
from tinynas.device.ladder import flash_and_measure
from tinynas.device.messages import ANSWER, Request, ResetCause
from tinynas.errors import CandidateError, FlashError, WrongOutputError

INPUT_BYTES = 64
INPUTS = np.random.default_rng(0).integers(-128, 128, (2, INPUT_BYTES), dtype=np.int8)
_SIZES = Sizes(code=1, constants=1, static=1, arena=1, image=1)
# An upload that meets another one on the same board says so. One in ten fails before it has begun, and with the chance
# in the third argument power is cut at a random moment: the old image is left, half of the new one, or all of it.
_FLASHER = """
import fcntl, os, random, sys, time
from pathlib import Path
folder, content, cuts = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
# Its lock ends with it, however it ends.
flashing = (folder / "flashing").open("w")
try:
    fcntl.flock(flashing, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    (folder / "two flashers").touch()
    sys.exit(2)
def write(text):
    (folder / "flash.new").write_text(text)
    (folder / "flash.new").replace(folder / "flash")
stop = sys.exit
cut_at = random.randrange(3) if random.random() < cuts else None
if cut_at is not None:
    with (folder / "cuts").open("a") as stream:
        stream.write(f"{cut_at}\\n")
if random.random() < 0.1 or cut_at == 0:
    stop(1)
write("torn")
time.sleep(float(os.environ.get("TINYNAS_FLASH_S", "0.02")))
if cut_at == 1:
    stop(1)
write(content)
stop(0 if cut_at is None else 1)
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
        clock_hz=1_000_000,
    )


def compute(candidate: int, tensor: bytes) -> bytes:
    """The network of a candidate: another one for each."""
    mask = hashlib.sha512(f"mask {candidate}".encode()).digest()
    return bytes(byte ^ key for byte, key in zip(tensor, mask, strict=True))


def ticks_of(candidate: int) -> int:
    return 10_000 + candidate


class FleetBoard(FakeBoard):
    """Holds the candidate that `folder/flash` names, and nothing that boots after a torn upload.

    `chances`: fault -> how likely it befalls a run. `plan`: candidate -> fault that befalls it once, after its
    first flash. `faults`: those that happened. `clashes`: connections that came back after another one had begun.
    `slowness`: of its clock.
    """

    def __init__(
        self, folder: Path, seed: int, *, chances: Mapping[str, float] | None = None, plan: dict[int, str] | None = None
    ) -> None:
        folder.mkdir()
        self.folder = folder
        self.clashes: list[int] = []
        self.faults: list[str] = []
        self.slowness = 1.0
        self._random = random.Random(seed)
        self._chances = dict(chances or {})
        self._plan = plan if plan is not None else {}
        self._next: str | None = None
        self._state: str | None = None
        self._seen: dict[str, int] = {}
        self._connections: list[int] = []
        self._earlier: deque[bytes] = deque(maxlen=6)
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
        fault = self._fault_for(request)
        if fault is not None:
            self.faults.append(fault)
            if fault in {"hang", "babble", "version"}:
                self._state = fault
        answer = self._answer(request)
        match self._state or fault:
            case "hang" | "torn":
                return b""
            case "babble":
                return self._random.randbytes(300)
            case "version":
                return encode(replace(request, type=request.type | ANSWER, version=PROTOCOL_VERSION + 1))
            case "stale answer":
                return b"".join(self._earlier) + answer
            case None | "late":
                time.sleep(0.5 if fault else 0.0)
                self._earlier.append(answer)
                return answer
        self._lose(fault)
        return b""

    def _lose(self, fault: str | None) -> None:
        """Start anew, as after this fault."""
        match fault:
            case "reset":
                self.restart(ResetCause.WATCHDOG)
            case "brown-out":
                self.restart(ResetCause.POWER_ON)
            case "rename":
                self._replug()

    def _fault_for(self, request: Frame) -> str | None:
        if self._state is not None:
            return None
        when = {"reset": Request.OUTPUT, "version": Request.HELLO}
        if self._next is not None and request.type == when.get(self._next, Request.RUN):
            fault, self._next = self._next, None
            return fault
        if request.type != Request.RUN:
            return None
        draw = self._random.random()
        for fault, chance in self._chances.items():
            draw -= chance
            if draw < 0:
                return fault
        return None

    def _look_around(self) -> None:
        """Boot what was flashed, and follow reset pin and power, since the last look."""
        if self._changed("flash"):
            self._boot((self.folder / "flash").read_text())
        if self._changed("reset"):
            self._start(ResetCause.PIN)
        if self._changed("power"):
            self._start(ResetCause.POWER_ON)

    def _boot(self, content: str) -> None:
        self._state = None
        if content == "torn":
            self._state = "torn"
            return
        self._next = self._plan.pop(int(content), None)
        if self._next == "stale image":
            # The flasher says that it wrote, and did not.
            self.faults.append("stale image")
            self._next = None
        else:
            candidate = int(content)
            image = image_of(candidate)
            build_id, sha256 = bytes.fromhex(image.build_id), bytes.fromhex(image.sha256)
            self.greeting = replace(self.greeting, build_id=build_id, network_sha256=sha256)
            self._network = lambda tensor: compute(candidate, tensor)
            self.ticks = lambda: int(self.slowness * ticks_of(candidate))
        self._start(ResetCause.PIN)

    def _changed(self, name: str) -> bool:
        try:
            stamp = (self.folder / name).stat().st_mtime_ns
        except FileNotFoundError:
            return False
        before, self._seen[name] = self._seen.get(name), stamp
        return before != stamp

    def _start(self, cause: ResetCause) -> None:
        # Neither helps against what is in the flash.
        if self._state not in {"torn", "version"}:
            self._state = None
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
    folder, name, first, last, cuts = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    logging.basicConfig(filename=folder / f"{name}.log", level=logging.WARNING, format="%(asctime)s %(message)s")
    stand_in(folder, cuts)
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


def stand_in(folder: Path, cuts: str) -> None:
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
        places = [path.parent for path in (folder / "boards").glob("*/port") if path.read_text() == port]
        if not places:
            raise FlashError(f"{port} is not there any more")
        for _ in range(attempts):
            command = [sys.executable, "-I", "-S", "-c", _FLASHER, str(places[0]), image.binary.decode(), cuts]
            with subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *command], pass_fds=[lease]
            ) as process:
                if process.wait(timeout_s) == 0:
                    return
        raise FlashError(f"{port} could not be flashed in {attempts} attempts")

    import serial.tools.list_ports

    serial.tools.list_ports.comports = comports
    station.upload = upload
    station._SETTLE_S = 0.02
    measure._FIRST_ANSWER_S = 0.2
    client._BOOT_S = 0.5
    bench_module.load_board = inventory.load_board = lambda name: board_kind()


if __name__ == "__main__":
    main()
