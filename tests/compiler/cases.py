"""Compiled networks with inputs and the reference's outputs, as one program for the host or for an emulated CPU."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from tflite_micro.python.tflite_micro import runtime

from tinynas.boards import load_board
from tinynas.compiler import Optimize, Patches, Program, Target, compile_network
from tinynas.paths import FIRMWARE

KERNELS = FIRMWARE / "lib"
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror")
MACHINES = Path(__file__).with_name("machines")
_SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g1")
_NO_LIBRARY = (
    "-ffreestanding",
    "-isystem",
    "/usr/include/newlib",
    "-nostdlib",
    "-Wl,--no-warn-rwx-segments",
    f"-T{MACHINES / 'riscv.ld'}",
)
_QUIET = ("-nographic", "-monitor", "none")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where cases run.

    compiler: command and flags; libraries: behind the sources; port: the C file beside cases.c; runner: starts the
    program; ram_bytes and most_cases: what one program may hold, arena and constants counted as RAM.
    """

    compiler: tuple[str, ...]
    port: str
    libraries: tuple[str, ...] = ()
    runner: tuple[str, ...] = ()
    ram_bytes: int = 1 << 30
    most_cases: int = 1 << 30

    def holds(self, case: "Case") -> bool:
        return case.ram_bytes <= self.ram_bytes

    def at(self, level: str) -> Self:
        """The same machine under another level of optimisation."""
        return replace(self, compiler=tuple(level if flag == "-O2" else flag for flag in self.compiler))

    def missing(self) -> str | None:
        """The tool that is not on PATH, if one is not."""
        tools = (self.compiler[0], *self.runner[:1])
        return next((tool for tool in tools if shutil.which(tool) is None), None)


def _bare(script: str = "mps2.ld") -> tuple[str, ...]:
    return ("-mthumb", "-nostartfiles", "-static", f"-T{MACHINES / script}")


def _qemu(machine: str) -> tuple[str, ...]:
    return ("qemu-system-arm", "-M", machine, *_QUIET, "-semihosting", "-kernel")


