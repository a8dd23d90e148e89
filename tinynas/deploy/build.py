"""A compiled network and a board to a firmware image: staged, built by PlatformIO, sized."""

import functools
import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tinynas import paths
from tinynas.boards import Board
from tinynas.compiler import Optimize, Program, write_ends, write_image, write_list
from tinynas.deploy.platformio import Outcome, run_platformio
from tinynas.deploy.sizes import Sizes, read_foreign_sizes, read_sizes, symbol
from tinynas.deploy.stage import held_project, stage
from tinynas.deploy.toolchains import toolchain_of
from tinynas.errors import InfrastructureError, LimitError, ToolchainError
from tinynas.files import write_whole

# What the greeting of an image without a network has in the place of the network's SHA-256.
NO_NETWORK = "00" * 32
# And what that of the self-test has there.
SELFTEST = b"tinynas self-test".ljust(32, b"\0").hex()
# avr-libc's linker script puts what it calls constructors right behind the constants.
_END_OF_CONSTANTS = "__ctors_start"
_NEAR_BYTES = 65536
_IDENTITY = "tn_build_id.c"
_TIMEOUT_S = 120.0
# The first build for a vendor's platform fetches its compiler, hundreds of megabytes.
FETCH_S = 1800.0
_UNREACHED = re.compile(r"UnknownPackageError|HTTPClientError|InternetConnectionError|Could not find (?:the|a) package")
_OVERFLOW = re.compile(r"region `(\w+)' overflowed by (\d+) bytes")
# The linker for AVR says so in another way.
_OUTSIDE = re.compile(r"address 0x([0-9a-f]+) of \S+ section `\S+' is not within region `(\w+)'")
# By the names of our linker script and of avr-libc's, whose RAM begins at an address of its own.
_REGIONS = {"SRAM": "SRAM", "FLASH": "flash", "data": "SRAM", "text": "flash"}
_baseline_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The firmware without a network: what every image for this board, toolchain and firmware holds at least."""

    sizes: Sizes
    toolchain: str
    flags: str
    firmware_hash: str


@dataclass(frozen=True, kw_only=True)
class Image:
    """What is written to a board's flash.

    binary: the flash's content, from its start; the build folder may be used again at once.
    sha256: of the network's .tflite; build_id: of the linked image; both in hexadecimal, both in the board's greeting.
    sizes, baseline: with the network and without one [B].
    clock_hz: the CPU's clock that the firmware sets.
    sources: from which a vendor's platform builds the image once more where it uploads it, with the same `optimize`;
    empty for other boards.
    program: the network, None in an image without one.
    networks: SHA-256 of all networks in the image if there are several; the sizes are those of this one's own image.
    """

    binary: bytes
    sha256: str
    build_id: str
    sizes: Sizes
    baseline: Sizes
    toolchain: str
    flags: str
    firmware_hash: str
    clock_hz: int
    optimize: Optimize = "speed"
    sources: Mapping[str, bytes] = field(default_factory=dict)
    program: Program | None = None
    networks: tuple[str, ...] = ()


def build(board: Board, program: Program, workdir: Path, *, profile: bool = False) -> Image:
    """Build the image that runs `program` on `board`. One user of `workdir` at a time; it makes the next build faster.

    profile: the image marks the end of each layer, for an emulator that counts what lies between two marks.

    Raises:
        LimitError: the image does not fit the board; the message has both numbers.
        ToolchainError: the compiler or PlatformIO is missing or fails.
        InfrastructureError: a folder cannot be written.
    """
    files = write_image([program])
    empty = baseline(board, workdir, program.optimize)
    if profile:
        # A folder of its own: other flags would make PlatformIO compile everything anew, here and the next time.
        built = _build(board, files, workdir / "profile", program.optimize, program, defines=("TN_PROFILE",))
    else:
        built = _build(board, files, workdir, program.optimize, program)
    return replace(
        _image(board, built, program.sha256, empty),
        optimize=program.optimize,
        sources=_sources_of(board, files, program.optimize),
        program=program,
    )


def build_together(board: Board, images: Sequence[Image], workdir: Path) -> tuple[Image, ...]:
    """One image of the networks of all `images`, so that it is flashed once for them all: each of them as it was, but
    for what it is on a board. The networks have different names and models, all are to be fast or all small, and all at
    one clock.

    Raises as `build`.
    """
    programs = [image.program for image in images if image.program is not None]
    files, optimize = write_image(programs), images[0].optimize
    board = board.at(images[0].clock_hz)
    binary, _, build_id = _build(board, files, workdir / "together", optimize)
    sources = _sources_of(board, files, optimize)
    networks = tuple(image.sha256 for image in images)
    return tuple(
        replace(image, binary=binary, build_id=build_id, sources=sources, networks=networks) for image in images
    )


def build_empty(board: Board, workdir: Path) -> Image:
    """Build the firmware without a network: it greets and resets, which is enough to try a board. Raises as `build`."""
    empty = baseline(board, workdir)
    image = _image(board, _build(board, _sources("empty"), workdir / "empty", "speed"), NO_NETWORK, empty)
    return replace(image, sources=_sources_of(board, _sources("empty"), "speed"))


def build_selftest(board: Board, known: Program, workdir: Path) -> Image:
    """Build the image with which a board tries itself; its kernels with `known`, a program of that name.

    Raises as `build`.
    """
    files = {**_sources("selftest"), **known.files, "known_ends.h": write_ends(known)}
    defines = ("TN_OWN_MEMORY_MAP",) if board.own_memory_map else ()
    empty = baseline(board, workdir, known.optimize)
    built = _build(board, files, workdir / "selftest", known.optimize, known, defines=defines)
    return _image(board, built, SELFTEST, empty)


def _image(board: Board, built: tuple[bytes, Sizes, str], sha256: str, empty: Baseline) -> Image:
    binary, sizes, build_id = built
    return Image(
        binary=binary,
        sha256=sha256,
        build_id=build_id,
        sizes=sizes,
        baseline=empty.sizes,
        toolchain=empty.toolchain,
        flags=empty.flags,
        firmware_hash=empty.firmware_hash,
        clock_hz=board.clock_hz,
    )


def baseline(board: Board, workdir: Path, optimize: Optimize = "speed") -> Baseline:
    """The firmware without a network, built once for each toolchain, manifest, clock and firmware.

    Raises as `build`.
    """
    toolchain, firmware = toolchain_of(board), _firmware_hash(paths.FIRMWARE)
    flags = " ".join(board.flags_for(optimize))
    manifest = hashlib.sha256(board.path.read_bytes()).hexdigest()
    key = hashlib.sha256(f"{toolchain}\n{firmware}\n{manifest}\n{flags}\n{board.clock_hz}".encode()).hexdigest()
    record = paths.home() / "baselines" / f"{board.name}-{key[:16]}.json"
    with _baseline_lock:
        sizes = _recorded(record)
        if sizes is None:
            # A folder of its own: other sources would make PlatformIO clean the network's.
            _, sizes, _ = _build(board, _sources("empty"), workdir / "empty", optimize)
            _record(record, sizes)
    return Baseline(sizes=sizes, toolchain=toolchain, flags=flags, firmware_hash=firmware)


def _build(
    board: Board,
    files: dict[str, bytes],
    workdir: Path,
    optimize: Optimize,
    program: Program | None = None,
    *,
    defines: Sequence[str] = (),
) -> tuple[bytes, Sizes, str]:
    identity = ""
    if board.port == "arduino":
        identity = _identity(board, files, (optimize, *defines))
        files = {**files, _IDENTITY: _write_identity(identity)}
    with held_project(workdir) as project:
        stage(board, files, project, defines=defines, optimize=optimize)
        outcome = run_platformio(project, "--silent", timeout_s=FETCH_S if board.vendor else _TIMEOUT_S)
        if not outcome.succeeded:
            raise _failure(outcome, board, workdir)
        folder = workdir / ".pio" / "build" / board.name
        try:
            # Vendors' platforms write different files; the linked one is always there.
            found = (folder / name for name in ("firmware.bin", "firmware.hex", "firmware.elf"))
            binary = next((path for path in found if path.is_file()), folder / "firmware.bin").read_bytes()
        except OSError as error:
            raise ToolchainError(f"PlatformIO built no image in {folder}: {error}\n{outcome.tail()}") from error
        elf = folder / "firmware.elf"
        if identity:
            own = (1, 0) if program is None else (program.arena_bytes, program.constants_bytes)
            sizes = read_foreign_sizes(elf, binary, *own)
            _require_near_constants(board, elf)
            return binary, sizes, identity
        sizes, build_id = read_sizes(elf, binary)
    return binary, sizes, build_id


def _sources_of(board: Board, files: Mapping[str, bytes], optimize: Optimize) -> Mapping[str, bytes]:
    """What a vendor's platform is given where it uploads."""
    if board.vendor is None:
        return {}
    identity = _identity(board, files, (optimize,))
    return {**files, _IDENTITY: _write_identity(identity)}


