"""Random models of every operator, over shapes, options and scales, for tests, nightly checks and the fuzzer.

A new operator is a strategy that gives a whole `.tflite` file, and its line in MODELS.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from drawing import draw_examples
from hypothesis import strategies as st
from planted import Network, networks, tall_networks
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network

RELU, RELU_N1_TO_1, RELU6 = 1, 2, 3

scales = st.floats(0.003, 0.6)
wide_scales = st.one_of(scales, scales, st.floats(-14, 10).map(lambda bits: 2.0**bits))
# Of an output whose scale decides by how much sums are shifted: usual ones, and any that a damaged model may have.
output_scales = st.one_of(st.floats(0.05, 4), st.floats(0.05, 4), st.floats(-20, 20).map(lambda bits: 2.0**bits))
# The lowest one is that of every output of a ReLU.
zero_points = st.one_of(st.just(-128), st.integers(-128, 127))
activations = st.sampled_from([0, 0, RELU, RELU6, RELU_N1_TO_1])
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 9)
channels = st.one_of(st.integers(1, 11), st.sampled_from([4, 8, 12, 16, 20]))


@st.composite
def windows(draw: Any, largest: int = 5, dilated: bool = True) -> dict[str, int]:
    """Options of a window, with the shapes that go with them: in_h, in_w, kernel_h, kernel_w, out_h, out_w."""
    padding = draw(st.sampled_from([0, 1]))
    found: dict[str, int] = {"padding": padding}
    # What networks are made of, as often as anything else: kernels may have a form of their own for these.
    usual = draw(st.one_of(st.none(), st.tuples(st.sampled_from([1, 3, 3, 5]), st.sampled_from([1, 2]))))
    for axis in ("h", "w"):
        stride, dilation = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2, 3])) if dilated else 1
        kernel = draw(st.integers(1, largest))
        if usual:
            (kernel, stride), dilation = usual, 1
        reach = (kernel - 1) * dilation + 1
        size = draw(st.integers(1, 14)) if padding == 0 else draw(st.integers(reach, reach + 8))
        out = -(-size // stride) if padding == 0 else (size - reach) // stride + 1
        found |= {f"in_{axis}": size, f"kernel_{axis}": kernel, f"out_{axis}": out}
        found |= {f"stride_{axis}": stride, f"dilation_{axis}": dilation}
    return found


def convolution_options(window: dict[str, int], activation: int) -> dict[str, int]:
    return {
        "padding": window["padding"],
        "strideH": window["stride_h"],
        "strideW": window["stride_w"],
        "dilationHFactor": window["dilation_h"],
        "dilationWFactor": window["dilation_w"],
        "fusedActivationFunction": activation,
    }


def weights_and_bias(
    rng: np.random.Generator, shape: tuple[int, ...], axis: int, input_scale: float, per_channel: bool, bias: bool
) -> list[Tensor]:
    """int8 weights with one scale or one per index of `axis`, and an int32 bias, as trained networks have them."""
    count = shape[axis]
    spread = rng.uniform(0.001, 0.05, count if per_channel else 1).astype(np.float32)
    values = rng.integers(-127, 128, shape)
    tensors = [Tensor(shape, spread, 0, data=values, axis=axis)]
    if bias:
        product = np.float32(input_scale) * spread
        tensors.append(Tensor([count], product, 0, dtype="int32", data=rng.integers(-9999, 9999, count)))
    return tensors


@st.composite
def weights_of_any_kind(
    draw: Any, shape: tuple[int, ...], axis: int, input_scale: float, bias_dtype: str = "int32"
) -> list[Tensor]:
    """int8 weights with one scale or one per index of `axis`, and perhaps a bias.

    Trained networks have zeros, dead channels, and channels whose scale is next to nothing; sums near the end of their
    range are where kernels that count on less must fall back to others.
    """
    rng, count = np.random.default_rng(draw(seeds)), shape[axis]
    values = rng.integers(*draw(st.sampled_from([(-127, 128), (-128, 128), (-9, 10), (126, 128), (-128, -126)])), shape)
    values[rng.random(shape) < draw(st.sampled_from([0, 0, 0.8]))] = 0
    along = [1] * len(shape)
    along[axis] = count
    values = np.where(rng.random(count).reshape(along) < draw(st.sampled_from([0, 0, 0.3])), 0, values)
    spread = rng.uniform(0.001, 0.05, count if draw(st.booleans()) else 1)
    spread = (spread * 2 ** rng.uniform(-draw(st.sampled_from([0, 0, 8, 40])), 0, spread.shape)).astype(np.float32)
    tensors = [Tensor(shape, spread, 0, data=values, axis=axis)]
    least, most = draw(st.sampled_from([(0, 9999), (0, 9999), (0, 1 << 23), (0, 1 << 31), (-(1 << 16), 0), (0, 0)]))
    if least < most:
        # Counted from 0, or from the end of int32.
        bias = rng.integers(least, most, count) % (1 << 31) * rng.choice([-1, 1], count)
        tensors.append(Tensor([count], np.float32(input_scale) * spread, 0, dtype=bias_dtype, data=bias))
    return tensors


@st.composite
def ends_of_a_sum(draw: Any, wide: bool) -> tuple[Tensor, Tensor, str]:
    """Input and output of a convolution or dense layer, int8 or int16, but for their shapes; its bias' type."""
    if wide:
        # Factors of 2^7 and more are refused.
        output_scale = draw(st.one_of(st.floats(0.05, 4), st.floats(-3, 20).map(lambda bits: 2.0**bits))) / 256
        return Tensor([], draw(scales) / 256, 0, "int16"), Tensor([], output_scale, 0, "int16"), "int64"
    return Tensor([], draw(scales), draw(zero_points)), Tensor([], draw(output_scales), draw(zero_points)), "int32"


