"""The DSP instructions, each for itself, against what tn_dsp.h says in C that they do."""

import re
import subprocess
from pathlib import Path

import pytest
from cases import CORTEX_M4, KERNELS, MACHINES, WARNINGS

HEADER = (MACHINES / "dsp_functions.h").read_text()
FUNCTIONS = re.findall(r"each\((\w+), \d\)", HEADER)


def compare(folder: Path, include: Path) -> list[str]:
    """A verdict for each of FUNCTIONS; tn_dsp.h comes from `include`."""
    if CORTEX_M4.missing():
        pytest.skip(f"{CORTEX_M4.missing()} is not on PATH")
    sources = [MACHINES / name for name in ("dsp.c", "dsp_twins.c", CORTEX_M4.port)]
    command = [*CORTEX_M4.compiler, *WARNINGS, f"-I{include}", f"-I{KERNELS}", f"-I{MACHINES}", "-o", "dsp.elf"]
    subprocess.run([*command, *sources], cwd=folder, check=True)
    done = subprocess.run([*CORTEX_M4.runner, folder / "dsp.elf"], capture_output=True, text=True, check=True)
    return done.stderr.split()


def test_every_instruction_has_its_twin(tmp_path: Path) -> None:
    assert compare(tmp_path, KERNELS) == ["equal"] * len(FUNCTIONS)


def test_no_function_is_left_out() -> None:
    inline = (KERNELS / "tn_dsp.h").read_text().partition("#else")[0]
    assert set(re.findall(r"TN_FOLDED u?int32_t (\w+)\(", inline)) == set(FUNCTIONS)


def test_a_twin_that_differs_is_found(tmp_path: Path) -> None:
    header = (KERNELS / "tn_dsp.h").read_text()
    (tmp_path / "tn_dsp.h").write_text(header.replace("value > 127 ? 127", "value > 126 ? 126"))
    assert compare(tmp_path, tmp_path) == ["equal"] * (len(FUNCTIONS) - 1) + ["wrong"]
