"""LOG_SOFTMAX over the last dimension.

Sources: tensorflow/lite/micro/kernels/log_softmax.cc, tensorflow/lite/kernels/internal/reference/log_softmax.h,
PreprocessLogSoftmaxScalingExp in quantization_util.cc.
"""

import numpy as np

from tinynas.compiler.fixed_point import quantize_multiplier
from tinynas.compiler.graph import Operator
from tinynas.compiler.ops.softmax import DEEPEST, distance_multiplier, exponentials, largest_distance
from tinynas.compiler.step import Call, Constant, Step


def lower(operator: Operator) -> Step:
    """The output's scale is 1/16 and its zero point 127, as TensorFlow Lite demands.

    Raises:
        MalformedModelError: the shapes differ.
        UnsupportedError: another output scale, more than 4,095 classes, or a scale beyond the fixed-point range.
    """
    operator.require_operands(1, 1)
    source, output = operator.activation(), operator.output
    if source.shape != output.shape or not source.shape:
        operator.malformed(f"shapes {list(source.shape)} -> {list(output.shape)}")
    if output.zero_point != 127 or output.scale != 1 / 16:
        operator.refuse(f"output scale {output.scale:g}, zero point {output.zero_point}; supported are 1/16 and 127")
    depth = source.shape[-1]
    if depth > DEEPEST:
        operator.refuse(f"{depth:,} classes; supported are at most {DEEPEST:,}")
    multiplier = distance_multiplier(operator, source.scale)
    reverse = quantize_multiplier((1 << 31 - multiplier.shift) / multiplier.value)
    if reverse.shift > 0:
        operator.refuse(f"scale {source.scale:g}; supported is from 2^-25")
    table = exponentials(multiplier)
    parameters = {
        "rows": source.elements // depth,
        "depth": depth,
        "entries": len(table),
        "lowest": -largest_distance(multiplier) - 1,
        "multiplier": multiplier.value,
        "shift": multiplier.shift,
        "reverse_multiplier": reverse.value,
        "reverse_shift": reverse.shift,
    }
    arguments = (source, output, Constant(name="exponentials", values=np.array(table, np.int32)))
    call = Call(kernel="tn_log_softmax", record="tn_log_softmax", parameters=parameters, arguments=arguments)
    return Step(operator=operator, calls=(call,), overwrites=(source,))