@st.composite
def quantizations(draw: Any, wide: bool, any_scale: st.SearchStrategy[float] = scales) -> tuple[float, int, str]:
    """Scale, zero point and type of an activation, int8 or int16."""
    scale = draw(any_scale)
    return (scale / 256, 0, "int16") if wide else (scale, draw(zero_points), "int8")


@st.composite
def convolutions(draw: Any, wide: bool = False) -> bytes:
    window, inputs, outputs = draw(windows()), draw(channels), draw(channels)
    source, output, bias = draw(ends_of_a_sum(wide))
    shape = (outputs, window["kernel_h"], window["kernel_w"], inputs)
    constants = draw(weights_of_any_kind(shape, 0, source.scale, bias))
    source.shape = [1, window["in_h"], window["in_w"], inputs]
    output.shape = [1, window["out_h"], window["out_w"], outputs]
    options = convolution_options(window, draw(activations))
    operation = Operation("CONV_2D", range(len(constants) + 1), [len(constants) + 1], "Conv2D", options)
    return write_model([source, *constants, output], [operation])


@st.composite
def depthwise_convolutions(draw: Any, wide: bool = False) -> bytes:
    window, inputs, multiplier = draw(windows()), draw(channels), draw(st.sampled_from([1, 1, 1, 2, 3]))
    outputs = inputs * multiplier
    source, output, bias = draw(ends_of_a_sum(wide))
    shape = (1, window["kernel_h"], window["kernel_w"], outputs)
    constants = draw(weights_of_any_kind(shape, 3, source.scale, bias))
    source.shape = [1, window["in_h"], window["in_w"], inputs]
    output.shape = [1, window["out_h"], window["out_w"], outputs]
    options = convolution_options(window, draw(activations)) | {"depthMultiplier": multiplier}
    operands = range(len(constants) + 1)
    operation = Operation("DEPTHWISE_CONV_2D", operands, [len(constants) + 1], "DepthwiseConv2D", options)
    return write_model([source, *constants, output], [operation])


@st.composite
def fully_connected(draw: Any, wide: bool = False) -> bytes:
    rows, depth, outputs = draw(st.sampled_from([1, 1, 3])), draw(st.integers(1, 40)), draw(st.integers(1, 13))
    source, output, bias = draw(ends_of_a_sum(wide))
    constants = draw(weights_of_any_kind((outputs, depth), 0, source.scale, bias))
    source.shape, output.shape = [rows, depth], [rows, outputs]
    options = {"fusedActivationFunction": draw(activations)}
    operation = Operation("FULLY_CONNECTED", range(len(constants) + 1), [len(constants) + 1], "FullyConnected", options)
    return write_model([source, *constants, output], [operation])


