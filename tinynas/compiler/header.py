"""The header of a network: what an embedded engineer reads first."""

from collections.abc import Sequence

from tinynas.compiler.ends import numbered
from tinynas.compiler.program import Program, TensorInfo

C_TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "float32": "float",
}


def shape_text(shape: tuple[int, ...]) -> str:
    """Without the batch, which is 1."""
    return "x".join(str(size) for size in (shape[1:] if len(shape) > 1 else shape)) or "1"


def write_header(program: Program, name: str) -> str:
    """`<name>.h`: what the network is and needs, and its functions."""
    guard = f"TN_{name.upper()}"
    sizes = [
        f"#define {guard}_{what.upper()}_BYTES {tensor.bytes}\n"
        for what, tensor in [*numbered("input", program.inputs), *numbered("output", program.outputs)]
    ]
    functions = [
        *(f"{C_TYPES[each.dtype]} *tn_{name}_{what}(void);\n" for what, each in numbered("input", program.inputs)),
        *(
            f"const {C_TYPES[each.dtype]} *tn_{name}_{what}(void);\n"
            for what, each in numbered("output", program.outputs)
        ),
    ]
    return f"""{_write_summary(program, name)}
#ifndef {guard}_H
#define {guard}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

{"".join(sizes)}#define {guard}_ARENA_BYTES {program.arena_bytes}
#define {guard}_CONSTANTS_BYTES {program.constants_bytes}

/* Of the model's bytes: tells which network an image holds. */
extern const uint8_t tn_{name}_sha256[32];

{"".join(functions)}void tn_{name}_invoke(void);

#ifdef __cplusplus
}}
#endif

#endif
"""


def _write_summary(program: Program, name: str) -> str:
    """The header's opening comment: what the network is, what it needs, how it is used."""
    macs = sum(layer.macs for layer in program.layers)
    channels = program.channels_left_out
    least = program.arena_lower_bound_bytes
    ends = _write_ends("Input", program.inputs) + _write_ends("Output", program.outputs)
    left_out = f"\n * Left out {channels:,} channels that are constant or that nothing reads" if channels else ""
    return f"""/* {name}: an int8 network, compiled by tinynas. Do not edit.
 *
 * Model    SHA-256 {program.sha256}
{ends} * RAM      {program.arena_bytes:,} B arena (inputs and outputs included; at least {least:,})
 * Flash    {program.constants_bytes:,} B of constants, and the code
 * Work     {macs:,} multiply-accumulates per inference, {len(program.layers)} layers{left_out}{_write_patched(program)}
 *
 * Use, in one thread at a time:
 *
{_write_usage(program, name)} *
 * Input and output lie in the arena: an inference may overwrite its input, and writing the next input may overwrite the
 * output.
 */"""


def _write_patched(program: Program) -> str:
    if program.patched is None:
        return ""
    info = program.patched
    return f"""
 * Patches  {info.layers} layers run in {info.patches} patches of rows: {info.arena_bytes_without:,} B of arena without,
 *          {info.recomputed_macs:,} multiply-accumulates computed again, {info.moved_bytes:,} B of rows moved"""


def _write_ends(title: str, tensors: Sequence[TensorInfo]) -> str:
    return "".join(
        f" * {what:<8} {tensor.name}: {shape_text(tensor.shape)}; {_meaning(tensor)}\n"
        for what, tensor in numbered(title, tensors)
    )


def _meaning(tensor: TensorInfo) -> str:
    """What a value stands for."""
    if tensor.dtype == "float32":
        return "float"
    return f"value = {tensor.scale:.9g} * ({tensor.dtype} - {tensor.zero_point})"


def _write_usage(program: Program, name: str) -> str:
    inputs, outputs = numbered("input", program.inputs), numbered("output", program.outputs)
    lines = [
        *(
            f"memcpy(tn_{name}_{what}(), {what.replace('input', 'samples')}, TN_{name.upper()}_{what.upper()}_BYTES);"
            for what, _ in inputs
        ),
        f"tn_{name}_invoke();",
        *(
            f"const {C_TYPES[each.dtype]} *{what.replace('output', 'scores')} = tn_{name}_{what}();"
            for what, each in outputs
        ),
    ]
    return "".join(f" *     {line}\n" for line in lines)
