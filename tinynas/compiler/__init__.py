"""`.tflite` bytes -> C. Pure and deterministic: the same bytes give the same files.

graph.py reads and checks the model, passes/ make it smaller, ops/ lowers each operator to calls of the kernels in
firmware/lib, memory.py plans the arena, emit.py writes the sources.
"""

import functools
import re
from collections.abc import Sequence
from typing import Literal

from tinynas import paths
from tinynas.compiler.emit import emit
from tinynas.compiler.ends import numbered, write_ends
from tinynas.compiler.graph import Graph, check_types, read_graph
from tinynas.compiler.memory import plan_memory
from tinynas.compiler.ops import SUPPORTED, TYPES, lower
from tinynas.compiler.options import DEFAULTS, Options, Patches
from tinynas.compiler.passes import (
    drop_constant_channels,
    fold_activations,
    fold_additions,
    fold_padding,
    fold_static_shapes,
)
from tinynas.compiler.patches import Planned, in_patches
from tinynas.compiler.placement import place_fast
from tinynas.compiler.program import ArenaBlock, LayerInfo, PatchInfo, Program, TensorInfo
from tinynas.compiler.step import Stage, Step
from tinynas.compiler.target import OPTIMIZATIONS, TARGETS, Optimize, Target
from tinynas.compiler.together import write_image, write_list
from tinynas.errors import ConfigError, UnsupportedError

__all__ = [
    "DEFAULTS",
    "OPTIMIZATIONS",
    "SUPPORTED",
    "TARGETS",
    "ArenaBlock",
    "LayerInfo",
    "Optimize",
    "Options",
    "PatchInfo",
    "Patches",
    "Program",
    "Target",
    "TensorInfo",
    "compile_network",
    "numbered",
    "write_ends",
    "write_image",
    "write_list",
]

# Beyond the largest microcontrollers; operators that share one large constant would otherwise write it again and again.
_MOST_CONSTANTS_BYTES = 64 << 20


def compile_network(
    tflite: bytes,
    *,
    name: str = "network",
    constants: Literal["incbin", "arrays"] = "incbin",
    target: Target = "portable",
    keep_constant_channels: bool = False,
    patches: Patches = "off",
    optimize: Optimize = "speed",
    fast_bytes: int = 0,
) -> Program:
    """Compile an int8 model to C11, equal to TensorFlow Lite Micro's reference kernels byte for byte.

    name: prefix of files and symbols (`tn_<name>_invoke`), a C identifier in lower case. constants: "incbin" puts them
    into <name>_constants.bin, which <name>_constants.S takes in without anything reading it as text; "arrays" writes C
    arrays, for builds without an assembler. target: the kind of CPU that the code is to be fast on.
    keep_constant_channels: compute channels, too, that are the same for every input or that nothing reads; the outputs
    are the same, and so is then the cost of networks that differ in their weights alone. patches: "auto" runs the first
    layers in turn on a few rows at a time where that makes the arena smaller, a number of 2 or more does so in so many
    patches at most; it costs some time, and flash for the layers' parameters. optimize: "size" has layers share
    code, and suits builds that ask the C compiler for small code as well. fast_bytes: so much of the
    constants at most goes to section .tn_fast, which tinynas's firmware copies to memory that never makes the CPU wait.

    Raises:
        MalformedModelError: the bytes are no valid model.
        UnsupportedError: a valid model with an operator, type or form that the compiler lacks.
        ConfigError: `name` is no C identifier or a kernel's, or `patches` no such number, or `optimize` unknown.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
        raise ConfigError(f"{name!r} cannot name a network: use lower-case letters, digits and _, 41 at most")
    if (paths.FIRMWARE / "lib" / f"tn_{name}.h").exists():
        raise ConfigError(f"{name!r} cannot name a network: tn_{name} is a kernel, whose names would be the network's")
    if patches not in ("off", "auto") and not (isinstance(patches, int) and patches >= 2):
        raise ConfigError(f"{patches!r} is no number of patches: give off, auto, or the most there may be, 2 at least")
    if optimize not in OPTIMIZATIONS:
        raise ConfigError(f"networks are not optimised for {optimize!r}: {' or '.join(OPTIMIZATIONS)} is known")
    graph = fold_static_shapes(read_graph(tflite))
    check_types(graph, TYPES)
    graph = fold_activations(graph)
    if not keep_constant_channels:
        graph = drop_constant_channels(graph)
    graph = fold_padding(graph)
    steps: list[Step] = []
    size = 0
    for operator in graph.operators:
        steps.append(lower(operator, target))
        size += steps[-1].constants_bytes
        if size > _MOST_CONSTANTS_BYTES:
            raise UnsupportedError(f"{operator.label}: more than {_MOST_CONSTANTS_BYTES:,} B of constants")
    whole = planned = _plan(graph, steps)
    if patches != "off":
        most = None if patches == "auto" else patches
        planner = functools.partial(_plan, graph)
        planned = in_patches(graph, steps, target, planner, whole=whole, most=most)
    return emit(
        graph,
        place_fast(planned.steps, fast_bytes),
        planned.plan,
        name=name,
        constants=constants,
        stage=planned.stage,
        arena_bytes_without=whole.plan.arena_bytes,
        optimize=optimize,
    )


def _plan(graph: Graph, steps: Sequence[Step], stage: Stage | None = None) -> Planned:
    """The steps as they are, or with additions done by convolutions where that makes the arena smaller.

    That costs code, and a call for every few pixels.
    """
    plan, added = plan_memory(graph, steps, stage), fold_additions(graph, steps)
    if len(added) < len(steps):
        other = plan_memory(graph, added, stage)
        if other.arena_bytes < plan.arena_bytes:
            return Planned(steps=added, plan=other, stage=stage)
    return Planned(steps=steps, plan=plan, stage=stage)
