"""Every operator over random shapes, options and scales: its output is TensorFlow Lite Micro's, byte for byte."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tflite_writer import Operation, Tensor, write_model

# The C compiler is called once per batch of models; a case is one model.
BATCHES = 6
CASES = 24
RELU, RELU_N1_TO_1, RELU6 = 1, 2, 3

Check = Callable[..., None]
batches = settings(
    max_examples=BATCHES,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def of(cases: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    return st.lists(cases, min_size=CASES, max_size=CASES)


scales = st.floats(0.003, 0.6)
zero_points = st.integers(-128, 127)
activations = st.sampled_from([0, 0, RELU, RELU6, RELU_N1_TO_1])
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 9)
channels = st.integers(1, 11)


@st.composite
def windows(draw: Any, largest: int = 5, dilated: bool = True) -> dict[str, int]:
    """Options of a window, with the shapes that go with them: in_h, in_w, kernel_h, kernel_w, out_h, out_w."""
    padding = draw(st.sampled_from([0, 1]))
    found: dict[str, int] = {"padding": padding}
    for axis in ("h", "w"):
        stride, dilation = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2, 3])) if dilated else 1
        kernel = draw(st.integers(1, largest))
        reach = (kernel - 1) * dilation + 1
        size = draw(st.integers(1, 10)) if padding == 0 else draw(st.integers(reach, reach + 8))
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
    """int8 weights with one scale or one per index of `axis`, and an int32 bias."""
    count = shape[axis]
    spread = rng.uniform(0.001, 0.05, count if per_channel else 1).astype(np.float32)
    values = rng.integers(-127, 128, shape)
    tensors = [Tensor(shape, spread, 0, data=values, axis=axis)]
    if bias:
        product = np.float32(input_scale) * spread
        tensors.append(Tensor([count], product, 0, dtype="int32", data=rng.integers(-9999, 9999, count)))
    return tensors


@st.composite
def convolutions(draw: Any) -> bytes:
    window, inputs, outputs = draw(windows()), draw(channels), draw(channels)
    rng, scale = np.random.default_rng(draw(seeds)), draw(scales)
    shape = (outputs, window["kernel_h"], window["kernel_w"], inputs)
    constants = weights_and_bias(rng, shape, 0, scale, draw(st.booleans()), draw(st.booleans()))
    source = Tensor([1, window["in_h"], window["in_w"], inputs], scale, draw(zero_points))
    output = Tensor([1, window["out_h"], window["out_w"], outputs], draw(st.floats(0.05, 4)), draw(zero_points))
    options = convolution_options(window, draw(activations))
    operation = Operation("CONV_2D", range(len(constants) + 1), [len(constants) + 1], "Conv2D", options)
    return write_model([source, *constants, output], [operation])


@given(models=of(convolutions()))
@batches
def test_conv_2d(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


@st.composite
def depthwise_convolutions(draw: Any) -> bytes:
    window, inputs, multiplier = draw(windows()), draw(channels), draw(st.sampled_from([1, 1, 1, 2, 3]))
    outputs = inputs * multiplier
    rng, scale = np.random.default_rng(draw(seeds)), draw(scales)
    shape = (1, window["kernel_h"], window["kernel_w"], outputs)
    constants = weights_and_bias(rng, shape, 3, scale, draw(st.booleans()), draw(st.booleans()))
    source = Tensor([1, window["in_h"], window["in_w"], inputs], scale, draw(zero_points))
    output = Tensor([1, window["out_h"], window["out_w"], outputs], draw(st.floats(0.05, 4)), draw(zero_points))
    options = convolution_options(window, draw(activations)) | {"depthMultiplier": multiplier}
    operands = range(len(constants) + 1)
    operation = Operation("DEPTHWISE_CONV_2D", operands, [len(constants) + 1], "DepthwiseConv2D", options)
    return write_model([source, *constants, output], [operation])


@given(models=of(depthwise_convolutions()))
@batches
def test_depthwise_conv_2d(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


@st.composite
def fully_connected(draw: Any) -> bytes:
    rows, depth, outputs = draw(st.sampled_from([1, 1, 3])), draw(st.integers(1, 40)), draw(st.integers(1, 13))
    rng, scale = np.random.default_rng(draw(seeds)), draw(scales)
    constants = weights_and_bias(rng, (outputs, depth), 0, scale, draw(st.booleans()), draw(st.booleans()))
    source = Tensor([rows, depth], scale, draw(zero_points))
    output = Tensor([rows, outputs], draw(st.floats(0.05, 4)), draw(zero_points))
    options = {"fusedActivationFunction": draw(activations)}
    operation = Operation("FULLY_CONNECTED", range(len(constants) + 1), [len(constants) + 1], "FullyConnected", options)
    return write_model([source, *constants, output], [operation])


@given(models=of(fully_connected()))
@batches
def test_fully_connected(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


@st.composite
def pools(draw: Any) -> bytes:
    window, count = draw(windows(largest=7, dilated=False)), draw(channels)
    quantization = (draw(scales), draw(zero_points))
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
    name = draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
    return write_model([source, output], [Operation(name, [0], [1], "Pool2D", options)])


@given(models=of(pools()))
@batches
def test_average_and_max_pool_2d(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


@st.composite
def element_wise_pairs(draw: Any, name: str, kind: str) -> bytes:
    """Equal shapes, one value per channel, or a single value, as an activation's partner or a constant."""
    shape = [1, draw(sides), draw(sides), draw(channels)]
    partner = draw(st.sampled_from([shape, shape, [1, 1, 1, shape[3]], [1], [1, shape[1], 1, shape[3]]]))
    rng = np.random.default_rng(draw(seeds))
    first, second = Tensor(shape, draw(scales), draw(zero_points)), Tensor(partner, draw(scales), draw(zero_points))
    output = Tensor(shape, draw(st.floats(0.05, 1)), draw(zero_points))
    options = {"fusedActivationFunction": draw(activations)}
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