@st.composite
def pools(draw: Any, name: str, wide: bool = False) -> bytes:
    window, count = draw(windows(largest=7, dilated=False)), draw(channels)
    quantization = draw(quantizations(wide))
    source = Tensor([1, window["in_h"], window["in_w"], count], *quantization)
    output = Tensor([1, window["out_h"], window["out_w"], count], *quantization)
    options = {
        "padding": window["padding"],
        "strideH": window["stride_h"],
        "strideW": window["stride_w"],
        "filterHeight": window["kernel_h"],
        "filterWidth": window["kernel_w"],
        "fusedActivationFunction": draw(activations),
    }
    return write_model([source, output], [Operation(name, [0], [1], "Pool2D", options)])


@st.composite
def element_wise_pairs(draw: Any, name: str, kind: str) -> bytes:
    """Equal shapes, one value per channel, or a single value, as an activation's partner or a constant."""
    shape = [1, draw(sides), draw(sides), draw(channels)]
    partner = draw(st.sampled_from([shape, shape, [1, 1, 1, shape[3]], [1], [1, shape[1], 1, shape[3]]]))
    rng = np.random.default_rng(draw(seeds))
    first = Tensor(shape, draw(wide_scales), draw(zero_points))
    second = Tensor(partner, draw(wide_scales), draw(zero_points))
    output = Tensor(shape, draw(st.floats(0.05, 1)), draw(zero_points))
    options = {"fusedActivationFunction": draw(activations)} if name in ("ADD", "MUL", "SUB") else {}
    if name in ("MINIMUM", "MAXIMUM"):
        second.scale, second.zero_point = output.scale, output.zero_point = first.scale, first.zero_point
    if partner != shape or draw(st.booleans()):
        second.data = rng.integers(-128, 128, partner)
        operands = draw(st.sampled_from([[0, 1], [1, 0]]))
        return write_model([first, second, output], [Operation(name, operands, [2], kind, options)])
    pooled = Tensor(shape, first.scale, first.zero_point)
    pool = {"padding": 0, "strideH": 1, "strideW": 1, "filterHeight": 2, "filterWidth": 1}
    second.scale, second.zero_point = first.scale, first.zero_point
    operations = [
        Operation("MAX_POOL_2D", [0], [1], "Pool2D", pool),
        Operation(name, [0, 1], [2], kind, options),
    ]
    return write_model([first, pooled, output], operations)


@st.composite
def wide_sums(draw: Any, name: str, kind: str) -> bytes:
    """ADD or SUB of two int16 inputs, which may repeat along the other."""
    shape = [1, draw(sides), draw(sides), draw(channels)]
    partner = draw(st.sampled_from([shape, shape, [1, 1, 1, shape[3]], [1], [1, shape[1], 1, shape[3]]]))
    tensors = [Tensor(each, *draw(quantizations(True, wide_scales))) for each in (shape, partner)]
    # An output that is much finer than its inputs is refused.
    least = max(tensor.scale for tensor in tensors) / 2**12
    tensors.append(Tensor(shape, draw(st.floats(0, 18).map(lambda bits: least * 2.0**bits)), 0, "int16"))
    operands, options = draw(st.permutations([0, 1])), {"fusedActivationFunction": draw(activations)}
    return write_model(tensors, [Operation(name, operands, [2], kind, options)], inputs=[0, 1])


@st.composite
def slopes(draw: Any) -> bytes:
    shape = [1, draw(sides), draw(sides), draw(channels)]
    along = draw(st.sampled_from([[1, 1, shape[3]], shape, [1, 1, 1]]))
    data = np.random.default_rng(draw(seeds)).integers(-128, 128, along)
    tensors = [
        Tensor(shape, draw(wide_scales), draw(zero_points)),
        Tensor(along, draw(scales), draw(zero_points), data=data),
        Tensor(shape, draw(st.floats(0.05, 1)), draw(zero_points)),
    ]
    return write_model(tensors, [Operation("PRELU", [0, 1], [2])])


