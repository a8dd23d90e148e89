"""`python tests/device/known_network.py` writes firmware/selftest/known.tflite, for `tinynas boards check`."""

import sys
from pathlib import Path

import numpy as np

from tinynas.paths import FIRMWARE

sys.path.insert(0, str(Path(__file__).parents[1] / "compiler"))
from tflite_writer import Operation, Tensor, write_model

KNOWN = FIRMWARE / "selftest" / "known.tflite"


def known_network() -> bytes:
    """One of each operator that most networks are made of, for an image of 12 x 12 x 3.

    What the softmax, the maximum and the mean would hide is an output, too.
    """
    rng = np.random.default_rng(17)

    def weights(shape: list[int], axis: int = 0) -> Tensor:
        spread, values = rng.uniform(0.004, 0.008, shape[axis]), rng.integers(-127, 128, shape)
        return Tensor(shape, spread, data=values, axis=axis, name="weights")

    def bias(source: Tensor, factors: Tensor) -> Tensor:
        scale = np.float32(source.scale) * factors.scale
        values = rng.integers(-2000, 2000, factors.shape[factors.axis])
        return Tensor([len(values)], scale, dtype="int32", data=values, name="bias")

    tensors = [Tensor([1, 12, 12, 3], 0.02, -4, name="image")]
    operations: list[Operation] = []

    def layer(operator: tuple[str, str], factors: Tensor, output: Tensor, **options: int) -> int:
        source = len(tensors) - 1
        tensors.extend([factors, bias(tensors[source], factors), output])
        operations.append(Operation(operator[0], [source, source + 1, source + 2], [source + 3], operator[1], options))
        return source + 3

    def single(operator: str, output: Tensor, kind: str, *more: int, **options: float) -> int:
        source = len(tensors) - 1
        tensors.append(output)
        operations.append(Operation(operator, [source, *more], [source + 1], kind, options))
        return source + 1

    stride = {"strideH": 2, "strideW": 2}
    dense = {"strideH": 1, "strideW": 1}
    each = {"depthMultiplier": 1}
    conv, depthwise = ("CONV_2D", "Conv2D"), ("DEPTHWISE_CONV_2D", "DepthwiseConv2D")
    first = layer(conv, weights([8, 3, 3, 3]), Tensor([1, 6, 6, 8], 0.04, -128), **stride)
    layer(depthwise, weights([1, 3, 3, 8], 3), Tensor([1, 6, 6, 8], 0.04, 3), **dense, **each)
    layer(conv, weights([8, 1, 1, 8]), Tensor([1, 6, 6, 8], 0.04, 5), **dense)
    added = single("ADD", Tensor([1, 6, 6, 8], 0.08, -9, name="sum"), "Add", first)
    layer(conv, weights([12, 1, 1, 8]), Tensor([1, 6, 6, 12], 0.07, -128), **dense, fusedActivationFunction=1)
    layer(depthwise, weights([1, 3, 3, 12], 3), Tensor([1, 3, 3, 12], 0.1, 0), **stride, **each)
    pool = {"padding": 1, "strideH": 1, "strideW": 1, "filterHeight": 2, "filterWidth": 2}
    pooled = single("MAX_POOL_2D", Tensor([1, 2, 2, 12], 0.1, 0, name="largest"), "Pool2D", **pool)
    single("AVERAGE_POOL_2D", Tensor([1, 1, 1, 12], 0.1, 0), "Pool2D", **pool)
    scores = layer(("FULLY_CONNECTED", "FullyConnected"), weights([10, 12]), Tensor([1, 10], 0.08, 2, name="scores"))
    softmax = single("SOFTMAX", Tensor([1, 10], 1 / 256, -128, name="shares"), "Softmax", beta=1.0)
    return write_model(tensors, operations, outputs=[added, pooled, scores, softmax])


if __name__ == "__main__":
    KNOWN.write_bytes(known_network())
