"""The first layers in patches of rows: the same bytes as ever, in less memory."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import CORTEX_M0, CORTEX_M4, CORTEX_M55, HOST, RISCV, Machine, make_cases, run_cases
from random_models import TALL_NETWORK, draw_models
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import TARGETS, Patches, Program, Target, compile_network
from tinynas.compiler.emit import emit
from tinynas.compiler.graph import read_graph
from tinynas.compiler.memory import plan_memory
from tinynas.compiler.ops import lower
from tinynas.compiler.passes import fold_padding
from tinynas.compiler.patches import find_drafts
from tinynas.errors import ConfigError

MODELS = Path(__file__).parents[3] / "shared" / "models"
CPUS: dict[str, tuple[Machine, Target]] = {
    "Cortex-M4": (CORTEX_M4, "cortex-m4"),
    "Cortex-M55": (CORTEX_M55, "cortex-m55"),
    "Cortex-M0": (CORTEX_M0, "cortex-m0"),
    "RISC-V": (RISCV, "portable"),
}

needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason="the reference networks are not beside the checkout")


def blocks(
    *, channels: Sequence[int] = (8, 16, 16), strides: Sequence[int] = (1, 1, 2), size: int = 3, real: bool = False
) -> bytes:
    """Convolutions of size x size, one after the other, over an image of 24x24x3; real: which are float32 values."""
    rng = np.random.default_rng(3)
    tensors, operations = [Tensor([1, 24, 24, 3], 0.05, -7)], []
    if real:
        tensors.insert(0, Tensor([1, 24, 24, 3], None, dtype="float32"))
        operations.append(Operation("QUANTIZE", [0], [1]))
    for count, stride in zip(channels, strides, strict=True):
        source = len(tensors) - 1
        shape = [count, size, size, tensors[source].shape[3]]
        extent = -(-tensors[source].shape[1] // stride)
        tensors.append(Tensor(shape, 0.01, data=rng.integers(-127, 128, shape)))
        tensors.append(Tensor([1, extent, extent, count], 0.2, -128))
        options = {"padding": 0, "strideH": stride, "strideW": stride, "fusedActivationFunction": 1}
        operations.append(Operation("CONV_2D", [source, source + 1], [source + 2], "Conv2D", options))
    return write_model(tensors, operations)


def in_patches(model: bytes, patches: Patches = "auto", target: Target = "cortex-m4") -> Program:
    return compile_network(model, target=target, patches=patches, keep_constant_channels=True)


@pytest.mark.parametrize("patches", ["auto", 4])
def test_random_networks_give_the_references_outputs(
    breadth: Callable[[int, int], int], patches: Patches, tmp_path: Path
) -> None:
    models = draw_models(TALL_NETWORK, breadth(8, 40), start=7)
    cases = make_cases(models, f"patches {patches}", targets=TARGETS, patches=patches)
    assert sum(case.program.patched is not None for case in cases) > len(cases) / 5
    assert run_cases(HOST, cases, tmp_path) == []


@pytest.mark.parametrize("cpu", CPUS)
def test_random_networks_give_the_references_outputs_on_a_board(
    breadth: Callable[[int, int], int], cpu: str, tmp_path: Path
) -> None:
    machine, target = CPUS[cpu]
    if machine.missing():
        pytest.skip(f"{machine.missing()} is not on PATH")
    models = draw_models(TALL_NETWORK, breadth(20, 40), start=8)
    drawn = make_cases(models, "patches", targets=[target], patches="auto")
    cases = [case for case in drawn if machine.holds(case) and case.program.patched is not None]
    assert len(cases) > len(models) / 3
    assert run_cases(machine, cases, tmp_path) == []


def test_every_stage_gives_the_references_outputs(breadth: Callable[[int, int], int], tmp_path: Path) -> None:
    """A fourth of all there are: those, too, that no network begins with, because others take less memory."""
    cases, count = [], breadth(2, 4)
    for model in draw_models(TALL_NETWORK, count, start=11):
        (whole,) = make_cases([model], "whole")
        graph = fold_padding(read_graph(model))
        for target in ("cortex-m4", "portable"):
            steps = [lower(operator, target) for operator in graph.operators]
            for draft in list(find_drafts(graph))[::4]:
                lowered = draft.lower(steps, target)
                if lowered is None:
                    continue
                plan = plan_memory(graph, lowered, draft.stage)
                assert plan.arena_bytes >= max(plan.lower_bound_bytes, draft.least_bytes)
                name, title = f"n{len(cases)}", f"{draft.stage} for {target}"
                program = emit(graph, lowered, plan, name=name, constants="arrays", stage=draft.stage)
                cases.append(replace(whole, title=title, program=program))
    assert len(cases) > 7.5 * count
    assert run_cases(HOST, cases, tmp_path) == []


@needs_models
def test_the_reference_networks_give_the_references_outputs(tmp_path: Path) -> None:
    models = [(MODELS / f"{name}.tflite").read_bytes() for name in ("ic", "kws", "sww", "vww")]
    assert run_cases(HOST, make_cases(models, "patches", targets=TARGETS, patches="auto"), tmp_path) == []


def test_float32_inputs_are_quantized_in_patches(check_equal: Callable[..., None]) -> None:
    model = blocks(real=True)
    found = in_patches(model)
    assert found.patched is not None
    assert found.layers[0].op == "QUANTIZE"
    assert "patches" in found.layers[0].comment
    check_equal([model], patches="auto")


@pytest.mark.parametrize("given", [{"optimize": "size"}, {"fast_bytes": 2048}])
def test_patches_go_with_other_choices(given: dict[str, Any], tmp_path: Path) -> None:
    """Where code is to be small, portable layers of one form share a kernel."""
    model = blocks(channels=(8, 16, 16, 16, 16, 8), strides=(1, 1, 1, 1, 2, 2))
    (case,) = make_cases([model], "patches")
    cases = []
    for target in ("cortex-m4", "portable"):
        name = f"n{len(cases)}"
        chosen = compile_network(model, name=name, constants="arrays", target=target, patches="auto", **given)
        assert chosen.patched is not None
        assert chosen.patched.layers == 5
        cases.append(replace(case, program=chosen))
    assert run_cases(HOST, cases, tmp_path) == []


def test_the_arena_never_becomes_larger() -> None:
    gained = 0
    for model in draw_models(TALL_NETWORK, 60, start=9):
        for target in TARGETS:
            whole, patched = in_patches(model, "off", target), in_patches(model, "auto", target)
            assert patched.arena_bytes <= whole.arena_bytes
            if patched.patched is None:
                assert patched == whole
            else:
                assert patched.arena_bytes < patched.patched.arena_bytes_without == whole.arena_bytes
                gained += 1
    assert gained


def test_what_no_memory_can_be_saved_by_stays_whole() -> None:
    """The last layer sets the peak."""
    model = blocks(channels=(4, 4, 64), strides=(2, 1, 1))
    assert in_patches(model) == in_patches(model, "off")


def test_nothing_is_computed_twice() -> None:
    found = in_patches(blocks()).patched
    assert found is not None
    assert (found.layers, found.recomputed_macs) == (3, 0)
    assert found.moved_bytes > 0


def test_a_number_limits_the_patches() -> None:
    many, few = in_patches(blocks()), in_patches(blocks(), 3)
    assert many.patched is not None
    assert few.patched is not None
    assert few.patched.patches <= 3 < many.patched.patches
    assert many.arena_bytes < few.arena_bytes < in_patches(blocks(), "off").arena_bytes


def test_a_hostile_network_is_not_tried_without_end() -> None:
    tensors = [Tensor([1, 1 << 13, 1, 4]) for _ in range(301)]
    model = write_model(tensors, [Operation("RELU", [number], [number + 1]) for number in range(300)])
    drafts = list(find_drafts(read_graph(model)))
    assert max(draft.stage.depth for draft in drafts) < 100
    assert max(draft.stage.patches for draft in drafts) < 1000
    compile_network(model, patches="auto")


@pytest.mark.parametrize("patches", ["on", 1, 0, -3, 2.5])
def test_what_is_no_number_of_patches_is_refused(patches: Patches) -> None:
    with pytest.raises(ConfigError, match="is no number of patches: give off, auto"):
        in_patches(blocks(), patches)


def test_the_header_says_what_runs_in_patches_and_what_it_saves() -> None:
    program = in_patches(blocks())
    found = program.patched
    assert found is not None
    header = program.files["network.h"].decode()
    assert f"{found.layers} layers run in {found.patches} patches of rows: {found.arena_bytes_without:,} B" in header
    assert "0 multiply-accumulates computed again" in header
    assert all(f"in {found.patches} patches" in layer.comment for layer in program.layers[: found.layers])


def test_layers_in_patches_take_turns() -> None:
    program = in_patches(blocks(), 3)
    assert program.patched is not None
    assert program.turns == (0, 1, 2, 0, 1, 2, 0, 1, 2)
    assert in_patches(blocks(), "off").turns == (0, 1, 2)


@needs_models
@pytest.mark.parametrize(("name", "arena_bytes"), [("ic", 22_896), ("vww", 34_048)])
def test_memory_is_what_it_was(name: str, arena_bytes: int) -> None:
    assert in_patches((MODELS / f"{name}.tflite").read_bytes()).arena_bytes <= arena_bytes
