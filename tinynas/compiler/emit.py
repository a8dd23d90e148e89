"""Steps and their memory -> C sources: a header that says all a user needs, a source of calls, and the constants."""

import hashlib
import textwrap
from collections.abc import Sequence
from typing import Literal

from tinynas.compiler.calls import WIDTH, Arguments, wrapped, write_call, write_parts
from tinynas.compiler.ends import numbered
from tinynas.compiler.graph import Graph, Tensor
from tinynas.compiler.header import C_TYPES, shape_text, write_header
from tinynas.compiler.memory import Plan
from tinynas.compiler.program import ArenaBlock, CallInfo, LayerInfo, PatchInfo, Program, TensorInfo
from tinynas.compiler.sharing import Shared, share_kernels
from tinynas.compiler.step import CONSTANT_ALIGNMENT, Constant, Stage, Step
from tinynas.compiler.target import Optimize

_SECTIONS = """
#if defined __ELF__ && !defined TN_CONSTANTS_IN_FLASH
#define TN_SECTION(name) __attribute__((section(name)))
#else
#define TN_SECTION(name)
#endif
"""

# Constants that kernels take as such, and never from the arena.
_IN_FLASH = frozenset({"weights", "bias", "multipliers", "shifts", "table"})


def emit(
    graph: Graph,
    steps: Sequence[Step],
    plan: Plan,
    *,
    name: str,
    constants: Literal["incbin", "arrays"],
    stage: Stage | None = None,
    arena_bytes_without: int = 0,
    optimize: Optimize = "speed",
) -> Program:
    """The program for lowered steps and their plan; the steps of `stage` save memory beside `arena_bytes_without`."""
    calls = tuple(_describe_calls(step) for step in steps)
    shared = share_kernels(steps, name) if optimize == "size" else Shared(steps=tuple(steps), functions="")
    steps = shared.steps
    layers = tuple(_describe(step, stage) for step in steps)
    tables = _name_tables(steps, name)
    total = sum(constant.padded_bytes for constant in tables.values())
    kernels = {f"{call.record}.h" for step in steps for call in step.calls} | ({"tn_patch.h"} if stage else set())
    program = Program(
        name=name,
        files={},
        sha256=graph.sha256,
        arena_bytes=plan.arena_bytes,
        arena_lower_bound_bytes=plan.lower_bound_bytes,
        arena=_describe_arena(graph, steps, plan),
        constants_bytes=total,
        inputs=tuple(_tensor_info(tensor) for tensor in graph.inputs),
        outputs=tuple(_tensor_info(tensor) for tensor in graph.outputs),
        layers=layers,
        calls=calls,
        kernels=tuple(sorted(kernels)),
        channels_left_out=graph.channels_left_out,
        patched=None if stage is None else _describe_patches(steps, stage, arena_bytes_without),
        optimize=optimize,
        fast_bytes=sum(constant.padded_bytes for constant in tables.values() if constant.fast),
    )
    symbols = {id(constant): symbol for symbol, constant in tables.items()}
    body = [
        _write_layer(
            step,
            layer,
            Arguments(prefix=f"tn_{name}", symbols=symbols, offsets=plan.offsets, scratch=scratch),
            stage,
        )
        for step, layer, scratch in zip(steps, layers, plan.scratch_offsets, strict=True)
    ]
    program.files[f"{name}.h"] = write_header(program, name).encode()
    program.files[f"{name}.c"] = "\n".join(
        [
            _write_preamble(program, tables, name, constants) + shared.functions,
            *body,
            _write_functions(graph, steps, plan, name, stage),
        ]
    ).encode()
    if constants == "incbin":
        blob, assembly = _write_blob(tables, name)
        program.files[f"{name}_constants.bin"] = blob
        program.files[f"{name}_constants.S"] = assembly.encode()
    return program


def _describe(step: Step, stage: Stage | None) -> LayerInfo:
    operator, held = step.operator, {} if stage is None else stage.bytes
    sources = " and ".join(shape_text(tensor.shape) for tensor in operator.activations)
    result = shape_text(operator.output.shape)
    patches = [f"in {len(step.parts)} patches"] if step.parts else []
    return LayerInfo(
        index=operator.index,
        op=operator.name,
        name=_plain(operator.output.name),
        output_shape=operator.output.shape,
        macs=step.macs,
        constants_bytes=sum(constant.padded_bytes for constant in step.constants),
        output_bytes=held.get(operator.output.index, operator.output.bytes),
        comment="; ".join([f"{sources} -> {result}", step.detail, *operator.remarks, *patches]),
    )