@st.composite
def mirror_pads(draw: Any) -> bytes:
    shape, mode = [1, draw(sides), draw(sides), draw(channels)], draw(st.integers(0, 1))
    most = [size if mode else size - 1 for size in shape]
    paddings = np.array([[0, 0], *[[draw(st.integers(0, min(3, each))) for _ in range(2)] for each in most[1:]]])
    quantization = (draw(scales), draw(zero_points))
    tensors = [
        Tensor(shape, *quantization),
        Tensor([4, 2], None, dtype="int32", data=paddings),
        Tensor(np.array(shape) + paddings.sum(axis=1), *quantization),
    ]
    return write_model(tensors, [Operation("MIRROR_PAD", [0, 1], [2], "MirrorPad", {"mode": mode})])


@st.composite
def reductions(draw: Any, name: str, wide: bool = False) -> bytes:
    shape = [draw(st.integers(1, 2)), draw(sides), draw(sides), draw(channels)]
    usual = st.sampled_from([[1, 2], [2, 1], [-3, -2], [1], [2], [3]])
    axes, keep = draw(st.one_of(usual, st.lists(st.integers(-4, 3), min_size=1, max_size=4))), draw(st.booleans())
    reduced = [1 if axis in (a % 4 for a in axes) else size for axis, size in enumerate(shape)]
    if not keep:
        reduced = [size for axis, size in enumerate(shape) if axis not in [a % 4 for a in axes]]
    quantization = draw(quantizations(wide, wide_scales))
    same = name == "REDUCE_MAX" or draw(st.booleans())
    source = Tensor(shape, *quantization)
    output = Tensor(reduced, *(quantization if same else draw(quantizations(wide, wide_scales))))
    where = Tensor([len(axes)], None, dtype="int32", data=np.array(axes))
    return write_model([source, where, output], [Operation(name, [0, 1], [2], "Reducer", {"keepDims": keep})])


@st.composite
def softmaxes(draw: Any, name: str) -> bytes:
    shape = [draw(st.integers(1, 3)), draw(st.integers(1, 40))]
    source = Tensor(shape, draw(st.floats(-12, 2).map(lambda bits: 2.0**bits)), draw(zero_points))
    if name == "LOG_SOFTMAX":
        return write_model([source, Tensor(shape, 1 / 16, 127)], [Operation(name, [0], [1], "LogSoftmax")])
    options = {"beta": draw(st.sampled_from([1.0, 1.0, 0.5, 2.0]))}
    return write_model([source, Tensor(shape, 1 / 256, -128)], [Operation(name, [0], [1], "Softmax", options)])


@st.composite
def tables(draw: Any, name: str) -> bytes:
    curved = name in ("ELU", "LOGISTIC", "TANH")
    source = Tensor([1, 256], draw(st.floats(2**-12, 4) if curved else wide_scales), draw(zero_points))
    output = Tensor([1, 256], draw(scales if curved else wide_scales), draw(zero_points))
    if name == "RELU6":
        output.scale, output.zero_point = source.scale, source.zero_point
    if name == "LOGISTIC":
        output.scale, output.zero_point = 1 / 256, -128
    if name == "TANH":
        output.scale, output.zero_point = 1 / 128, 0
    if name == "HARD_SWISH":
        output.scale = source.scale * draw(st.floats(0.25, 2.0))
    options = {"alpha": draw(st.floats(0.0, 2.0, width=32))} if name == "LEAKY_RELU" else {}
    kind = {"LEAKY_RELU": "LeakyRelu", "HARD_SWISH": "HardSwish"}.get(name, "")
    return write_model([source, output], [Operation(name, [0], [1], kind, options)])