def _require_near_constants(board: Board, elf: Path) -> None:
    """Refuse constants beyond the 64 KiB of flash that AVR's __flash reaches: the linker cuts their addresses off."""
    end = symbol(elf, _END_OF_CONSTANTS) if board.toolchain == "avr" else None
    if end is not None and end > _NEAR_BYTES:
        raise LimitError(
            f"needs {end:,} B for vectors and constants, {board.name} reads {_NEAR_BYTES:,} of its flash: "
            "choose a smaller network or a larger board"
        )


def _identity(board: Board, files: Mapping[str, bytes], options: Sequence[str]) -> str:
    """What stands for the linker's build id where the linker script is not ours: a hash of what the image is built
    from, 32 hexadecimal digits.
    """
    digest = hashlib.sha256(f"{toolchain_of(board)}\n{_firmware_hash(paths.FIRMWARE)}\n{options}\n".encode())
    digest.update(board.path.read_bytes())
    for name, content in sorted(files.items()):
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()[:32]


def _write_identity(identity: str) -> bytes:
    values = ", ".join(str(byte) for byte in bytes.fromhex(identity))
    lines = ("#include <stdint.h>", "", "extern const uint8_t tn_build_id[16];")
    return "\n".join((*lines, f"const uint8_t tn_build_id[16] = {{{values}}};\n")).encode()


