"""The five reference networks of MLPerf Tiny: the compiler's output is the reference's, byte for byte."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CORTEX_M55, Case, run_cases

from tinynas.compiler import compile_network

MODELS = Path(__file__).parents[3] / "shared" / "models"
NAMES = ("ad", "ic", "kws", "sww", "vww")

pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="the reference networks are not beside the checkout")


def test_the_recorded_outputs_are_reproduced(build: Callable[..., Any]) -> None:
    programs = {name: compile_network((MODELS / f"{name}.tflite").read_bytes(), name=name) for name in NAMES}
    library = build(programs, flags=["-O2"])
    for name in NAMES:
        sample = np.fromfile(MODELS / f"{name}.in.bin", np.int8)
        expected = np.fromfile(MODELS / f"{name}.out.bin", np.int8)
        assert library.run(name, sample[None])[0].tolist() == expected.tolist(), name


def test_random_inputs_give_the_references_outputs(check_equal: Callable[..., None]) -> None:
    check_equal([(MODELS / f"{name}.tflite").read_bytes() for name in NAMES], samples=6)


@pytest.mark.parametrize("name", NAMES)
def test_vectors_reproduce_the_recorded_outputs(tmp_path: Path, name: str) -> None:
    if CORTEX_M55.missing():
        pytest.skip(f"{CORTEX_M55.missing()} is not on PATH")
    model = (MODELS / f"{name}.tflite").read_bytes()
    sample, expected = (np.fromfile(MODELS / f"{name}.{end}.bin", np.int8)[None] for end in ("in", "out"))
    program = compile_network(model, constants="arrays", target="cortex-m55")
    case = Case(title=name, model=model, program=program, inputs=sample, expected=expected)
    assert run_cases(CORTEX_M55, [case], tmp_path) == []


@pytest.mark.parametrize(
    ("name", "arena_bytes", "constants_bytes"),
    [
        ("ad", 768, 270_960),
        ("ic", 49_440, 80_756),
        ("kws", 16_000, 27_640),
        ("sww", 6_656, 53_968),
        ("vww", 55_296, 233_776),
    ],
)
def test_memory_is_what_it_was(name: str, arena_bytes: int, constants_bytes: int) -> None:
    program = compile_network((MODELS / f"{name}.tflite").read_bytes())
    assert program.arena_bytes <= arena_bytes
    assert program.constants_bytes <= constants_bytes


def test_the_same_bytes_give_the_same_files() -> None:
    tflite = (MODELS / "kws.tflite").read_bytes()
    assert compile_network(tflite) == compile_network(tflite)
