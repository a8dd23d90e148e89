"""A network with several inputs and outputs of several types."""

import numpy as np
from tflite_writer import Operation, Tensor, write_model


def mixed_ends() -> bytes:
    """A float32 image plus an int8 one, convolved; their sum as uint8, the features as float32, their mean as int16."""
    weights = np.random.default_rng(3).integers(-127, 128, (8, 3, 3, 3))
    tensors = [
        Tensor([1, 5, 5, 3], None, dtype="float32", name="real"),
        Tensor([1, 5, 5, 3], 0.2, -5, name="whole"),
        Tensor([1, 5, 5, 3], 0.05, 2, name="quantized"),
        Tensor([1, 5, 5, 3], 0.25, 1, name="sum"),
        Tensor([8, 3, 3, 3], 0.01, data=weights),
        Tensor([1, 5, 5, 8], 0.4, -128, name="features"),
        Tensor([2], None, dtype="int32", data=np.array([1, 2])),
        Tensor([1, 8], 0.4, -128, name="mean"),
        Tensor([1, 5, 5, 3], 0.25, 129, "uint8", name="sum_as_bytes"),
        Tensor([1, 5, 5, 8], None, dtype="float32", name="real_features"),
        Tensor([1, 8], 0.002, 0, "int16", name="wide_mean"),
    ]
    operations = [
        Operation("QUANTIZE", [0], [2]),
        Operation("ADD", [2, 1], [3], "Add"),
        Operation("CONV_2D", [3, 4], [5], "Conv2D", {"strideH": 1, "strideW": 1, "fusedActivationFunction": 1}),
        Operation("MEAN", [5, 6], [7], "Reducer"),
        Operation("QUANTIZE", [3], [8]),
        Operation("DEQUANTIZE", [5], [9]),
        Operation("QUANTIZE", [7], [10]),
    ]
    return write_model(tensors, operations, inputs=[1, 0], outputs=[8, 9, 10])
