"""The reference's verdict on a model, and the generated C as a function."""

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tinynas.compiler import TARGETS, Patches, Program
from tinynas.paths import FIRMWARE

# Test modules are no package; this lets them share what is beside them.
sys.path.insert(0, str(Path(__file__).parent))
from cases import HOST, Machine, make_cases, run_cases

WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]


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
def check_equal(cc: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Assert that models, compiled for every target, give the reference's bytes for random and for extreme inputs."""

    def check(
        models: Sequence[bytes],
        title: str = "model",
        samples: int = 4,
        machine: Machine = HOST,
        patches: Patches = "off",
    ) -> None:
        cases = make_cases(models, title, targets=TARGETS, samples=samples, patches=patches)
        assert run_cases(machine, cases, tmp_path_factory.mktemp("cases")) == []

    return check