HOST = Machine(compiler=("cc", "-O1", *_SANITIZERS), port="host.c")
CORTEX_M4 = Machine(
    compiler=("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-O2", *_bare()), port="cortex_m.c", runner=_qemu("mps2-an386")
)
CORTEX_M7 = Machine(
    compiler=("arm-none-eabi-gcc", "-mcpu=cortex-m7", "-O2", *_bare()), port="cortex_m.c", runner=_qemu("mps2-an500")
)
CORTEX_M55 = Machine(
    compiler=("arm-none-eabi-gcc", *load_board("mps3_an547").flags, *_bare("mps3.ld")),
    port="cortex_m.c",
    runner=_qemu("mps3-an547"),
    most_cases=60,
)
# The code of a Cortex-M0 on a Cortex-M3, whose instructions are a superset.
CORTEX_M0 = Machine(
    compiler=("arm-none-eabi-gcc", "-mcpu=cortex-m0", "-O2", *_bare()), port="cortex_m.c", runner=_qemu("mps2-an385")
)
# The DSP instructions' portable twins and everything else on a CPU of another kind, with nothing but the kernels.
RISCV = Machine(
    compiler=("riscv64-unknown-elf-gcc", "-march=rv32imac", "-mabi=ilp32", "-O2", *_NO_LIBRARY),
    port="riscv.c",
    libraries=("-lgcc",),
    runner=("qemu-system-riscv32", "-M", "virt", "-bios", "none", *_QUIET, "-semihosting", "-kernel"),
)
# Here `int` has 16 bits. Constants lie in its 16 KB of RAM.
AVR = Machine(
    compiler=("avr-gcc", "-mmcu=atmega1284", "-Os", "-mrelax", "-fno-ivopts", "-DTN_CONSTANTS_IN_FLASH"),
    libraries=("-std=gnu11",),  # the address space is no part of C11
    port="avr.c",
    runner=("simavr", "-m", "atmega1284", "-f", "20000000"),
    ram_bytes=12_000,
    most_cases=20,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A program with inputs and expected outputs, int8, shape (samples, bytes). `title` says what it is in a report."""

    title: str
    model: bytes
    program: Program
    inputs: np.ndarray
    expected: np.ndarray

    @property
    def ram_bytes(self) -> int:
        """What it takes where flash cannot be read as memory: constants and each layer's parameters lie in RAM, and so
        does what inputs and outputs are gathered in.
        """
        gathered = sum(tensor.bytes for tensor in (*self.program.inputs, *self.program.outputs))
        return self.program.arena_bytes + self.program.constants_bytes + gathered + 180 * len(self.program.layers)


def reference_outputs(tflite: bytes, inputs: np.ndarray) -> np.ndarray:
    """What TensorFlow Lite Micro gives for inputs (count, bytes): (count, bytes), several back to back."""
    program = compile_network(tflite)
    interpreter = runtime.Interpreter.from_bytes(tflite, arena_size=1 << 21)
    ends = np.cumsum([tensor.bytes for tensor in program.inputs])[:-1]
    results = []
    for each in inputs:
        for number, part in enumerate(np.split(each, ends)):
            values = part.view(program.inputs[number].dtype)
            interpreter.set_input(values.reshape(interpreter.get_input_details(number)["shape"]), number)
        interpreter.invoke()
        outputs = [np.array(interpreter.get_output(number)).reshape(-1) for number in range(len(program.outputs))]
        results.append(np.concatenate([output.view(np.int8) for output in outputs]))
    return np.array(results, np.int8)


def random_inputs(program: Program, samples: int) -> np.ndarray:
    """int8 (samples + 2, bytes): the least and the greatest values, then random ones; several inputs back to back."""
    rng = np.random.default_rng(sum(tensor.bytes for tensor in program.inputs))
    parts = []
    for tensor in program.inputs:
        count, dtype = tensor.bytes // np.dtype(tensor.dtype).itemsize, np.dtype(tensor.dtype)
        if dtype.kind == "f":
            values = rng.normal(0, 50, (samples + 2, count)).astype(dtype)
            values[0], values[1] = -1000, 1000
        else:
            limits = np.iinfo(dtype)
            values = rng.integers(limits.min, limits.max + 1, (samples + 2, count)).astype(dtype)
            values[0], values[1] = limits.min, limits.max
        parts.append(values.view(np.int8))
    return np.concatenate(parts, axis=1)


def make_cases(
    models: Sequence[bytes],
    title: str,
    *,
    targets: Sequence[Target] = ("portable",),
    samples: int = 4,
    first: int = 0,
    patches: Patches = "off",
    optimize: Optimize = "speed",
) -> list[Case]:
    """One case for each model and target, but one only for targets that share their code. Names count from `first`."""
    cases: list[Case] = []
    for model in models:
        inputs = random_inputs(compile_network(model), samples)
        expected = reference_outputs(model, inputs)
        seen: list[Program] = []
        for target in targets:
            name = f"n{first + len(cases)}"
            given: Any = {"constants": "arrays", "target": target, "patches": patches, "optimize": optimize}
            plain = compile_network(model, **given)
            if plain in seen:
                continue
            seen.append(plain)
            program = compile_network(model, name=name, **given)
            of = f"{title} for {target}"
            cases.append(Case(title=of, model=model, program=program, inputs=inputs, expected=expected))
    return cases


def run_cases(machine: Machine, cases: Sequence[Case], folder: Path, timeout_s: float = 300) -> list[str]:
    """Builds and runs `cases`; what is wrong with each, in words. `folder` is empty and keeps what was built.

    Raises:
        subprocess.CalledProcessError: the code does not compile without a warning.
    """
    complaints: list[str] = []
    for first, group in _groups(machine, cases):
        complaints += _run_group(machine, group, first, folder, timeout_s)
    return complaints


def _groups(machine: Machine, cases: Sequence[Case]) -> Iterator[tuple[int, Sequence[Case]]]:
    """Cases that fit into one program, with the number of the first of them."""
    first, used = 0, 0
    for number, case in enumerate(cases):
        if number > first and (used + case.ram_bytes > machine.ram_bytes or number - first == machine.most_cases):
            yield first, cases[first:number]
            first, used = number, 0
        used += case.ram_bytes
    yield first, cases[first:]


def _run_group(machine: Machine, cases: Sequence[Case], first: int, folder: Path, timeout_s: float) -> list[str]:
    _write(cases, folder)
    sources = ["all.c", "vectors.S", str(MACHINES / "cases.c"), str(MACHINES / machine.port)]
    command = [*machine.compiler, *WARNINGS, f"-I{KERNELS}", f"-I{MACHINES}", "-I.", "-o", "cases.elf", *sources]
    command += machine.libraries
    subprocess.run(command, cwd=folder, check=True)
    runner = [*machine.runner, str(folder / "cases.elf")]
    # QEMU writes what comes through semihosting to its stderr.
    output: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    options = os.environ | {"UBSAN_OPTIONS": "print_stacktrace=1"}
    done = subprocess.run(runner, cwd=folder, env=options, timeout=timeout_s, check=False, **output)
    # simavr writes each line in colours, with a dot at its end.
    complaints = [_explain(cases, first, *each) for each in re.findall(r"wrong (\d+) (\d+)\b", done.stdout)]
    if done.returncode or re.findall(r"done (\d+)\b", done.stdout) != [str(len(cases))]:
        complaints.append(f"exit status {done.returncode}: {done.stdout[-4000:]}")
    return complaints


def _explain(cases: Sequence[Case], first: int, number: str, sample: str) -> str:
    case = cases[int(number)]
    layers = "; ".join(f"{layer.op} {layer.comment}" for layer in case.program.layers)
    return f"{case.title}, case {first + int(number)}, input {sample}: {layers}"


def _as_one_block(program: Program, name: str) -> tuple[str, tuple[str, ...]]:
    """C that gathers several inputs and outputs, or such of other types, and the functions that a case names."""
    if (
        len(program.inputs) == len(program.outputs) == 1
        and program.inputs[0].dtype == program.outputs[0].dtype == "int8"
    ):
        return "", tuple(f"tn_{name}_{what}" for what in ("input", "output", "invoke"))
    texts, copies = [], {}
    for what, tensors in (("input", program.inputs), ("output", program.outputs)):
        size, lines, at = sum(tensor.bytes for tensor in tensors), [], 0
        for number, tensor in enumerate(tensors):
            inside = f"tn_{name}_{what}{f'_{number}' if len(tensors) > 1 else ''}()"
            ends = [inside, f"{name}_{what}s + {at}"]
            lines.append(f"    memcpy({', '.join(ends if what == 'input' else ends[::-1])}, {tensor.bytes});\n")
            at += tensor.bytes
        const = "" if what == "input" else "const "
        texts.append(f"static int8_t {name}_{what}s[{size}];\n")
        texts.append(f"static {const}int8_t *{name}_{what}(void)\n{{\n    return {name}_{what}s;\n}}\n")
        copies[what] = "".join(lines)
    body = f"{copies['input']}    tn_{name}_invoke();\n{copies['output']}"
    texts.append(f"static void {name}_invoke(void)\n{{\n{body}}}\n")
    return "".join(texts), tuple(f"{name}_{what}" for what in ("input", "output", "invoke"))


def _write(cases: Sequence[Case], folder: Path) -> None:
    """The networks, the table of cases and what they are fed, as one translation unit: kernels are parsed once."""
    rows, includes, vectors = [], [], bytearray()
    for case in cases:
        files = case.program.files
        name = next(file.removesuffix(".h") for file in files if file.endswith(".h"))
        for file, content in files.items():
            (folder / file).write_bytes(content)
        includes.append(f'#include "{name}.c"\n')
        sizes = f"{case.inputs.shape[1]}, {case.expected.shape[1]}, {len(case.inputs)}"
        glue, functions = _as_one_block(case.program, name)
        includes.append(glue)
        rows.append(f"    {{{', '.join(functions)}, {sizes}}},\n")
        for source, result in zip(case.inputs, case.expected, strict=True):
            vectors += source.tobytes() + result.tobytes()
    table = ["const struct tn_case tn_cases[] = {\n", *rows, "};\n"]
    count = f"const uint32_t tn_case_count = {len(cases)};\n"
    (folder / "all.c").write_text("".join(['#include "cases.h"\n#include <string.h>\n', *includes, *table, count]))
    (folder / "vectors.bin").write_bytes(vectors)
    (folder / "vectors.S").write_text(
        '#ifdef __AVR__\n.section .progmem.data, "a", @progbits\n#else\n.section .rodata, "a", %progbits\n#endif\n'
        '.global tn_vectors\ntn_vectors:\n.incbin "vectors.bin"\n'
        '#ifdef __linux__\n.section .note.GNU-stack, "", %progbits\n#endif\n'
    )
