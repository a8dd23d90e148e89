"""QUANTIZE and DEQUANTIZE: between types, and between scales of one type.

Sources: tensorflow/lite/micro/kernels/{quantize_common,dequantize}.cc; requantize.h, quantize.h and dequantize.h in
tensorflow/lite/kernels/internal/reference.
"""

import numpy as np

from tinynas.compiler.fixed_point import quantize_multiplier
from tinynas.compiler.graph import ITEM_BYTES, LIMITS, Operator, Tensor
from tinynas.compiler.step import Call, Constant, Step

# By the input's type: what the reference turns it into.
_QUANTIZED = {
    "FLOAT32": ("INT8", "INT16"),
    "INT8": ("INT8", "INT16", "UINT8"),
    "INT16": ("INT8", "INT16"),
    "UINT8": ("INT8",),
}
_DEQUANTIZED = ("INT8", "INT16", "UINT8")
# As in firmware/lib/tn_types.h.
_TYPES = {"INT8": 0, "UINT8": 1, "INT16": 2}


def lower(operator: Operator) -> Step:
    """QUANTIZE: an output of the input's shape and of another scale or type.

    Raises:
        MalformedModelError: the shapes differ.
        UnsupportedError: types that the reference does not turn into each other, or a factor beyond fixed point.
    """
    source, output = _ends(operator)
    if output.dtype not in _QUANTIZED[source.dtype]:
        expected = " or ".join(_QUANTIZED[source.dtype])
        operator.refuse(f"{source.dtype} becomes {output.dtype}; supported is {expected}")
    if source.dtype == "FLOAT32":
        call, detail = _from_real(source, output), f"to {output.dtype.lower()}"
    elif ITEM_BYTES[source.dtype] == ITEM_BYTES[output.dtype] == 1:
        call, detail = _by_table(source, output), "a table of 256 values"
    else:
        call, detail = _rescaled(source, output), f"{source.dtype.lower()} to {output.dtype.lower()}"
    return Step(operator=operator, calls=(call,), overwrites=_overwritten(source, output), detail=detail)


def lower_dequantize(operator: Operator) -> Step:
    """DEQUANTIZE: float32 values of the input's shape.

    Raises:
        MalformedModelError: the shapes differ.
        UnsupportedError: other types.
    """
    source, output = _ends(operator)
    if output.dtype != "FLOAT32" or source.dtype not in _DEQUANTIZED:
        operator.refuse(f"{source.dtype} becomes {output.dtype}; supported is {' or '.join(_DEQUANTIZED)} to FLOAT32")
    call = Call(
        kernel="tn_dequantize",
        record="tn_dequantize",
        parameters={"count": source.elements, "zero_point": source.zero_point},
        reals={"scale": source.scale},
        arguments=(_TYPES[source.dtype], source, output),
    )
    return Step(operator=operator, calls=(call,), detail=f"{source.dtype.lower()} to float")


def _ends(operator: Operator) -> tuple[Tensor, Tensor]:
    operator.require_operands(1, 1)
    source, output = operator.activation(), operator.output
    if source.elements != output.elements:
        operator.malformed(f"{list(source.shape)} -> {list(output.shape)}")
    return source, output


def _overwritten(source: Tensor, output: Tensor) -> tuple[Tensor, ...]:
    """Values that become no larger can be written where they were read."""
    return (source,) if ITEM_BYTES[output.dtype] <= ITEM_BYTES[source.dtype] else ()


def _from_real(source: Tensor, output: Tensor) -> Call:
    return Call(
        kernel="tn_quantize",
        record="tn_quantize",
        parameters={"count": source.elements, "zero_point": output.zero_point},
        reals={"scale": output.scale},
        arguments=(_TYPES[output.dtype], source, output),
    )


def _rescaled(source: Tensor, output: Tensor) -> Call:
    factor = quantize_multiplier(source.scale / output.scale)
    parameters = {
        "count": source.elements,
        "in_zero_point": source.zero_point,
        "multiplier": factor.value,
        "shift": factor.shift,
        "zero_point": output.zero_point,
    }
    types = (_TYPES[source.dtype], _TYPES[output.dtype])
    return Call(
        kernel="tn_requantized", record="tn_requantized", parameters=parameters, arguments=(*types, source, output)
    )


def _by_table(source: Tensor, output: Tensor) -> Call:
    """The table goes by the input's bits as int8, and holds the output's."""
    factor = quantize_multiplier(source.scale / output.scale)
    values = np.arange(-128, 128).astype(np.int8)
    real = values.view(np.uint8) if source.dtype == "UINT8" else values
    table = [factor.apply(int(value) - source.zero_point) + output.zero_point for value in real]
    low, high = LIMITS[output.dtype]
    bits = np.clip(table, low, high).astype(np.int16).astype(np.uint8).view(np.int8)
    return Call(
        kernel="tn_map",
        record="tn_map",
        parameters={"count": source.elements},
        arguments=(source, output, Constant(name="table", values=bits)),
    )
