"""int16 activations: TensorFlow Lite quantises them symmetrically, with int8 weights, throughout an operator."""

from tinynas.compiler.graph import Operator


def takes_int16(operator: Operator) -> bool:
    """Whether the operator's inputs and output are int16 instead of int8.

    Raises:
        UnsupportedError: some are and others are not, or one of them has a zero point.
    """
    ends = (*operator.activations, operator.output)
    if all(tensor.dtype == "INT8" for tensor in ends):
        return False
    for tensor in ends:
        if tensor.dtype != "INT16" or tensor.zero_point:
            operator.refuse(
                f"beside int16, tensor {tensor.name!r} is {tensor.dtype} with zero point {tensor.zero_point}; "
                "supported is INT16 with 0 throughout"
            )
    return True