@st.composite
def retyped(draw: Any, name: str) -> bytes:
    """QUANTIZE or DEQUANTIZE from one type to another."""
    dtypes = st.sampled_from(
        [
            *(("float32", "int8"), ("float32", "int16"), ("int8", "int16"), ("int8", "uint8")),
            *(("int16", "int8"), ("int16", "int16"), ("uint8", "int8")),
        ]
    )
    if name == "DEQUANTIZE":
        dtypes = st.sampled_from([(dtype, "float32") for dtype in ("int8", "uint8", "int16")])
    shape, ends = [1, draw(sides), draw(channels)], []
    for dtype in draw(dtypes):
        real = dtype == "float32"
        zero_point = {"int8": draw(zero_points), "uint8": draw(st.integers(0, 255))}.get(dtype, 0)
        ends.append(Tensor(shape, None if real else draw(wide_scales), zero_point, dtype))
    return write_model(ends, [Operation(name, [0], [1])])


@st.composite
def pads(draw: Any, name: str) -> bytes:
    shape = [1, draw(sides), draw(sides), draw(channels)]
    paddings = np.array([[0, 0], *draw(st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=3, max_size=3))])
    quantization = (draw(scales), draw(zero_points))
    output = Tensor(np.array(shape) + paddings.sum(axis=1), *quantization)
    tensors = [Tensor(shape, *quantization), Tensor([4, 2], None, dtype="int32", data=paddings)]
    if name == "PAD":
        return write_model([*tensors, output], [Operation(name, [0, 1], [2], "Pad")])
    value = Tensor([1], *quantization, data=np.array([draw(zero_points)]))
    return write_model([*tensors, value, output], [Operation(name, [0, 1, 2], [3], "PadV2")])


@st.composite
def concatenations(draw: Any) -> bytes:
    axis = draw(st.sampled_from([1, 2, 3, -1]))
    shape = [1, draw(sides), draw(sides), draw(channels)]
    quantization = (draw(scales), draw(zero_points))
    rng = np.random.default_rng(draw(seeds))
    sizes = [shape[axis], *draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))]
    tensors = []
    for number, size in enumerate(sizes):
        part = shape.copy()
        part[axis] = size
        tensors.append(Tensor(part, *quantization, data=rng.integers(-128, 128, part) if number else None))
    whole = shape.copy()
    whole[axis] = sum(sizes)
    order = draw(st.permutations(range(len(sizes))))
    operation = Operation("CONCATENATION", order, [len(sizes)], "Concatenation", {"axis": axis})
    return write_model([*tensors, Tensor(whole, *quantization)], [operation])


@st.composite
def resizes(draw: Any, name: str, kind: str) -> bytes:
    shape, size = [1, draw(sides), draw(sides), draw(channels)], [draw(st.integers(1, 20)), draw(st.integers(1, 20))]
    quantization = (draw(scales), draw(zero_points))
    align, half = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    tensors = [
        Tensor(shape, *quantization),
        Tensor([2], None, dtype="int32", data=np.array(size)),
        Tensor([1, *size, shape[3]], *quantization),
    ]
    options = {"alignCorners": align, "halfPixelCenters": half}
    operation = Operation(name, [0, 1], [2], kind, options)
    return write_model(tensors, [operation])


@st.composite
def reshapes(draw: Any, name: str) -> bytes:
    """A reshape between two operators that do something, one of which may overwrite its input."""
    shape = [1, draw(sides), draw(sides), draw(channels)]
    axis = draw(st.integers(-5, 4))
    constants = []
    if name == "RESHAPE":
        after = [1, math.prod(shape)]
    elif name == "SQUEEZE":
        after = [size for size in shape if size > 1]
    else:
        after = np.expand_dims(np.zeros(shape), axis).shape
        constants = [Tensor([1], None, dtype="int32", data=np.array([axis]))]
    first, second = (draw(scales), draw(zero_points)), (draw(scales), draw(zero_points))
    tensors = [Tensor(shape, *first), Tensor(shape, *second), Tensor(after, *second), *constants, Tensor(after, *first)]
    operations = [
        Operation("QUANTIZE", [0], [1]),
        Operation(name, [1, 3] if constants else [1], [2]),
        Operation("QUANTIZE", [2], [len(tensors) - 1]),
    ]
    return write_model(tensors, operations)


