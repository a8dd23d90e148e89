"""The reference's verdict on a model, and the generated C as a function."""

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from tflite_micro.python.tflite_micro import runtime

from tinynas.compiler import Program, compile_network
from tinynas.paths import FIRMWARE

# Test modules are no package; this lets them share tflite_writer.py.
sys.path.insert(0, str(Path(__file__).parent))

WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]


def reference_outputs(tflite: bytes, inputs: np.ndarray) -> np.ndarray:
    """What TensorFlow Lite Micro gives for int8 inputs (count, bytes): (count, bytes)."""
    interpreter = runtime.Interpreter.from_bytes(tflite, arena_size=1 << 21)
    shape = interpreter.get_input_details(0)["shape"]
    results = []
    for each in inputs:
        interpreter.set_input(each.reshape(shape), 0)
        interpreter.invoke()
        results.append(np.array(interpreter.get_output(0)).reshape(-1))
    return np.array(results, np.int8)


class Library:
    """Compiled networks as a shared object."""

    def __init__(self, path: Path, programs: dict[str, Program]) -> None:
        self._library = ctypes.CDLL(str(path))
        self._programs = programs

    def run(self, name: str, inputs: np.ndarray) -> np.ndarray:
        """int8 inputs (count, bytes) -> int8 outputs (count, bytes)."""
        source, output = self._function(name, "input"), self._function(name, "output")
        size = self._programs[name].outputs[0].bytes
        results = []
        for each in inputs:
            ctypes.memmove(source(), each.astype(np.int8).tobytes(), each.size)
            self._function(name, "invoke")()
            results.append(np.frombuffer(ctypes.string_at(output(), size), np.int8))
        return np.array(results)

    def _function(self, name: str, verb: str) -> Callable[[], int]:
        function = getattr(self._library, f"tn_{name}_{verb}")
        function.restype = ctypes.c_void_p
        return function


@pytest.fixture(scope="session")
def cc() -> str:
    found = shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler `cc` on PATH")
    return found


@pytest.fixture(scope="session")
def build(cc: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Library]:
    """Compile programs, by name, into one shared object that traps on undefined behaviour."""

    def build_programs(programs: dict[str, Program], flags: Sequence[str] = ("-O1",)) -> Library:
        folder = tmp_path_factory.mktemp("network")
        for program in programs.values():
            for name, content in program.files.items():
                (folder / name).write_bytes(content)
        # One translation unit: the kernels are parsed once for all networks.
        (folder / "all.c").write_text("".join(f'#include "{name}.c"\n' for name in programs))
        sources = ["all.c", *sorted(path.name for path in folder.glob("*.S"))]
        trap = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
        command = [cc, "-shared", "-fPIC", *WARNINGS, *trap, *flags, f"-I{FIRMWARE / 'lib'}", "-I.", "-o", "all.so"]
        subprocess.run([*command, *sources], cwd=folder, check=True)
        return Library(folder / "all.so", programs)

    return build_programs


@pytest.fixture(scope="session")
def check_equal(build: Callable[..., Library]) -> Callable[..., None]:
    """Assert that models, compiled, give the reference's bytes for random inputs and for the extremes."""

    def check(models: Sequence[bytes], samples: int = 4) -> None:
        programs = {f"n{i}": compile_network(model, name=f"n{i}", constants="arrays") for i, model in enumerate(models)}
        library = build(programs)
        for (name, program), model in zip(programs.items(), models, strict=True):
            size = program.inputs[0].bytes
            inputs = np.random.default_rng(size).integers(-128, 128, (samples + 2, size)).astype(np.int8)
            inputs[0], inputs[1] = -128, 127
            expected, found = reference_outputs(model, inputs), library.run(name, inputs)
            wrong = np.flatnonzero((expected != found).any(axis=1))
            assert wrong.size == 0, f"{program.layers}: {expected[wrong[0]]} is right, not {found[wrong[0]]}"

    return check
