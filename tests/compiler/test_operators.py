"""Every operator over random shapes, options and scales: its output is TensorFlow Lite Micro's, byte for byte.

The few models of a run are the same every time; tests/nightly/check_operators.py draws ever new ones.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from cases import AVR, CORTEX_M0, CORTEX_M4, CORTEX_M7, CORTEX_M55, HOST, RISCV, Case, Machine, make_cases, run_cases
from random_models import MODELS, NETWORK, draw_models
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import SUPPORTED, TARGETS
from tinynas.compiler.target import Target

# So many models of all operators together, and so many networks, every day and every night.
ON_HOST, ON_BOARD, NETWORKS = (500, 1000), (50, 100), (20, 100)


def test_the_list_of_operators_cannot_grow_without_random_models() -> None:
    assert sorted(MODELS) == list(SUPPORTED)


@pytest.mark.parametrize("name", [NETWORK, *MODELS])
def test_the_outputs_are_the_references(
    check_equal: Callable[..., None], breadth: Callable[[int, int], int], name: str
) -> None:
    count = breadth(*NETWORKS) if name == NETWORK else breadth(*ON_HOST) // len(MODELS) + 1
    check_equal(draw_models(name, count), name)


def every_operator(count: int, target: Target) -> list[Case]:
    cases: list[Case] = []
    for name in [NETWORK, *MODELS]:
        models = draw_models(name, count // len(MODELS) + 1, start=1)
        cases += make_cases(models, name, targets=[target], first=len(cases))
    return cases


CPUS: dict[str, tuple[Machine, Target]] = {
    "Cortex-M4": (CORTEX_M4, "cortex-m4"),
    "Cortex-M4, -O0": (CORTEX_M4.at("-O0"), "cortex-m4"),
    "Cortex-M4, -Os": (CORTEX_M4.at("-Os"), "cortex-m4"),
    "Cortex-M4, -O3": (CORTEX_M4.at("-O3"), "cortex-m4"),
    "Cortex-M7": (CORTEX_M7, "cortex-m4"),
    "Cortex-M55": (CORTEX_M55, "cortex-m55"),
    "Cortex-M55, -O0": (CORTEX_M55.at("-O0"), "cortex-m55"),
    "Cortex-M0": (CORTEX_M0, "cortex-m0"),
    "RISC-V": (RISCV, "portable"),
    "RISC-V, twins": (RISCV, "cortex-m4"),
    "AVR": (AVR, "portable"),
}


@pytest.mark.parametrize("cpu", CPUS)
def test_a_cpu_gives_the_references_outputs(tmp_path: Path, breadth: Callable[[int, int], int], cpu: str) -> None:
    (machine, target), count = CPUS[cpu], breadth(*ON_BOARD)
    if machine.missing():
        pytest.skip(f"{machine.missing()} is not on PATH")
    cases = [case for case in every_operator(count, target) if machine.holds(case)]
    assert len(cases) > count // 2
    assert run_cases(machine, cases, tmp_path) == []


@pytest.mark.parametrize("level", ["-O1", "-O2", "-O3", "-Os"])
def test_a_layer_that_copies_within_the_arena_is_executed(tmp_path: Path, level: str) -> None:
    """GCC 12 for ARM takes such a layer for one without effect: see TN_LAYER in firmware/lib/tn_compiler.h."""
    if CORTEX_M4.missing():
        pytest.skip(f"{CORTEX_M4.missing()} is not on PATH")
    tensors = [Tensor([1, 8, 4]), Tensor([1, 8, 4]), Tensor([1, 8, 8])]
    operations = [
        Operation("RELU", [0], [1]),
        Operation("CONCATENATION", [1, 1], [2], "Concatenation", {"axis": 2}),
    ]
    cases = make_cases([write_model(tensors, operations)], "CONCATENATION")
    assert run_cases(CORTEX_M4.at(level), cases, tmp_path) == []


@pytest.mark.parametrize("machine", [HOST, CORTEX_M4, RISCV, AVR])
def test_a_wrong_byte_is_found_and_named(tmp_path: Path, machine: Machine) -> None:
    if machine.missing():
        pytest.skip(f"{machine.missing()} is not on PATH")
    cases = make_cases(draw_models("MEAN", 3), "MEAN")
    cases[1].expected[2, -1] ^= 1
    complaints = run_cases(machine, cases, tmp_path)
    assert [each.partition(":")[0] for each in complaints] == ["MEAN for portable, case 1, input 2"]


def test_what_sanitizers_find_is_reported(tmp_path: Path) -> None:
    case = make_cases(draw_models("RELU", 1), "RELU", targets=TARGETS)[0]
    source = case.program.files["n0.c"]
    assert b".count = 256," in source
    case.program.files["n0.c"] = source.replace(b".count = 256,", b".count = 2570,")
    complaints = run_cases(HOST, [case], tmp_path)
    assert "insufficient space" in complaints[0]
    assert "tn_n0_layer_0" in complaints[0]