@st.composite
def matrix_products(draw: Any) -> bytes:
    rows, depth, columns = draw(st.tuples(*[st.integers(1, 7)] * 3))
    batch = draw(st.lists(st.integers(1, 3), max_size=2))
    adjoint_a, adjoint_b = draw(st.booleans()), draw(st.booleans())
    first = [*batch, *((depth, rows) if adjoint_a else (rows, depth))]
    second = [*batch, *((columns, depth) if adjoint_b else (depth, columns))]
    data = np.random.default_rng(draw(seeds)).integers(-128, 128, second)
    tensors = [
        Tensor(first, draw(scales), draw(zero_points)),
        Tensor(second, draw(scales), draw(zero_points), data=data),
        Tensor([*batch, rows, columns], draw(st.floats(0.05, 1)), draw(zero_points)),
    ]
    options = {"adjX": adjoint_a, "adjY": adjoint_b}
    return write_model(tensors, [Operation("BATCH_MATMUL", [0, 1], [2], "BatchMatMul", options)])


@st.composite
def transpose_convolutions(draw: Any) -> bytes:
    source, out = (
        [1, draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 6))],
        draw(st.integers(1, 6)),
    )
    size, stride = draw(st.tuples(*[st.integers(1, 4)] * 2)), draw(st.tuples(*[st.integers(1, 3)] * 2))
    padding = draw(st.integers(0, 1))
    after = [1, *(side * step for side, step in zip(source[1:3], stride, strict=True)), out]
    if padding:
        after[1:3] = [(side - 1) * step + reach for side, step, reach in zip(source[1:3], stride, size, strict=True)]
    rng = np.random.default_rng(draw(seeds))
    input_scale, count, shape = draw(scales), draw(st.sampled_from([1, out])), (out, *size, source[3])
    each = rng.uniform(0.002, 0.05, count).astype(np.float32)
    tensors = [
        Tensor([4], None, dtype="int32", data=np.array(after)),
        Tensor(shape, each, np.zeros(count), data=rng.integers(-127, 128, shape)),
        Tensor(source, input_scale, draw(zero_points)),
        Tensor([out], input_scale * each, np.zeros(count), dtype="int32", data=rng.integers(-4000, 4000, out)),
        Tensor(after, draw(st.floats(0.01, 1)), draw(zero_points)),
    ]
    options = {"padding": padding, "strideW": stride[1], "strideH": stride[0]}
    operands = draw(st.sampled_from([[0, 1, 2, 3], [0, 1, 2]]))
    operation = Operation("TRANSPOSE_CONV", operands, [4], "TransposeConv", options)
    return write_model(tensors, [operation], inputs=[2])


def moved(
    draw: Any, name: str, shape: Sequence[int], after: Sequence[int], constants: Sequence[Any], **options: Any
) -> bytes:
    """One input, constant numbers, one output of the same scale. options: `kind` and the schema's fields."""
    quantization = (draw(scales), draw(zero_points))
    numbers = [Tensor(np.shape(each), None, dtype="int32", data=np.array(each)) for each in constants]
    tensors = [Tensor(shape, *quantization), *numbers, Tensor(after, *quantization)]
    places = [*range(len(numbers) + 1)]
    return write_model(tensors, [Operation(name, places, [len(tensors) - 1], options.pop("kind"), options)])


@st.composite
def slices(draw: Any) -> bytes:
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    begin = [draw(st.integers(0, size - 1)) for size in shape]
    size = [draw(st.integers(1, extent - first)) for extent, first in zip(shape, begin, strict=True)]
    return moved(draw, "SLICE", shape, size, [begin, size], kind="Slice")


@st.composite
def strided_slices(draw: Any) -> bytes:
    shape = draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    begin, end, step, after, shrink = [], [], [], [], 0
    for axis, extent in enumerate(shape):
        way = draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        first = draw(st.integers(0, extent - 1))
        last = draw(st.integers(first + 1, extent)) if way > 0 else draw(st.integers(-1, first - 1))
        if way > 0 and len(shape) > 1 and draw(st.booleans()):
            shrink |= 1 << axis
            last = first + 1
        else:
            after.append(len(range(first, last, way)))
        begin.append(first - draw(st.sampled_from([0, extent])))
        end.append(last if last >= 0 else -extent - 1)
        step.append(way)
    options = {"beginMask": 0, "endMask": 0, "shrinkAxisMask": shrink}
    return moved(draw, "STRIDED_SLICE", shape, after, [begin, end, step], kind="StridedSlice", **options)


