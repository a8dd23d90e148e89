"""What `boards/*.json` says of a board. Data only: nothing here touches a port."""

import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tinynas.errors import ConfigError
from tinynas.paths import BOARDS

# The ports of the firmware that can set more than one clock.
_PORTS_WITH_STEPS = ("stm32f4",)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


_Address = Annotated[str, Field(pattern=r"^0x[0-9A-Fa-f]{8}$")]


class Emulator(_Record):
    """How QEMU stands in for the board. Its virtual clock advances by 2^icount_shift ns for each instruction.

    program: QEMU's program for the CPU, or simavr, with `machine` as its name of the microcontroller.
    core: whose cycles are modelled; those of a Cortex-M7 and a Cortex-M33 are a Cortex-M4's, which issues one
    instruction at a time. sync_address: the register that the firmware writes to right before and right after an
    inference. loader_address: where the image is put, if that is not where QEMU's `-kernel` puts it.
    """

    program: Literal["qemu-system-arm", "qemu-system-riscv32", "simavr"] = "qemu-system-arm"
    machine: str
    core: Literal["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "e31"] = "cortex-m4"
    sync_address: _Address
    icount_shift: int = Field(ge=0, le=10)
    loader_address: _Address | None = None


class FlashTiming(_Record):
    """What the CPU waits for its flash at `clock_hz`: firmware/emulator/tn_flash.h says how the figures are used.

    wait_states: CPU cycles more for a line that is in no buffer; prefetch: of the next line; instruction_lines,
    data_lines: of the caches, 0 for none.
    """

    wait_states: int = Field(ge=0, le=100)
    line_bytes: int = Field(ge=4, le=256)
    prefetch: bool
    instruction_lines: int = Field(ge=0, le=1024)
    data_lines: int = Field(ge=0, le=1024)
    source: str


class ClockStep(_Record):
    """A clock [Hz, whole MHz] that the CPU can run at, with its flash's wait states [cycles] and its current [mA]."""

    hz: int = Field(gt=0, multiple_of=1_000_000)
    wait_states: int = Field(ge=0, le=100)
    run_ma: float = Field(gt=0)


class FastMemory(_Record):
    """RAM of its own that never makes the CPU wait, such as a Cortex-M's tightly or core coupled memory, for data."""

    start: _Address
    bytes: int = Field(gt=0)
    source: str


class Power(_Record):
    """Current drawn while the CPU runs at `clock_hz`, with the datasheet that says so.

    load_pj, store_pj: energy of a word read from or written to memory, beyond that, with their own source.
    """

    run_ma: float = Field(gt=0)
    supply_v: float = Field(gt=0)
    source: str
    load_pj: float | None = Field(default=None, gt=0)
    store_pj: float | None = Field(default=None, gt=0)
    access_source: str | None = None

    @model_validator(mode="after")
    def _accesses_are_whole(self) -> Self:
        given = [each is not None for each in (self.load_pj, self.store_pj, self.access_source)]
        if any(given) and not all(given):
            raise ValueError("load_pj, store_pj and access_source go together")
        return self

    @property
    def run_mw(self) -> float:
        """Power [mW] while the CPU runs."""
        return self.run_ma * self.supply_v


class Vendor(_Record):
    """PlatformIO's platform for a physical board, whose Arduino core is the port and whose uploader flashes it.

    platform, board: as in platformio.ini; core: of several Arduino cores. source: where the memories and the clock are
    from.
    """

    platform: str = Field(min_length=1, pattern=r"^\S+$")
    board: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    core: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]+$")
    source: str


class _Manifest(_Record):
    """The key that tinynas adds to PlatformIO's board format."""

    port: str
    link: Literal["emulator", "serial"]
    verified: Literal["emulated", "compiled", "no"]
    sram_bytes: int = Field(gt=0)
    flash_bytes: int = Field(gt=0)
    flash_start: _Address = "0x08000000"
    sram_start: _Address = "0x20000000"
    clock_hz: int = Field(gt=0)
    clock_steps: tuple[ClockStep, ...] = ()
    flash_timing: FlashTiming | None = None
    fast_memory: FastMemory | None = None
    toolchain: Literal["arm-none-eabi", "riscv64-unknown-elf", "avr", "vendor"] = "arm-none-eabi"
    vendor: Vendor | None = None
    flags: tuple[str, ...] = ()
    stack_bytes: int = Field(default=4096, ge=512)
    payload_bytes: int = Field(default=1024, ge=128, le=1024)
    target: Literal["cortex-m55", "cortex-m4", "cortex-m0", "portable"] = "portable"
    power: Power | None = None
    emulator: Emulator | None = None
    upload_protocol: str | None = None
    usb: tuple[str, ...] = ()
    baud: int = Field(default=115200, gt=0)

    @model_validator(mode="after")
    def _steps_agree_with_the_rest(self) -> Self:
        if not self.clock_steps:
            return self
        if self.port not in _PORTS_WITH_STEPS:
            raise ValueError(
                f"clock_steps: port {self.port} sets one clock, only {', '.join(_PORTS_WITH_STEPS)} others"
            )
        if self.power is None or self.flash_timing is None:
            raise ValueError("clock_steps need power and flash_timing, whose sources hold for them as well")
        speeds = [step.hz for step in self.clock_steps]
        if speeds != sorted(set(speeds)):
            raise ValueError("clock_steps are not in the order of their hz, each given once")
        own = ClockStep(hz=self.clock_hz, wait_states=self.flash_timing.wait_states, run_ma=self.power.run_ma)
        if own not in self.clock_steps:
            raise ValueError(
                f"clock_steps lack clock_hz {own.hz} with {own.wait_states} wait states and {own.run_ma:g} mA, "
                "as flash_timing and power have them"
            )
        return self


