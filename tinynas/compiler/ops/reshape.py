"""RESHAPE, SQUEEZE and EXPAND_DIMS: the same bytes under another shape, so nothing is executed."""

from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Step


def lower(operator: Operator) -> Step:
    """The output's shape counts, as in TensorFlow Lite Micro; a shape input is not read.

    Raises:
        MalformedModelError: another number of elements.
    """
    operator.require_operands(1, 2)
    source = operator.activation()
    if source.elements != operator.output.elements:
        operator.malformed(f"{list(source.shape)} -> {list(operator.output.shape)} changes the number of elements")
    return Step(operator=operator, calls=(), detail="free: the same memory")