@st.composite
def transposes(draw: Any) -> bytes:
    shape = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    order = draw(st.permutations(range(len(shape))))
    return moved(draw, "TRANSPOSE", shape, [shape[axis] for axis in order], [list(order)], kind="Transpose")


@st.composite
def blocks(draw: Any, name: str) -> bytes:
    block = draw(st.integers(1, 3))
    small = [1, draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 4))]
    wide = [1, small[1] * block, small[2] * block, small[3]]
    deep = [1, small[1], small[2], small[3] * block**2]
    shapes = (deep, wide) if name == "DEPTH_TO_SPACE" else (wide, deep)
    kind = "DepthToSpace" if name == "DEPTH_TO_SPACE" else "SpaceToDepth"
    return moved(draw, name, *shapes, [], kind=kind, blockSize=block)


@st.composite
def packs(draw: Any) -> bytes:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    quantization, count = (draw(scales), draw(zero_points)), draw(st.integers(1, 3))
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    rng = np.random.default_rng(draw(seeds))
    others = [Tensor(shape, *quantization, data=rng.integers(-128, 128, shape)) for _ in range(count - 1)]
    after = np.stack([np.zeros(shape)] * count, axis=axis).shape
    tensors = [Tensor(shape, *quantization), *others, Tensor(after, *quantization)]
    options = {"axis": axis, "valuesCount": count}
    return write_model(tensors, [Operation("PACK", draw(st.permutations(range(count))), [count], "Pack", options)])


@st.composite
def parts(draw: Any, name: str) -> bytes:
    """All outputs are used: they are joined again in another order."""
    quantization = (draw(scales), draw(zero_points))
    count = draw(st.integers(1, 3))
    rest = draw(st.lists(st.integers(1, 5), min_size=2, max_size=2))
    axis = draw(st.integers(0, 2))
    lengths = [1] * count if name == "UNPACK" else [draw(st.integers(1, 3))] * count
    if name == "SPLIT_V":
        lengths = draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    whole = [*rest[:axis], sum(lengths), *rest[axis:]]
    each = [[*rest[:axis], *([] if name == "UNPACK" else [length]), *rest[axis:]] for length in lengths]
    along = draw(st.sampled_from([axis, axis - 3]))
    place = np.array([along] if name == "SPLIT_V" else along)
    number = Tensor(place.shape, None, dtype="int32", data=place)
    constants = {
        "SPLIT": [number],
        "SPLIT_V": [Tensor([count], None, dtype="int32", data=np.array(lengths)), number],
        "UNPACK": [],
    }[name]
    kind, options = {
        "SPLIT": ("Split", {"numSplits": count}),
        "SPLIT_V": ("SplitV", {"numSplits": count}),
        "UNPACK": ("Unpack", {"axis": along, "num": count}),
    }[name]
    first = 1 + len(constants)
    inputs = {"SPLIT": [1, 0], "SPLIT_V": [0, 1, 2], "UNPACK": [0]}[name]
    outputs = [*range(first, first + count)]
    order = draw(st.permutations(outputs))
    if name == "UNPACK":
        join = Operation("PACK", order, [first + count], "Pack", {"axis": axis, "valuesCount": count})
    else:
        join = Operation("CONCATENATION", order, [first + count], "Concatenation", {"axis": axis})
    tensors = [Tensor(whole, *quantization), *constants, *(Tensor(shape, *quantization) for shape in each)]
    tensors.append(Tensor(whole, *quantization))
    return write_model(tensors, [Operation(name, inputs, outputs, kind, options), join])


