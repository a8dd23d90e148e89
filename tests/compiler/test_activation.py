"""A function that is a mere clamp costs nothing, and the outputs stay the reference's."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from cases import CORTEX_M4
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network

SHAPE = [1, 6, 6, 4]
INSIDE = (0.06, -5)
KINDS = {
    "CONV_2D": ("Conv2D", {"padding": 0, "strideH": 1, "strideW": 1}),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2D", {"padding": 0, "strideH": 1, "strideW": 1, "depthMultiplier": 1}),
    "FULLY_CONNECTED": ("FullyConnected", {"keepNumDims": True}),
    "MAX_POOL_2D": ("Pool2D", {"padding": 0, "strideH": 1, "strideW": 1, "filterHeight": 2, "filterWidth": 2}),
    "AVERAGE_POOL_2D": ("Pool2D", {"padding": 0, "strideH": 1, "strideW": 1, "filterHeight": 2, "filterWidth": 2}),
    "ADD": ("Add", {}),
    "MUL": ("Mul", {}),
    "SUB": ("Sub", {}),
}


def followed(
    name: str,
    functions: Sequence[tuple[str, tuple[float, int]]] = (("RELU", INSIDE),),
    *,
    fused: int = 0,
    read_twice: bool = False,
) -> bytes:
    """An operator and functions of what it computes, each with its output's quantisation; fused: its own activation."""
    rng = np.random.default_rng(2)
    quantization = INSIDE if name.endswith("POOL_2D") else (0.05, 3)
    weights = {"CONV_2D": (4, 3, 3, 4), "DEPTHWISE_CONV_2D": (1, 3, 3, 4), "FULLY_CONNECTED": (4, 4)}.get(name)
    tensors = [Tensor(SHAPE, *quantization)]
    inputs = [0, 0]
    if weights is not None:
        tensors.append(Tensor(weights, 0.02, data=rng.integers(-127, 128, weights)))
        inputs = [0, 1]
    tensors.append(Tensor(SHAPE, *INSIDE))
    kind, options = KINDS[name]
    operations = [
        Operation(
            name,
            inputs[:1] if name.endswith("POOL_2D") else inputs,
            [len(tensors) - 1],
            kind,
            {**options, "fusedActivationFunction": fused},
        )
    ]
    first = len(tensors) - 1
    for function, quantization in functions:
        tensors.append(Tensor(SHAPE, *quantization))
        operations.append(Operation(function, [len(tensors) - 2], [len(tensors) - 1]))
    return write_model(tensors, operations, outputs=[len(tensors) - 1, *([first] if read_twice else [])])


def layers(model: bytes) -> list[str]:
    return [layer.op for layer in compile_network(model).layers]


FOLDED = [
    *(followed(name) for name in KINDS),
    followed("CONV_2D", [("RELU6", INSIDE)]),
    followed("CONV_2D", [("RELU6", INSIDE), ("RELU", INSIDE)]),
    followed("CONV_2D", fused=3),
    followed("DEPTHWISE_CONV_2D", [("QUANTIZE", INSIDE)]),
]


def test_a_clamp_becomes_part_of_the_operator_before_it(check_equal: Callable[..., None]) -> None:
    for model in FOLDED:
        assert len(layers(model)) == 1
    check_equal(FOLDED)


def test_it_does_so_on_the_board(check_equal: Callable[..., None]) -> None:
    check_equal(FOLDED, machine=CORTEX_M4)


@pytest.mark.parametrize(
    "given",
    [
        {"functions": [("RELU", (0.07, -5))]},
        {"functions": [("RELU", (0.06, -4))]},
        {"functions": [("QUANTIZE", (0.07, -5))]},
        {"functions": [("TANH", (1 / 128, 0))]},
        {"read_twice": True},
    ],
)
def test_what_is_no_clamp_or_is_read_before_it_stays(check_equal: Callable[..., None], given: dict[str, Any]) -> None:
    assert len(layers(followed("CONV_2D", **given))) == 2
    check_equal([followed("CONV_2D", **given)])


def test_the_reader_is_told() -> None:
    layer = compile_network(followed("CONV_2D")).layers[0]
    assert layer.comment.endswith("with the RELU of operator 1")


def test_its_readers_keep_the_scale_when_channels_are_left_out(check_equal: Callable[..., None]) -> None:
    """Every input of the RELU gives its highest value, so it is a clamp although it has a scale of its own."""
    rng = np.random.default_rng(4)
    tensors = [
        Tensor(SHAPE, 0.05, 3),
        Tensor([8, 1, 1, 4], 0.02, data=rng.integers(-127, 128, (8, 1, 1, 4))),
        Tensor([1, 6, 6, 8], 0.12, 0),
        Tensor([1, 6, 6, 8], 0.2, 127),
        Tensor([4, 2], None, dtype="int32", data=np.array([[0, 0], [1, 0], [0, 1], [0, 0]])),
        Tensor([1, 7, 7, 8], 0.2, 127),
        Tensor([4, 3, 3, 8], 0.02, data=rng.integers(-127, 128, (4, 3, 3, 8))),
        Tensor([4], 0.004, dtype="int32", data=np.array([900, -4000, 30, 7000])),
        Tensor([1, 5, 5, 4], 0.3, -20),
    ]
    convolution = {"padding": 0, "strideH": 1, "strideW": 1}
    operations = [
        Operation("CONV_2D", [0, 1], [2], "Conv2D", convolution),
        Operation("RELU", [2], [3]),
        Operation("PAD", [3, 4], [5], "Pad"),
        Operation("CONV_2D", [5, 6, 7], [8], "Conv2D", convolution | {"padding": 1}),
    ]
    model = write_model(tensors, operations)
    assert compile_network(model).channels_left_out > 0
    check_equal([model])
