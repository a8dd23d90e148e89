"""Element-wise operators of two inputs: how the smaller one repeats along the other."""

from tinynas.compiler.graph import Operator, Tensor
from tinynas.compiler.step import Constant

_RANK = 4


def read_pair(operator: Operator) -> tuple[Tensor, Tensor]:
    """Both inputs, int8 with one scale each, or activations of a type that the operator takes; not both are constants.

    Raises:
        MalformedModelError: an input is omitted, or a constant has no scale.
        UnsupportedError: a constant that is not int8, or two constants.
    """
    operator.require_operands(2, 2)
    first, second = (tensor for tensor in operator.inputs if tensor is not None)
    for tensor in (first, second):
        if tensor.data is None:
            continue
        if tensor.dtype != "INT8" or len(tensor.scales) != 1 or not -128 <= tensor.zero_point <= 127:
            operator.refuse(
                f"input {tensor.name!r} is {tensor.dtype} with {len(tensor.scales)} scales; supported is int8"
            )
    if first.data is not None and second.data is not None:
        operator.refuse("both inputs are constants")
    return first, second


def argument(tensor: Tensor, name: str) -> Tensor | Constant:
    """The kernel's argument: the activation itself, or the constant's values as a table."""
    return tensor if tensor.data is None else Constant(name=name, values=tensor.data.astype("i1").reshape(-1))


def overwritable(operator: Operator, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The activations whose memory an element-wise output may take over: each element is read before it is written."""
    return tuple(tensor for tensor in tensors if tensor.data is None and tensor.elements == operator.output.elements)


def broadcast_parameters(operator: Operator, first: Tensor, second: Tensor) -> dict[str, int]:
    """The fields of `struct tn_broadcast`.

    Raises:
        MalformedModelError: shapes that cannot be broadcast to the output's.
        UnsupportedError: more than four dimensions, where the shapes differ.
    """
    if first.shape == second.shape == operator.output.shape:
        return _fields((1, 1, 1, first.elements), (0, 0, 0, 1), (0, 0, 0, 1))
    if max(len(first.shape), len(second.shape), len(operator.output.shape)) > _RANK:
        operator.refuse(f"broadcasting over more than {_RANK} dimensions")
    shapes = [(1,) * (_RANK - len(tensor.shape)) + tensor.shape for tensor in (first, second, operator.output)]
    for a, b, size in zip(*shapes, strict=True):
        if size != max(a, b) or a not in (1, size) or b not in (1, size):
            operator.malformed(f"{list(first.shape)} and {list(second.shape)} -> {list(operator.output.shape)}")
    return _fields(shapes[2], _strides(shapes[0]), _strides(shapes[1]))


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(0 if size == 1 else step)
        step *= size
    return tuple(reversed(strides))


def _fields(sizes: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> dict[str, int]:
    return {
        f"broadcast.{name}_{axis}": values[axis]
        for name, values in (("size", sizes), ("a", a), ("b", b))
        for axis in range(_RANK)
    }