class Board(_Manifest):
    """One board: its name, its memories [B], its clock [Hz] and what other ones it has, how it is emulated or linked.

    `path` is the manifest; `flags` are the compiler flags that images for it are built with by `toolchain`;
    `stack_bytes` are set aside for the stack, `payload_bytes` is the most that a frame of its link carries;
    `target` is what networks are compiled for, as in tinynas/compiler/target.py.
    """

    name: str
    title: str
    path: Path

    def at(self, clock_hz: int | None) -> "Board":
        """The board with its CPU at another of its clock steps [Hz], with the wait states and the current of that one;
        None: as it is.

        Raises:
            ConfigError: it has no such step.
        """
        if clock_hz in (None, self.clock_hz):
            return self
        step = next((step for step in self.clock_steps if step.hz == clock_hz), None)
        if step is None or self.flash_timing is None or self.power is None:
            steps = ", ".join(f"{step.hz / 1e6:g} MHz" for step in self.clock_steps)
            raise ConfigError(
                f"board {self.name} cannot run at {clock_hz} Hz: "
                + (f"choose one of {steps}" if steps else f"its manifest has no clock_steps, only {self.clock_hz} Hz")
            )
        changes = {
            "clock_hz": step.hz,
            "flash_timing": self.flash_timing.model_copy(update={"wait_states": step.wait_states}),
            "power": self.power.model_copy(update={"run_ma": step.run_ma}),
        }
        return self.model_copy(update=changes)

    def flags_for(self, optimize: str) -> tuple[str, ...]:
        """The flags of an image for "speed", as the manifest has them, or for "size"."""
        return tuple("-Os" if optimize == "size" and flag.startswith("-O") else flag for flag in self.flags)

    @property
    def constants(self) -> Literal["incbin", "arrays"]:
        """How a network's constants are compiled: an Arduino core's old compilers find no file beside a source."""
        return "arrays" if self.port == "arduino" else "incbin"

    @property
    def own_memory_map(self) -> bool:
        """Whether the linker script is that of tinynas, not of an Arduino core."""
        return self.port != "arduino"

    @property
    def emulated(self) -> bool:
        return self.link == "emulator"


def nearest(name: str, known: Sequence[str]) -> str:
    """What to say after an unknown name: the nearest known one, or all of them."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def board_names(folder: Path = BOARDS) -> list[str]:
    """Names of all manifests in `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("*.json"))


def load_board(name: str, folder: Path = BOARDS) -> Board:
    """Read one manifest.

    Raises:
        ConfigError: no board has that name (the nearest one is suggested).
        ConfigError: the manifest is no JSON, or a field is missing, unknown or out of range.
    """
    path = folder / f"{name}.json"
    if name not in board_names(folder):
        raise ConfigError(f"board {name!r} is not known: {nearest(name, board_names(folder))}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"board manifest {path} cannot be read: {error}") from error
    return _checked(name, path, manifest)


def new_board(name: str, folder: Path = BOARDS) -> Path:
    """Write the skeleton of a physical board's manifest, whose zeros and empty texts are to be filled in.

    Raises:
        ConfigError: the name is none for a file and a macro, a manifest of that name is there, or it cannot be written.
    """
    path = folder / f"{name}.json"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name):
        raise ConfigError(f"board name {name!r}: give up to 31 small letters, digits and underscores, a letter first")
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(json.dumps(_skeleton(name), indent=2) + "\n")
    except FileExistsError as error:
        raise ConfigError(f"board manifest {path} is there already") from error
    except OSError as error:
        raise ConfigError(f"board manifest {path} cannot be written: {error.strerror}") from error
    return path


def _skeleton(name: str) -> dict[str, Any]:
    vendor = {"platform": "", "board": name, "source": ""}
    return {
        "build": {"core": "arduino", "f_cpu": "0L", "mcu": ""},
        "connectivity": [],
        "debug": {},
        "frameworks": ["arduino"],
        "name": name,
        "upload": {"maximum_ram_size": 0, "maximum_size": 0, "protocol": "vendor"},
        "url": "",
        "vendor": "",
        "tinynas": {
            "verified": "no",
            "port": "arduino",
            "target": "portable",
            "toolchain": "vendor",
            "vendor": vendor,
            "link": "serial",
            "sram_bytes": 0,
            "flash_bytes": 0,
            "stack_bytes": 2048,
            "clock_hz": 0,
        },
    }


def _checked(name: str, path: Path, manifest: Any) -> Board:
    added = manifest.get("tinynas") if isinstance(manifest, dict) else None
    if not isinstance(added, dict):
        raise ConfigError(f'board manifest {path} has no object "tinynas": boards/README.md lists its fields')
    try:
        fields = _Manifest.model_validate_json(json.dumps(added))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"board manifest {path}, tinynas.{where}: {first['msg']}") from error
    if fields.link == "emulator" and fields.emulator is None:
        raise ConfigError(f'board manifest {path}: link is "emulator", but there is no object tinynas.emulator')
    if (fields.vendor is not None) != (fields.toolchain == "vendor"):
        raise ConfigError(f'board manifest {path}: toolchain "vendor" and the object tinynas.vendor go together')
    return Board(**dict(fields), name=name, title=str(manifest.get("name", name)), path=path)
