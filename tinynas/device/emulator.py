"""An emulated board: a folder with a flash memory, and a process of QEMU while it is under power."""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tinynas.boards import Board
from tinynas.device.counter import Counter
from tinynas.device.plugin import plugin, simulator
from tinynas.device.qmp import Monitor
from tinynas.errors import BenchError, ToolchainError

# Debian's package of each program.
_PACKAGES = {"qemu-system-arm": "qemu-system-arm", "qemu-system-riscv32": "qemu-system-misc"}
_LEASH = Path(__file__).with_name("leash.py")
_START_S = 20.0
_COMMAND_S = 5.0

# Linux sends the signal that ties a process to its parent when the *thread* that forked ends. Boards are started from
# threads of the search, which end before the boards do: one thread that lives as long as this process starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="emulator-starter")


class EmulatedBoard:
    """`folder` holds `flash.bin`, what the board boots from, `qemu.log`, what QEMU said last, and `intervals.txt`, what
    it counted since power came on. `board` is at the clock that the image in its flash sets on a chip.

    Power on, off and on again is a new process, so RAM is blank; `reset` keeps RAM, as the reset pin of a chip does.
    """

    def __init__(self, board: Board, folder: Path) -> None:
        if board.emulator is None:
            raise ValueError(f"{board.name} has no emulator")
        self.board = board
        self._machine = board.emulator
        self.folder = folder
        self.flash = folder / "flash.bin"
        self.log = folder / "qemu.log"
        self.counter = Counter(folder / "intervals.txt")
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: Monitor | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """Where the board's serial port is reached, `socket://127.0.0.1:PORT`; another one after every power cycle.

        Raises:
            BenchError: the board is not under power.
        """
        if self._url is None:
            raise BenchError(f"emulated board {self.folder.name} is not under power")
        return self._url

    @property
    def pid(self) -> int | None:
        """QEMU's process id while the board is under power."""
        return None if self._process is None else self._process.pid

    def power_on(self) -> None:
        """Boot what is in the flash memory. Does nothing when the board is under power.

        Raises:
            BenchError: the flash memory is empty, or QEMU ended early (with what it said).
            ToolchainError: QEMU is not installed or does not take the cycle counter, or no C compiler builds that.
        """
        if self._process is not None:
            return
        if not self.flash.is_file():
            raise BenchError(f"emulated board {self.folder.name} has an empty flash memory: nothing to boot")
        program = self._program()
        ours, theirs = socket.socketpair()
        # QEMU inherits sockets that are open already: no port is guessed and no output is parsed for it.
        with theirs, socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
            # QEMU sends byte by byte, which Nagle's algorithm would hold back; accepted sockets inherit the option.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            command = [*program, *self._arguments(listener.fileno(), theirs.fileno())]
            self._monitor = Monitor(ours)
            self._url = f"socket://127.0.0.1:{listener.getsockname()[1]}"
            sockets = (listener.fileno(), theirs.fileno())
            try:
                self._process = _starter.submit(_start, command, self.log, sockets).result()
            except OSError as error:
                self.power_off()
                raise BenchError(f"emulated board {self.folder.name} cannot be started: {error}") from error
        try:
            self._monitor.greet(timeout_s=_START_S)
        except BenchError as error:
            raise self._ended(str(error)) from error

    def power_off(self) -> None:
        """Pull the plug. Does nothing when the board is off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._monitor is not None:
            self._monitor.close()
        self._process = self._monitor = self._url = None

    def reset(self) -> None:
        """Pull the reset pin: the CPU starts again, RAM keeps what it held.

        Raises:
            BenchError: the board is off, or QEMU ended.
        """
        if self._monitor is None:
            raise BenchError(f"emulated board {self.folder.name} is not under power")
        try:
            self._monitor.execute("system_reset", timeout_s=_COMMAND_S)
        except BenchError as error:
            raise self._ended(str(error)) from error

    def _ended(self, why: str) -> BenchError:
        """Turn the power off and say what QEMU said before it went."""
        status = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(timeout=1.0)
        self.power_off()
        said = self.log.read_text(encoding="utf-8", errors="backslashreplace")[-2000:].strip()
        if "Could not load plugin" in said:
            raise ToolchainError(f"QEMU takes plugins of version 1 up to QEMU 8.2, and not this one: {said}")
        ending = "" if status is None else f" (exit status {status})"
        return BenchError(f"emulated board {self.folder.name}: {why}{ending}: {said or 'it said nothing'}")

    def _program(self) -> list[str]:
        if self._machine.program == "simavr":
            return [
                str(simulator()),
                self._machine.machine,
                str(self.board.clock_hz),
                str(self.board.baud),
                str(self.flash),
            ]
        return [qemu(self._machine.program), *self.counter.arguments(plugin(), self.board)]

    def _arguments(self, serial: int, monitor: int) -> list[str]:
        if self._machine.program == "simavr":
            return [str(serial), str(monitor), self._machine.sync_address, self.counter.begin()]
        return [
            *("-machine", self._machine.machine, "-nodefaults", "-display", "none"),
            *self._flash_arguments(),
            # Time is counted in instructions and never waits for the host's clock, so a measurement repeats exactly.
            *("-icount", f"shift={self._machine.icount_shift},align=off,sleep=off"),
            *("-chardev", f"socket,id=serial,fd={serial},server=on,wait=off,nodelay=on", "-serial", "chardev:serial"),
            *("-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control"),
        ]

    def _flash_arguments(self) -> tuple[str, ...]:
        if self._machine.program == "qemu-system-arm" and self._machine.loader_address is None:
            return ("-kernel", str(self.flash))
        if self._machine.program == "qemu-system-arm":
            # Its CPU starts from vectors elsewhere than at 0, where `-kernel` puts an image.
            file = str(self.flash).replace(",", ",,")
            return ("-device", f"loader,file={file},addr={self._machine.loader_address},force-raw=on")
        # QEMU takes what is no ELF file for a program in RAM, and its loader of raw files takes no more than RAM holds.
        loadable = self.folder / "flash.elf"
        loadable.write_bytes(_as_elf(self.flash.read_bytes(), int(self.board.flash_start, 16)))
        return ("-kernel", str(loadable))


def _as_elf(content: bytes, start: int) -> bytes:
    """An ELF file for RISC-V with one segment, `content` at the address `start`, where it is entered as well."""
    header, segment, loads, readable, executable = 52, 32, 1, 4, 1
    identity = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    # e_type EXEC, e_machine RISC-V, e_version, e_entry, e_phoff, e_shoff, e_flags, then sizes and counts of headers.
    fields = (2, 243, 1, start, header, 0, 0, header, segment, 1, 0, 0, 0)
    size = len(content)
    program = (loads, header + segment, start, start, size, size, readable | executable, 4)
    return identity + struct.pack("<HHIIIIIHHHHHH", *fields) + struct.pack("<8I", *program) + content


def qemu(program: str = "qemu-system-arm") -> str:
    """The path of QEMU's `program`.

    Raises:
        ToolchainError: it is not installed; the message says how to install it.
    """
    found = shutil.which(program)
    if found is None:
        raise ToolchainError(
            f"{program} is not on PATH and emulated boards need it: install it with "
            f"`sudo apt-get install {_PACKAGES[program]}` (Debian), `sudo dnf install {program}` (Fedora) or "
            "`brew install qemu` (macOS)"
        )
    return found


def _start(command: list[str], log: Path, sockets: tuple[int, ...]) -> subprocess.Popen[bytes]:
    leash = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid())]
    with log.open("wb") as said:
        # Its own session: Ctrl-C is for tinynas, which ends its boards in order.
        return subprocess.Popen(
            [*leash, *command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=sockets,
            start_new_session=True,
        )
