"""A PAD before a convolution costs nothing, and the outputs stay the reference's."""

from collections.abc import Callable

import numpy as np
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network


def padded(
    name: str = "CONV_2D",
    *,
    paddings: tuple[tuple[int, int], tuple[int, int]] = ((1, 1), (1, 1)),
    stride: int = 2,
    same: bool = False,
    value: int | None = None,
    read_twice: bool = False,
) -> bytes:
    """PAD, then a window of 3x3 over what comes of it; `value` pads with another value than the zero point."""
    rng = np.random.default_rng(5)
    height, width = (8 + sum(pads) for pads in paddings)
    out = [-(-side // stride) if same else (side - 3) // stride + 1 for side in (height, width)]
    shape = [8, 3, 3, 4] if name == "CONV_2D" else [1, 3, 3, 4]
    channels = shape[0] if name == "CONV_2D" else 4
    quantization = (0.05, 3)
    tensors = [
        Tensor([1, 8, 8, 4], *quantization),
        Tensor([4, 2], None, dtype="int32", data=np.array([[0, 0], *paddings, [0, 0]])),
        Tensor([1, height, width, 4], *quantization),
        Tensor(shape, 0.02, data=rng.integers(-127, 128, shape)),
        Tensor([1, *out, channels], 0.3, -20),
    ]
    kind = "Conv2D" if name == "CONV_2D" else "DepthwiseConv2D"
    options = {"padding": 0 if same else 1, "strideH": stride, "strideW": stride}
    if name != "CONV_2D":
        options["depthMultiplier"] = 1
    operations = [Operation("PAD", [0, 1], [2], "Pad"), Operation(name, [2, 3], [4], kind, options)]
    if value is not None:
        tensors.append(Tensor([1], *quantization, data=np.array([value])))
        operations[0] = Operation("PADV2", [0, 1, 5], [2], "PadV2")
    if read_twice:
        tensors += [Tensor([1, height, width, 4], *quantization), Tensor([1, *out, channels], 0.3, -20)]
        pool = {"padding": 0, "strideH": 1, "strideW": 1, "filterHeight": 1, "filterWidth": 1}
        operations += [
            Operation("MAX_POOL_2D", [2], [len(tensors) - 2], "Pool2D", pool),
            Operation(name, [len(tensors) - 2, 3], [len(tensors) - 1], kind, options),
        ]
        return write_model(tensors, operations)
    return write_model(tensors, operations, outputs=[4])


def layers(model: bytes) -> list[str]:
    return [layer.op for layer in compile_network(model).layers]


def test_a_padding_with_the_zero_point_becomes_part_of_the_convolution(check_equal: Callable[..., None]) -> None:
    models = [
        padded(name, paddings=paddings, stride=stride, same=same)
        for name in ("CONV_2D", "DEPTHWISE_CONV_2D")
        for paddings in (((1, 1), (1, 1)), ((0, 1), (0, 1)), ((2, 0), (1, 2)))
        for stride, same in ((1, False), (2, False), (2, True))
    ]
    for model in models:
        assert len(layers(model)) == 1
    check_equal(models)


def test_memory_for_the_padded_image_is_saved() -> None:
    folded, kept = compile_network(padded()), compile_network(padded(value=4))
    assert kept.arena_bytes - folded.arena_bytes >= 10 * 10 * 4 - 8 * 8 * 4


def test_what_another_operator_reads_or_another_value_fills_stays(check_equal: Callable[..., None]) -> None:
    models = [padded(value=4), padded(read_twice=True), padded(paddings=((3, 3), (3, 3)))]
    for model in models:
        assert layers(model)[0] in ("PAD", "PADV2")
    check_equal(models)


def test_a_value_that_is_the_zero_point_is_folded_as_well(check_equal: Callable[..., None]) -> None:
    assert layers(padded(value=3)) == ["CONV_2D"]
    check_equal([padded(value=3)])
