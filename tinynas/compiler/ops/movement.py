"""Operators that only move values: slices, splits, permutations of dimensions, blocks to depth and back.

Sources: tensorflow/lite/kernels/internal/reference/{depth_to_space,slice,space_to_depth,strided_slice,transpose}.h and
internal/strided_slice_logic.h; split.cc, split_v.cc and unpack.cc in tensorflow/lite/micro/kernels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Step

_MOST_DIMENSIONS = 5


@dataclass(frozen=True, kw_only=True)
class View:
    """The input as the output sees it: its first value, and for each dimension how many values and how far apart."""

    start: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


def lower(operator: Operator) -> Step:
    """An output of the input's scale.

    Raises:
        MalformedModelError: shapes, positions or options that contradict each other.
        UnsupportedError: computed positions, different scales, or more than five dimensions that cannot be joined.
    """
    source, output = operator.activation(_source_position(operator)), operator.output
    if (source.scale, source.zero_point) != (output.scale, output.zero_point):
        operator.refuse("input and output have different scales; supported are equal ones")
    view = _VIEWS[operator.name](operator)
    if math.prod(view.sizes) != output.elements:
        operator.malformed(f"{list(source.shape)} -> {list(output.shape)}, takes {list(view.sizes)}")
    ends = [(size - 1) * stride for size, stride in zip(view.sizes, view.strides, strict=True)]
    if view.start + sum(min(each, 0) for each in ends) < 0:
        operator.malformed(f"reads before the first of {source.elements:,} values")
    if view.start + sum(max(each, 0) for each in ends) >= source.elements:
        operator.malformed(f"reads beyond the last of {source.elements:,} values")
    return Step(operator=operator, calls=(_call(operator, view),), detail="moved as it is")


def _source_position(operator: Operator) -> int:
    """SPLIT names its dimension first."""
    return 1 if operator.name == "SPLIT" else 0


def _call(operator: Operator, view: View) -> Call:
    joined: list[tuple[int, int]] = []
    for size, stride in zip(view.sizes, view.strides, strict=True):
        if size == 1:
            continue
        if joined and joined[-1][1] == size * stride:
            joined[-1] = (joined[-1][0] * size, stride)
        else:
            joined.append((size, stride))
    if len(joined) > _MOST_DIMENSIONS:
        operator.refuse(f"{len(joined)} dimensions that cannot be joined; supported are {_MOST_DIMENSIONS}")
    # A single value, or what lies far apart, still has a last dimension: of one value.
    if not joined or (joined[-1][1] != 1 and len(joined) < _MOST_DIMENSIONS):
        joined.append((1, 1))
    joined = [(1, 0)] * (_MOST_DIMENSIONS - len(joined)) + joined
    parameters = {"start": view.start}
    for name, position in (("size", 0), ("stride", 1)):
        parameters |= {f"{name}_{axis}": each[position] for axis, each in enumerate(joined)}
    arguments = (operator.activation(_source_position(operator)), operator.output)
    return Call(kernel="tn_copy_strided", record="tn_copy_strided", parameters=parameters, arguments=arguments)


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _positions(operator: Operator, position: int, count: int) -> list[int]:
    """A constant input of `count` numbers."""
    values = operator.constant(position, "INT32").reshape(-1).tolist()
    if len(values) != count:
        operator.malformed(f"input {position} has {len(values)} numbers, needs {count}")
    return [int(value) for value in values]


def _slice(operator: Operator) -> View:
    operator.require_operands(3, 3)
    shape = operator.activation().shape
    begin, sizes = (_positions(operator, position, len(shape)) for position in (1, 2))
    sizes = [extent - first if size == -1 else size for extent, first, size in zip(shape, begin, sizes, strict=True)]
    if any(
        first < 0 or size < 1 or first + size > extent for extent, first, size in zip(shape, begin, sizes, strict=True)
    ):
        operator.malformed(f"takes {sizes} from {begin} of {list(shape)}")
    strides = _strides(shape)
    return View(start=sum(map(math.prod, zip(begin, strides, strict=True))), sizes=tuple(sizes), strides=strides)


def _strided_slice(operator: Operator) -> View:
    operator.require_operands(4, 4)
    return strided_view(operator, operator.activation().shape)


def strided_view(operator: Operator, shape: tuple[int, ...]) -> View:
    """What a STRIDED_SLICE takes of an input of this shape.

    Masks are bit sets over dimensions: begin, end, ellipsis, new axis, shrink axis, in options fields 0 to 4.
    """
    begin_mask, end_mask, ellipsis, new_axis, shrink = (operator.option(slot, "i") for slot in range(5))
    if ellipsis or new_axis:
        operator.refuse("an ellipsis or a new dimension; supported are begin, end and shrink masks")
    begins, ends, steps = (_positions(operator, position, len(shape)) for position in (1, 2, 3))
    start, sizes, strides = 0, [], []
    for axis, (extent, stride) in enumerate(zip(shape, _strides(shape), strict=True)):
        bit, step = 1 << axis, steps[axis]
        if step == 0 or (shrink & bit and step < 0):
            operator.malformed(f"a step of {step} along dimension {axis}")
        first = _clamped_position(begins[axis], extent, step, begin_mask & bit, 0 if step > 0 else extent - 1)
        last = _clamped_position(ends[axis], extent, step, end_mask & bit, extent if step > 0 else -1)
        count = 1 if shrink & bit else -((first - last) // step) if step > 0 else -((last - first) // -step)
        if count < 1 or not 0 <= first < extent:
            operator.malformed(f"takes {count} values from {first} of {extent} along dimension {axis}")
        start += first * stride
        sizes.append(count)
        strides.append(step * stride)
    return View(start=start, sizes=tuple(sizes), strides=tuple(strides))


def _clamped_position(position: int, extent: int, step: int, masked: int, default: int) -> int:
    """A position from the end counts from behind; beyond the ends is at the ends."""
    if masked:
        return default
    if position < 0:
        position += extent
    return min(max(position, 0), extent) if step > 0 else min(max(position, -1), extent - 1)


def _transpose(operator: Operator) -> View:
    operator.require_operands(2, 2)
    shape = operator.activation().shape
    order = _positions(operator, 1, len(shape))
    if sorted(order) != list(range(len(shape))):
        operator.malformed(f"permutation {order} of {len(shape)} dimensions")
    if tuple(shape[axis] for axis in order) != operator.output.shape:
        operator.malformed(f"{list(shape)} in order {order} -> {list(operator.output.shape)}")
    strides = _strides(shape)
    return View(start=0, sizes=tuple(shape[axis] for axis in order), strides=tuple(strides[axis] for axis in order))


def _blocks(operator: Operator) -> tuple[int, int, int, int]:
    """Height, width and channels of the image with the larger pixels, and the block size."""
    operator.require_operands(1, 1)
    shapes = [operator.activation().shape, operator.output.shape]
    deep, wide = shapes if operator.name == "DEPTH_TO_SPACE" else shapes[::-1]
    block = operator.option(0, "i")
    if len(deep) != 4 or len(wide) != 4 or block < 1:
        operator.malformed(f"shapes {list(deep)} and {list(wide)}, block size {block}")
    if wide != (deep[0], deep[1] * block, deep[2] * block, deep[3] // block**2) or deep[3] % block**2:
        operator.malformed(f"shapes {list(deep)} and {list(wide)} do not belong to blocks of {block}")
    return deep[0] * deep[1], deep[2], deep[3] // block**2, block


def _depth_to_space(operator: Operator) -> View:
    rows, width, channels, block = _blocks(operator)
    deep = channels * block**2
    return View(
        start=0,
        sizes=(rows, block, width, block * channels),
        strides=(width * deep, block * channels, deep, 1),
    )


def _space_to_depth(operator: Operator) -> View:
    rows, width, channels, block = _blocks(operator)
    row = width * block * channels
    return View(
        start=0,
        sizes=(rows, width, block, block * channels),
        strides=(block * row, block * channels, row, 1),
    )


def _part(operator: Operator) -> View:
    """One output of SPLIT, SPLIT_V or UNPACK: a slice along one dimension, behind those before it."""
    shape = operator.activation(_source_position(operator)).shape
    axis = _split_axis(operator)
    if not -len(shape) <= axis < len(shape):
        operator.malformed(f"dimension {axis} of {len(shape)}")
    axis %= len(shape)
    lengths = [_length(operator, other.shape, axis) for other in operator.siblings]
    if sum(lengths) != shape[axis]:
        operator.malformed(f"outputs of {lengths} along dimension {axis} of {list(shape)}")
    sizes = (*shape[:axis], lengths[operator.part], *shape[axis + 1 :])
    return View(start=sum(lengths[: operator.part]) * _strides(shape)[axis], sizes=sizes, strides=_strides(shape))


def _length(operator: Operator, shape: tuple[int, ...], axis: int) -> int:
    """How much of the dimension an output takes; UNPACK's outputs lack it."""
    if operator.name == "UNPACK":
        return 1
    if axis >= len(shape):
        operator.malformed(f"an output of shape {list(shape)} lacks dimension {axis}")
    return shape[axis]


def _split_axis(operator: Operator) -> int:
    if operator.name == "UNPACK":
        return operator.option(1, "i")
    return _positions(operator, 0 if operator.name == "SPLIT" else 2, 1)[0]


_VIEWS: dict[str, Callable[[Operator], View]] = {
    "DEPTH_TO_SPACE": _depth_to_space,
    "SLICE": _slice,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _part,
    "SPLIT_V": _part,
    "STRIDED_SLICE": _strided_slice,
    "TRANSPOSE": _transpose,
    "UNPACK": _part,
}

NAMES = tuple(_VIEWS)