@given(models=of(element_wise_pairs("ADD", "Add")))
@batches
def test_add(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


@given(models=of(element_wise_pairs("MUL", "Mul")))
@batches
def test_mul(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


@st.composite
def means(draw: Any) -> bytes:
    shape = [1, draw(sides), draw(sides), draw(channels)]
    axes, keep = draw(st.sampled_from([[1, 2], [2, 1], [-3, -2], [1], [2], [3]])), draw(st.booleans())
    reduced = [1 if axis in (a % 4 for a in axes) else size for axis, size in enumerate(shape)]
    if not keep:
        reduced = [size for axis, size in enumerate(shape) if axis not in [a % 4 for a in axes]]
    source = Tensor(shape, draw(scales), draw(zero_points))
    same = draw(st.booleans())
    output = Tensor(reduced, source.scale if same else draw(scales), source.zero_point if same else draw(zero_points))
    where = Tensor([len(axes)], None, dtype="int32", data=np.array(axes))
    return write_model([source, where, output], [Operation("MEAN", [0, 1], [2], "Reducer", {"keepDims": keep})])


@given(models=of(means()))
@batches
def test_mean(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


@st.composite
def softmaxes(draw: Any) -> bytes:
    shape = [draw(st.integers(1, 3)), draw(st.integers(1, 40))]
    source = Tensor(shape, draw(st.floats(2**-12, 4)), draw(zero_points))
    options = {"beta": draw(st.sampled_from([1.0, 1.0, 0.5, 2.0]))}
    return write_model([source, Tensor(shape, 1 / 256, -128)], [Operation("SOFTMAX", [0], [1], "Softmax", options)])


@given(models=of(softmaxes()))
@batches
def test_softmax(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


@st.composite
def tables(draw: Any) -> bytes:
    name = draw(st.sampled_from(["QUANTIZE", "RELU", "RELU6"]))
    source = Tensor([1, 256], draw(scales), draw(zero_points))
    output = Tensor([1, 256], draw(scales), draw(zero_points))
    if name == "RELU6":
        output.scale, output.zero_point = source.scale, source.zero_point
    return write_model([source, output], [Operation(name, [0], [1])])


@given(models=of(tables()))
@batches
def test_quantize_relu_and_relu6(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


@st.composite
def pads(draw: Any) -> bytes:
    shape = [1, draw(sides), draw(sides), draw(channels)]
    paddings = np.array([[0, 0], *draw(st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=3, max_size=3))])
    quantization = (draw(scales), draw(zero_points))
    output = Tensor(np.array(shape) + paddings.sum(axis=1), *quantization)
    tensors = [Tensor(shape, *quantization), Tensor([4, 2], None, dtype="int32", data=paddings)]
    if draw(st.booleans()):
        return write_model([*tensors, output], [Operation("PAD", [0, 1], [2], "Pad")])
    value = Tensor([1], *quantization, data=np.array([draw(zero_points)]))
    return write_model([*tensors, value, output], [Operation("PADV2", [0, 1, 2], [3], "PadV2")])


@given(models=of(pads()))
@batches
def test_pad_and_padv2(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


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


@given(models=of(concatenations()))
@batches
def test_concatenation(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


@st.composite
def resizes(draw: Any) -> bytes:
    shape, size = [1, draw(sides), draw(sides), draw(channels)], [draw(st.integers(1, 20)), draw(st.integers(1, 20))]
    quantization = (draw(scales), draw(zero_points))
    align, half = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    tensors = [
        Tensor(shape, *quantization),
        Tensor([2], None, dtype="int32", data=np.array(size)),
        Tensor([1, *size, shape[3]], *quantization),
    ]
    options = {"alignCorners": align, "halfPixelCenters": half}
    operation = Operation("RESIZE_NEAREST_NEIGHBOR", [0, 1], [2], "ResizeNearestNeighbor", options)
    return write_model(tensors, [operation])


@given(models=of(resizes()))
@batches
def test_resize_nearest_neighbor(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)


@st.composite
def reshapes(draw: Any) -> bytes:
    """A reshape between two operators that do something, one of which may overwrite its input."""
    shape = [1, draw(sides), draw(sides), draw(channels)]
    flat = [1, math.prod(shape)]
    first, second = (draw(scales), draw(zero_points)), (draw(scales), draw(zero_points))
    tensors = [Tensor(shape, *first), Tensor(shape, *second), Tensor(flat, *second), Tensor(flat, *first)]
    operations = [
        Operation("QUANTIZE", [0], [1]),
        Operation("RESHAPE", [1], [2]),
        Operation("QUANTIZE", [2], [3]),
    ]
    return write_model(tensors, operations)


@given(models=of(reshapes()))
@batches
def test_reshape(check_equal: Check, models: list[bytes]) -> None:
    check_equal(models)