def _describe_calls(step: Step) -> tuple[CallInfo, ...]:
    return tuple(
        CallInfo(
            kernel=call.kernel,
            parameters=call.parameters,
            variants=tuple(argument for argument in call.arguments if isinstance(argument, int)),
        )
        for call in step.calls
    )


def _describe_patches(steps: Sequence[Step], stage: Stage, arena_bytes_without: int) -> PatchInfo:
    staged = steps[: stage.depth]
    again = sum(_recomputed_macs(step) for step in staged)
    return PatchInfo(
        layers=stage.depth,
        patches=stage.patches,
        rows=stage.rows,
        recomputed_macs=again,
        moved_bytes=sum(part.kept_bytes for step in staged for part in step.parts if part.kept_from),
        arena_bytes_without=arena_bytes_without,
    )


def _recomputed_macs(step: Step) -> int:
    """Those of rows beyond what the output has."""
    height = step.operator.output.shape[1]
    return step.macs // height * max(sum(part.rows for part in step.parts) - height, 0)


def _describe_arena(graph: Graph, steps: Sequence[Step], plan: Plan) -> tuple[ArenaBlock, ...]:
    written = [*graph.inputs, *(step.operator.output for step in steps)]
    names = {tensor.index: _plain(tensor.name) for tensor in written}
    blocks = [
        ArenaBlock(
            offset=each.offset,
            bytes=each.size,
            first=each.first,
            last=each.last,
            tensors=tuple(names[tensor] for tensor in each.tensors),
        )
        for each in plan.placed
    ]
    return tuple(sorted(blocks, key=lambda block: (block.offset, block.first)))


def _tensor_info(tensor: Tensor) -> TensorInfo:
    real = tensor.dtype == "FLOAT32"
    return TensorInfo(
        name=_plain(tensor.name),
        shape=tensor.shape,
        dtype=tensor.dtype.lower(),
        scale=1.0 if real else tensor.scale,
        zero_point=0 if real else tensor.zero_point,
        bytes=tensor.bytes,
    )


def _plain(text: str) -> str:
    """A model's name for a comment: whatever could end the comment or the line is replaced."""
    return "".join(each if each.isascii() and (each.isalnum() or each in "_/.:;-") else "_" for each in text)[:100]


def _name_tables(steps: Sequence[Step], name: str) -> dict[str, Constant]:
    return {
        f"tn_{name}_layer_{step.operator.index}_{constant.name}": constant
        for step in steps
        for constant in step.constants
    }


def _write_blob(tables: dict[str, Constant], name: str) -> tuple[bytes, str]:
    """The constants as bytes, little endian, and the assembly that gives each its symbol."""
    blob = bytearray()
    lines = []
    section = ""
    for symbol, constant in tables.items():
        if section != _section(constant):
            section = _section(constant)
            lines += [
                f'    .section {section}, "{"aw" if constant.fast else "a"}", %progbits',
                f"    .balign {CONSTANT_ALIGNMENT}",
            ]
        content = constant.values.astype(constant.values.dtype.newbyteorder("<")).tobytes()
        lines += [
            f"    .global {symbol}",
            f"    .type {symbol}, %object",
            f"    .size {symbol}, {len(content)}",
            f"{symbol}:",
            f'    .incbin "{name}_constants.bin", {len(blob)}, {constant.padded_bytes}',
        ]
        blob += content.ljust(constant.padded_bytes, b"\0")
    digest = hashlib.sha256(blob).hexdigest()
    head = [
        "/* The constants of the network, taken in as they are. Compiled by tinynas: do not edit.",
        f" * SHA-256 of {name}_constants.bin: {digest}",
        " */",
        '    .section .rodata.tn_constants, "a", %progbits',
        "    .balign 16",
    ]
    tail = ["#ifdef __linux__", '    .section .note.GNU-stack, "", %progbits', "#endif", ""]
    return bytes(blob), "\n".join(head + lines + tail)


def _section(constant: Constant) -> str:
    return ".tn_fast" if constant.fast else ".rodata.tn_constants"