def _failure(outcome: Outcome, board: Board, project: Path) -> Exception:
    has = {"SRAM": board.sram_bytes, "flash": board.flash_bytes}
    needed = {
        _REGIONS[name]: has[_REGIONS[name]] + int(excess)
        for name, excess in _OVERFLOW.findall(outcome.said)
        if name in _REGIONS
    }
    starts = {"SRAM": int(board.sram_start, 16) - board.stack_bytes, "flash": int(board.flash_start, 16)}
    for end, name in _OUTSIDE.findall(outcome.said):
        if name in _REGIONS:
            region = _REGIONS[name]
            needed[region] = max(needed.get(region, 0), int(end, 16) - starts[region])
    if needed:
        needs = " and ".join(
            f"{size:,} B of {region}, {board.name} has {has[region]:,}" for region, size in needed.items()
        )
        return LimitError(f"needs {needs}: choose a smaller network or a larger board")
    if board.vendor is not None and _UNREACHED.search(outcome.said):
        return ToolchainError(
            f"PlatformIO could not fetch its platform {board.vendor.platform} for board {board.name}: this machine "
            "needs the network the first time, or the folder platformio in TINYNAS_HOME of one that has it\n"
            f"{outcome.tail()}"
        )
    return ToolchainError(f"PlatformIO could not build {project} for board {board.name}:\n{outcome.tail()}")


@functools.cache
def _firmware_hash(folder: Path) -> str:
    """SHA-256 over names and contents of everything that the firmware is built from."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in {".c", ".h", ".S", ".ld", ".py", ".json"}:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def _sources(folder: str) -> dict[str, bytes]:
    files = (path for path in sorted((paths.FIRMWARE / folder).iterdir()) if path.suffix in {".c", ".h"})
    return {**{path.name: path.read_bytes() for path in files}, **write_list(["network"])}


def _recorded(record: Path) -> Sizes | None:
    try:
        return Sizes(**json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _record(record: Path, sizes: Sizes) -> None:
    try:
        write_whole(record, json.dumps(asdict(sizes)).encode())
    except OSError as error:
        raise InfrastructureError(f"folder {record.parent} cannot be written: {error.strerror}") from error