# By the operator that each model is about. A model may have others around it.
MODELS: dict[str, st.SearchStrategy[bytes]] = {
    "ADD": st.one_of(element_wise_pairs("ADD", "Add"), wide_sums("ADD", "Add")),
    "AVERAGE_POOL_2D": st.one_of(pools("AVERAGE_POOL_2D"), pools("AVERAGE_POOL_2D", wide=True)),
    "BATCH_MATMUL": matrix_products(),
    "CONCATENATION": concatenations(),
    "CONV_2D": st.one_of(convolutions(), convolutions(), convolutions(), convolutions(wide=True)),
    "DEPTHWISE_CONV_2D": st.one_of(*[depthwise_convolutions()] * 3, depthwise_convolutions(wide=True)),
    "DEPTH_TO_SPACE": blocks("DEPTH_TO_SPACE"),
    "DEQUANTIZE": retyped("DEQUANTIZE"),
    "ELU": tables("ELU"),
    "EXPAND_DIMS": reshapes("EXPAND_DIMS"),
    "FULLY_CONNECTED": st.one_of(fully_connected(), fully_connected(), fully_connected(wide=True)),
    "HARD_SWISH": tables("HARD_SWISH"),
    "LEAKY_RELU": tables("LEAKY_RELU"),
    "LOGISTIC": tables("LOGISTIC"),
    "LOG_SOFTMAX": softmaxes("LOG_SOFTMAX"),
    "MAXIMUM": element_wise_pairs("MAXIMUM", "MaximumMinimum"),
    "MAX_POOL_2D": st.one_of(pools("MAX_POOL_2D"), pools("MAX_POOL_2D", wide=True)),
    "MEAN": st.one_of(reductions("MEAN"), reductions("MEAN", wide=True)),
    "MINIMUM": element_wise_pairs("MINIMUM", "MaximumMinimum"),
    "MIRROR_PAD": mirror_pads(),
    "MUL": element_wise_pairs("MUL", "Mul"),
    "PACK": packs(),
    "PAD": pads("PAD"),
    "PADV2": pads("PADV2"),
    "PRELU": slopes(),
    "QUANTIZE": st.one_of(tables("QUANTIZE"), retyped("QUANTIZE")),
    "REDUCE_MAX": reductions("REDUCE_MAX"),
    "RELU": tables("RELU"),
    "RELU6": tables("RELU6"),
    "RESHAPE": reshapes("RESHAPE"),
    "RESIZE_BILINEAR": resizes("RESIZE_BILINEAR", "ResizeBilinear"),
    "RESIZE_NEAREST_NEIGHBOR": resizes("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor"),
    "SLICE": slices(),
    "SOFTMAX": softmaxes("SOFTMAX"),
    "SPACE_TO_DEPTH": blocks("SPACE_TO_DEPTH"),
    "SPLIT": parts("SPLIT"),
    "SPLIT_V": parts("SPLIT_V"),
    "SQUEEZE": reshapes("SQUEEZE"),
    "STRIDED_SLICE": strided_slices(),
    "SUB": st.one_of(element_wise_pairs("SUB", "Sub"), wide_sums("SUB", "Sub")),
    "SUM": st.one_of(reductions("SUM"), reductions("SUM", wide=True)),
    "TANH": tables("TANH"),
    "TRANSPOSE": transposes(),
    "TRANSPOSE_CONV": transpose_convolutions(),
    "UNPACK": parts("UNPACK"),
}


# Several operators, with what only shows between them: memory that is shared, and passes over the graph.
NETWORK = "NETWORK"
# The same over images of many rows, which may run in patches.
TALL_NETWORK = "TALL_NETWORK"


def draw_models(name: str, count: int, start: int = 0) -> list[bytes]:
    """`count` models of the operator `name`, or of a kind of network, the same for the same `start`."""
    kinds = {NETWORK: networks().map(Network.model), TALL_NETWORK: tall_networks().map(Network.model), **MODELS}
    return draw_examples(kinds[name], count, start)


def draw_small_model(name: str) -> bytes:
    """The one of a few whose arena is smallest: the least boards have 8 KB of RAM."""
    return min(draw_models(name, 4), key=lambda model: compile_network(model).arena_bytes)
