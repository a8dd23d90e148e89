"""Operators that compute with shapes alone are gone before anything is lowered."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network
from tinynas.errors import MalformedModelError, UnsupportedError

SHRINK = {"shrinkAxisMask": 1}


def numbers(*values: int) -> Tensor:
    return Tensor([len(values)], None, dtype="int32", data=np.array(values))


def whole(*shape: int) -> Tensor:
    """A tensor of integers that is computed."""
    return Tensor(shape, None, dtype="int32")


def flatten(begin: int = 0, end: int = 1, options: dict[str, Any] | None = None, packed: int = 2) -> bytes:
    """As Keras writes Flatten: the batch from the input's shape, packed with what remains of it."""
    tensors = [Tensor([1, 3, 4, 2], 0.1, 3), whole(4), numbers(begin), numbers(end), numbers(1), whole()]
    tensors += [Tensor([], None, dtype="int32", data=np.array(24)), whole(packed), Tensor([1, 24], 0.1, 3)]
    operations = [
        Operation("SHAPE", [0], [1], "Shape", {"outType": 2}),
        Operation("STRIDED_SLICE", [1, 2, 3, 4], [5], "StridedSlice", SHRINK if options is None else options),
        Operation("PACK", [5, 6], [7], "Pack", {"valuesCount": 2}),
        Operation("RESHAPE", [0, 7], [8], "Reshape"),
    ]
    return write_model(tensors, operations)


def slice_by_shape() -> bytes:
    """Sizes of a SLICE, joined from the shape of another tensor and numbers, one of them under another shape."""
    tensors = [Tensor([1, 5, 4], 0.1, 3), Tensor([1, 3, 2], 0.1, 3), whole(3), whole(), numbers(1), whole(1)]
    tensors += [numbers(0), numbers(1), numbers(1), whole(1), whole(3), numbers(0, 1, 0), Tensor([1, 3, 4], 0.1, 3)]
    tensors += [numbers(4), numbers(2), whole(1)]
    operations = [
        Operation("SHAPE", [1], [2], "Shape", {"outType": 2}),
        Operation("STRIDED_SLICE", [2, 7, 14, 8], [15], "StridedSlice"),
        Operation("SQUEEZE", [15], [3], "Squeeze"),
        Operation("RESHAPE", [3, 8], [5], "Reshape"),
        Operation("STRIDED_SLICE", [2, 6, 7, 8], [9], "StridedSlice"),
        Operation("CONCATENATION", [9, 5, 13], [10], "Concatenation", {"axis": 0}),
        Operation("SLICE", [0, 11, 10], [12], "Slice"),
    ]
    return write_model(tensors, operations, inputs=[0, 1], outputs=[12])


def test_shape_arithmetic_leaves_only_what_it_was_for(check_equal: Callable[..., None]) -> None:
    models = [flatten(), flatten(-4, -3), flatten(0, 9, {"shrinkAxisMask": 1, "endMask": 1}), slice_by_shape()]
    names = [[layer.op for layer in compile_network(model).layers] for model in models]
    assert names == [["RESHAPE"]] * 3 + [["SLICE"]]
    check_equal(models)


@pytest.mark.parametrize(
    ("tflite", "error", "message"),
    [
        (flatten(begin=7), MalformedModelError, r"operator 1 \(STRIDED_SLICE\): takes"),
        (flatten(packed=3), MalformedModelError, r"operator 2 \(PACK\): gives shape \[2\], the output has \[3\]"),
        (flatten(options={}, end=3), MalformedModelError, r"operator 1 \(STRIDED_SLICE\): gives 3 values"),
        (flatten(options={"newAxisMask": 1}), UnsupportedError, "an ellipsis or a new dimension"),
    ],
)
def test_arithmetic_that_contradicts_itself_is_refused(tflite: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compile_network(tflite)


def test_a_shape_that_leaves_the_network_is_refused() -> None:
    operations = [Operation("SHAPE", [0], [1], "Shape", {"outType": 2})]
    with pytest.raises(UnsupportedError, match=r"operator 0 \(SHAPE\): tensor 'tensor' is INT32"):
        compile_network(write_model([Tensor([1, 4]), whole(2)], operations))


def test_what_is_computed_from_values_is_refused() -> None:
    tensors = [whole(4), numbers(0), numbers(1), numbers(1), whole(1)]
    operations = [Operation("STRIDED_SLICE", [0, 1, 2, 3], [4], "StridedSlice")]
    with pytest.raises(UnsupportedError, match="is INT32, supported is INT8"):
        compile_network(write_model(tensors, operations))


def test_many_constants_are_not_joined() -> None:
    """Each join would make 64 times as much of its input: it is no arithmetic on shapes."""
    tensors = [Tensor([1, 4]), numbers(*range(60)), whole(120), Tensor([1, 4])]
    operations = [
        Operation("CONCATENATION", [1, 1], [2], "Concatenation", {"axis": 0}),
        Operation("RESHAPE", [0, 2], [3], "Reshape"),
    ]
    with pytest.raises(UnsupportedError, match=r"operator 0 \(CONCATENATION\): tensor 'tensor' is INT32"):
        compile_network(write_model(tensors, operations))