def _write_preamble(
    program: Program, tables: dict[str, Constant], name: str, constants: Literal["incbin", "arrays"]
) -> str:
    digest = [f"0x{each:02x}" for each in bytes.fromhex(program.sha256)]
    size = "/* For size, not for speed. */\n#define TN_SIZE\n\n" if program.optimize == "size" else ""
    includes = size + "".join(f'#include "{header}"\n' for header in ("tn_compiler.h", *program.kernels))
    declare = _declare if constants == "incbin" else _define
    return f"""/* {name}: an int8 network, compiled by tinynas. Do not edit; {name}.h says what it needs. */
#include "{name}.h"

{includes}{_SECTIONS}
const uint8_t tn_{name}_sha256[32] = {{
{wrapped(digest)}
}};

/* Networks that run in turn may share one: TN_ARENA is then the name of an array as large as the largest of theirs. */
#ifdef TN_ARENA
extern int8_t TN_ARENA[TN_{name.upper()}_ARENA_BYTES] __attribute__((aligned(16)));
#define tn_{name}_arena TN_ARENA
#else
static int8_t tn_{name}_arena[TN_{name.upper()}_ARENA_BYTES] TN_SECTION(".bss.tn_arena") __attribute__((aligned(16)));
#endif

{"".join(declare(symbol, constant) for symbol, constant in tables.items())}"""


def _declare(symbol: str, constant: Constant) -> str:
    return f"extern {_qualifier(constant)} {_c_type(constant)} {symbol}[{len(constant.values)}];\n"


def _define(symbol: str, constant: Constant) -> str:
    attributes = f'TN_SECTION("{_section(constant)}") __attribute__((aligned({CONSTANT_ALIGNMENT})))'
    values = wrapped([str(value) for value in constant.values.tolist()])
    array = f"{_c_type(constant)} {symbol}[{len(constant.values)}]"
    return f"static {_qualifier(constant)} {array}\n    {attributes} = {{\n{values}\n}};\n\n"


def _qualifier(constant: Constant) -> str:
    return "TN_FLASH" if constant.name in _IN_FLASH else "const"


def _c_type(constant: Constant) -> str:
    return C_TYPES[constant.values.dtype.name]


def _write_layer(step: Step, layer: LayerInfo, arguments: Arguments, stage: Stage | None) -> str:
    comment = textwrap.fill(
        f"Layer {layer.index}: {layer.op} {layer.name}, {layer.comment}. {layer.macs:,} MAC,"
        f" {layer.constants_bytes:,} B of constants, {layer.output_bytes:,} B of output.",
        WIDTH,
        initial_indent="/* ",
        subsequent_indent=" * ",
    )
    if not step.calls:
        return f"{comment} */\n"
    if stage is not None and step.parts:
        body = write_parts(step, stage, arguments)
        return f"{comment} */\nTN_LAYER void {arguments.prefix}_layer_{layer.index}(int32_t patch)\n{{\n{body}}}\n"
    calls = [write_call(call, arguments) for call in step.calls]
    body = (
        calls[0] if len(calls) == 1 else "".join(f"    {{\n{textwrap.indent(call, '    ')}    }}\n" for call in calls)
    )
    return f"{comment} */\nTN_LAYER void {arguments.prefix}_layer_{layer.index}(void)\n{{\n{body}}}\n"


def _write_step(step: Step, name: str) -> str:
    """A layer without work is marked, too, so that marks are counted like layers."""
    argument = "patch" if step.parts else ""
    index = step.operator.index
    call = f"tn_{name}_layer_{index}({argument});" if step.calls else f"/* layer {index}: no work */"
    return f"    {call}\n    TN_MARK();\n"


def _place(tensor: Tensor, plan: Plan, name: str) -> str:
    """The arena's address of an input or output, which every type's alignment divides."""
    place = f"tn_{name}_arena + {plan.offsets[tensor.index]}"
    return place if tensor.dtype == "INT8" else f"(void *)({place})"


def _write_patches(steps: Sequence[Step], stage: Stage, name: str) -> str:
    calls = textwrap.indent("".join(_write_step(step, name) for step in steps[: stage.depth]), "    ")
    return f"    for (int32_t patch = 0; patch < {stage.patches}; patch++) {{\n{calls}    }}\n"


def _write_functions(graph: Graph, steps: Sequence[Step], plan: Plan, name: str, stage: Stage | None) -> str:
    patches = "" if stage is None else _write_patches(steps, stage, name)
    calls = patches + "".join(_write_step(step, name) for step in steps[0 if stage is None else stage.depth :])
    places = [
        *(("", *each) for each in numbered("input", graph.inputs)),
        *(("const ", *each) for each in numbered("output", graph.outputs)),
    ]
    functions = "".join(
        f"{kind}{C_TYPES[tensor.dtype.lower()]} *tn_{name}_{what}(void)\n"
        f"{{\n    return {_place(tensor, plan, name)};\n}}\n\n"
        for kind, what, tensor in places
    )
    return f"""{functions}void tn_{name}_invoke(void)
{{
    TN_MARK();
{calls}}}
"""
