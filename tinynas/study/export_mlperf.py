"""Export as a PlatformIO project whose firmware speaks to MLPerf Tiny's runner: the network, the protocol, the port.

What each benchmark's files hold and what becomes of them: mlcommons/tiny, benchmark/reference_submissions, and
eembc/energyrunner, datasets/README.md.
"""

from dataclasses import dataclass

from tinynas import paths
from tinynas.boards import Board, nearest
from tinynas.compiler import Program, write_list
from tinynas.errors import ConfigError, LimitError
from tinynas.study.delivery import Delivery, kernels_for, licence, rendered
from tinynas.study.export_platformio import firmware_files, read_firmware

_FIRMWARE = ("main.c", "commands.h", "commands.c", "answers.h", "answers.c", "benchmark.h", "benchmark.c")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One of MLPerf Tiny's benchmarks. inputs: int8 values that the network takes; loaded_bytes: of a file of its data
    set; file_format: the name of that in firmware/mlperf/benchmark.h; meaning: of a file, for a README.
    """

    inputs: int
    loaded_bytes: int
    file_format: str
    meaning: str


_FEATURES = "int8, as the network takes them"
_IMAGE = "uint8, of which the network takes value - 128"
BENCHMARKS = {
    "kws01": Benchmark(inputs=490, loaded_bytes=490, file_format="TN_FEATURES", meaning=_FEATURES),
    "vww01": Benchmark(inputs=27_648, loaded_bytes=27_648, file_format="TN_IMAGE", meaning=_IMAGE),
    "ic01": Benchmark(inputs=3_072, loaded_bytes=3_072, file_format="TN_IMAGE", meaning=_IMAGE),
    "ad01": Benchmark(
        inputs=640, loaded_bytes=2_560, file_format="TN_REALS", meaning="float32, which the board quantizes"
    ),
    "strww01": Benchmark(inputs=1_200, loaded_bytes=1_200, file_format="TN_FEATURES", meaning=_FEATURES),
}


def require_benchmark(name: str) -> None:
    """Refuse an unknown benchmark before any work starts.

    Raises:
        ConfigError: `name` is none of BENCHMARKS.
    """
    if name not in BENCHMARKS:
        raise ConfigError(f"{name!r} is no benchmark of MLPerf Tiny: {nearest(name, tuple(BENCHMARKS))}")


def benchmark_of(program: Program, name: str | None) -> str:
    """The benchmark `name`, or the one whose input the network takes.

    Raises:
        ConfigError: no benchmark is of that name; the network does not take its input, or that of any; it has several
            inputs or outputs, or others than int8; or for ad01, its output is no copy of the input.
    """
    if name is not None:
        require_benchmark(name)
    ends = [*program.inputs, *program.outputs]
    if len(ends) != 2 or any(end.dtype != "int8" for end in ends):
        found = ", ".join(f"{end.name} ({end.dtype})" for end in ends)
        raise ConfigError(
            f"MLPerf Tiny's runner loads one int8 input and reads one int8 output, the network has {found}"
        )
    takes, gives = program.inputs_bytes, program.outputs_bytes
    if name is None:
        names = [name for name, benchmark in BENCHMARKS.items() if benchmark.inputs == takes]
        if not names:
            sizes = ", ".join(f"{each.inputs:,} ({name})" for name, each in BENCHMARKS.items())
            raise ConfigError(f"the network takes {takes:,} values, a benchmark of MLPerf Tiny has {sizes}")
        name = names[0]
    if takes != BENCHMARKS[name].inputs:
        raise ConfigError(f"the network takes {takes:,} values, an input of {name} has {BENCHMARKS[name].inputs:,}")
    if name == "ad01" and gives != takes:
        raise ConfigError(f"the network gives {gives:,} values, ad01 compares them with the {takes:,} of its input")
    return name


def _require_memory(program: Program, board: Board, name: str) -> None:
    arena, file, constants = program.arena_bytes, BENCHMARKS[name].loaded_bytes, program.constants_bytes
    needed = arena + file + board.stack_bytes
    if needed > board.sram_bytes:
        raise LimitError(
            f"needs {needed:,} B of SRAM at least, {arena:,} for the arena, {file:,} for a file of {name} and "
            f"{board.stack_bytes:,} for the stack, {board.name} has {board.sram_bytes:,}: try --patches auto, a "
            "smaller network or a larger board"
        )
    if constants > board.flash_bytes:
        raise LimitError(
            f"needs {constants:,} B of flash for constants alone, {board.name} has {board.flash_bytes:,}: choose a "
            "smaller network or a larger board"
        )


def mlperf_project(delivery: Delivery, board: Board, name: str) -> dict[str, bytes]:
    """All files of the export, for the benchmark `name`: path in the folder -> content.

    Raises:
        ConfigError: as `benchmark_of`.
        LimitError: the board has too little memory, whatever the firmware itself needs.
        InfrastructureError: a file of the firmware is missing from this installation.
    """
    benchmark_of(delivery.program, name)
    _require_memory(delivery.program, board, name)
    more = {"board": board, "model": name, "benchmark": BENCHMARKS[name]}
    sources = delivery.program.files
    return {
        **{f"src/{name}": content for name, content in sources.items()},
        "src/networks.ld": write_list([delivery.name])["networks.ld"],
        **{f"src/{name}": read_firmware(paths.FIRMWARE / "mlperf" / name) for name in _FIRMWARE},
        **{f"firmware/lib/{name}": content for name, content in kernels_for(sources.values()).items()},
        **firmware_files(board),
        "src/model.h": rendered("model_mlperf.h.j2", delivery, **more),
        "platformio.ini": rendered("platformio_mlperf.ini.j2", delivery, **more),
        "README.md": rendered("README.mlperf.md.j2", delivery, **more),
        "LICENSE": licence(),
        ".gitignore": b".pio/\n",
    }
