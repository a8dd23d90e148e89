"""The generated C of every operator, for every target: what compilers say about it, and what it asks of a linker."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cases import KERNELS, WARNINGS
from random_models import MODELS, TALL_NETWORK, draw_models

from tinynas.compiler import TARGETS, Patches, compile_network

ARM = ("arm-none-eabi-gcc", "-mthumb")
# <string.h> for compilers that come without one: newlib's, as Debian installs it.
NEWLIB = ("-isystem", "/usr/include/newlib")
CLANG = ("clang", "--target=arm-none-eabi", "-mthumb", "-ffreestanding", *NEWLIB)
RISCV = ("riscv64-unknown-elf-gcc", "-ffreestanding", *NEWLIB)
COMPILERS = {
    "gcc": ("cc",),
    "gcc-cortex-m0": (*ARM, "-mcpu=cortex-m0"),
    "gcc-cortex-m3": (*ARM, "-mcpu=cortex-m3"),
    "gcc-cortex-m4": (*ARM, "-mcpu=cortex-m4"),
    "gcc-cortex-m7": (*ARM, "-mcpu=cortex-m7"),
    "gcc-cortex-m33": (*ARM, "-mcpu=cortex-m33"),
    "gcc-cortex-m55": (*ARM, "-mcpu=cortex-m55", "-mfloat-abi=hard", "-fno-tree-vectorize"),
    "gcc-rv32": (*RISCV, "-march=rv32imac", "-mabi=ilp32"),
    "gcc-rv64": (*RISCV, "-march=rv64imac", "-mabi=lp64"),
    "gcc-avr": ("avr-gcc", "-mmcu=atmega2560"),
    "clang": ("clang",),
    "clang-cortex-m0": (*CLANG, "-mcpu=cortex-m0"),
    "clang-cortex-m4": (*CLANG, "-mcpu=cortex-m4"),
    "clang-cortex-m55": (*CLANG, "-mcpu=cortex-m55"),
}
# The last ones are the ARM run-time ABI's names, which Clang uses for a struct's initial values.
COPIES = {"memcpy", "memset", "__aeabi_memcpy4", "__aeabi_memcpy8"}
# Arithmetic that a CPU lacks, from the compiler's own library: libgcc, or the ARM run-time ABI's names for it.
ROUTINES = re.compile(
    r"__aeabi_(u?idiv(mod)?|u?ldivmod|lmul|lls[lr]|lasr|u?lcmp)"
    r"|__(add|sub|mul|u?mulsi|u?div|u?mod|u?divmod|ashl|ashr|lshr|u?cmp)[hsd]i[234](_s8)?"
    r"|__(u|us)?mul[ous]?hisi3|__do_(copy_data|clear_bss)"
    r"|__aeabi_(f(add|sub|mul|div|cmp(eq|lt|le|ge|gt|un))|i2f|f2iz)"
    r"|__((add|sub|mul|div)sf3|(eq|ne|lt|le|ge|gt|cmp|unord)sf2|fixsfsi|floatsisf)"
)


def write_every_operator(folder: Path, count: int) -> None:
    """One translation unit of networks: `count` models of each operator, and as many networks in patches, for each
    target.
    """
    for operator in (*MODELS, TALL_NETWORK):
        for number, model in enumerate(draw_models(operator, count, start=5)):
            (folder / f"{operator.lower()}_{number}.tflite").write_bytes(model)
    includes = compile_all(folder, folder)
    (folder / "all.c").write_text("".join(f'#include "{name}.c"\n' for name in includes))


def compile_all(models: Path, folder: Path) -> list[str]:
    """Compile the models of one folder for each target into another; the programs' names."""
    names = []
    for model in sorted(models.glob("*.tflite")):
        for target in TARGETS:
            name = f"{model.stem}_{target.replace('-', '_')}"
            patches: Patches = "auto" if name.startswith(TALL_NETWORK.lower()) else "off"
            program = compile_network(model.read_bytes(), name=name, constants="arrays", target=target, patches=patches)
            for file, content in program.files.items():
                (folder / file).write_bytes(content)
            names.append(name)
    return names


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, breadth: Callable[[int, int], int]) -> Path:
    folder = tmp_path_factory.mktemp("every_operator")
    write_every_operator(folder, breadth(1, 2))
    return folder


def build(sources: Path, name: str, level: str) -> Path:
    """The object file; a warning fails the test."""
    compiler = COMPILERS[name]
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"{compiler[0]} is not on PATH")
    built = sources / f"{name}{level}.o"
    command = [*compiler, level, *WARNINGS, f"-I{KERNELS}", "-I.", "-c", "all.c", "-o", built]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[:4000]
    return built


@pytest.mark.parametrize("name", COMPILERS)
def test_no_compiler_warns_and_nothing_but_memcpy_and_memset_is_called(sources: Path, name: str) -> None:
    built = build(sources, name, "-O2")
    # Every nm reads the symbols of every ELF file.
    listed = subprocess.run(["nm", built], capture_output=True, text=True, check=True).stdout
    assert " T tn_add_0_portable_invoke\n" in listed
    missing = {line.split()[-1] for line in listed.splitlines() if line.split()[0] == "U"}
    assert [each for each in missing - COPIES if not ROUTINES.fullmatch(each)] == []


@pytest.mark.parametrize("level", ["-O0", "-O3", "-Os"])
@pytest.mark.parametrize("name", ["gcc", "gcc-cortex-m4", "gcc-avr", "clang", "clang-cortex-m4"])
def test_no_compiler_warns_at_any_level(sources: Path, name: str, level: str) -> None:
    build(sources, name, level)


def test_a_warning_fails(sources: Path) -> None:
    folder = sources / "warned"
    folder.mkdir()
    (folder / "all.c").write_text("#include <stdint.h>\nint8_t narrow(int32_t wide) { return wide; }\n")
    with pytest.raises(AssertionError, match="conversion"):
        build(folder, "gcc", "-O2")


def test_each_process_writes_the_same_bytes(sources: Path, tmp_path: Path) -> None:
    """Whatever the order of its sets and dictionaries: Python hashes differently in each process."""
    code = "import sys, pathlib, test_compilers as t; t.compile_all(*map(pathlib.Path, sys.argv[1:]))"
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        environment = os.environ | {"PYTHONHASHSEED": number, "PYTHONPATH": paths}
        subprocess.run([sys.executable, "-c", code, sources, tmp_path / number], env=environment, check=True)
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*_*.[ch]")}
        for folder in (sources, tmp_path / "1", tmp_path / "2")
    ]
    assert len(digests[0]) > len(MODELS)
    assert digests[0] == digests[1] == digests[2]
