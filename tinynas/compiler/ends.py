"""All of a network's inputs as one string of bytes, and all of its outputs: how links and test vectors carry them."""

from collections.abc import Sequence
from typing import TypeVar

from tinynas.compiler.program import Program, TensorInfo

_End = TypeVar("_End")


def numbered(what: str, tensors: Sequence[_End]) -> list[tuple[str, _End]]:
    """Each input or output with its name in the generated code: numbered only where there are several."""
    if len(tensors) == 1:
        return [(what, tensors[0])]
    return [(f"{what}_{number}", tensor) for number, tensor in enumerate(tensors)]


def write_ends(program: Program) -> bytes:
    """`<name>_ends.h`: functions that write all inputs and read all outputs, in the model's order."""
    name = program.name
    guard = f"TN_{name.upper()}"
    return f"""/* {name}: all inputs as one string of bytes, and all outputs. Compiled by tinynas: do not edit. */
#ifndef {guard}_ENDS_H
#define {guard}_ENDS_H

#include <string.h>

#include "{name}.h"

#define {guard}_INPUTS_BYTES {program.inputs_bytes}u
#define {guard}_OUTPUTS_BYTES {program.outputs_bytes}u

/* From place `offset` on, `count` bytes, all of them inside. */
static inline void tn_{name}_write_inputs(uint32_t offset, const void *bytes, uint32_t count)
{{
    void *const inputs[] = {{{_places("input", program.inputs, name)}}};
    static const uint32_t sizes[] = {{{_sizes(program.inputs)}}};
    const uint8_t *from = (const uint8_t *)bytes;

    for (uint32_t i = 0; count > 0; offset -= sizes[i++]) {{
        if (offset < sizes[i]) {{
            const uint32_t part = count < sizes[i] - offset ? count : sizes[i] - offset;

            memcpy((uint8_t *)inputs[i] + offset, from, part);
            from += part;
            offset += part;
            count -= part;
        }}
    }}
}}

static inline void tn_{name}_read_outputs(uint32_t offset, void *bytes, uint32_t count)
{{
    const void *const outputs[] = {{{_places("output", program.outputs, name)}}};
    static const uint32_t sizes[] = {{{_sizes(program.outputs)}}};
    uint8_t *to = (uint8_t *)bytes;

    for (uint32_t i = 0; count > 0; offset -= sizes[i++]) {{
        if (offset < sizes[i]) {{
            const uint32_t part = count < sizes[i] - offset ? count : sizes[i] - offset;

            memcpy(to, (const uint8_t *)outputs[i] + offset, part);
            to += part;
            offset += part;
            count -= part;
        }}
    }}
}}

#endif
""".encode()


def _places(what: str, tensors: Sequence[TensorInfo], name: str) -> str:
    return ", ".join(f"tn_{name}_{end}()" for end, _ in numbered(what, tensors))


def _sizes(tensors: Sequence[TensorInfo]) -> str:
    return ", ".join(f"{tensor.bytes}u" for tensor in tensors)
