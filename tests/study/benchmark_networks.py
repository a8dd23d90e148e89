"""Small networks with the inputs of MLPerf Tiny's benchmarks, for tests of their firmware that need no other files."""

from types import SimpleNamespace

import numpy as np
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network
from tinynas.model.score import run_reference


def classifier(inputs: int, outputs: int) -> bytes:
    """A fully connected layer; its outputs are not restricted to probabilities, so that negative ones occur."""
    rng = np.random.default_rng(inputs)
    tensors = [
        Tensor([1, inputs], 0.05, 7, name="features"),
        Tensor([outputs, inputs], 0.01, data=rng.integers(-127, 128, (outputs, inputs))),
        Tensor([1, outputs], 0.0371, -3, name="scores"),
    ]
    return write_model(tensors, [Operation("FULLY_CONNECTED", [0, 1], [2], "FullyConnected")])


def autoencoder(inputs: int, outputs: int | None = None) -> bytes:
    """Two fully connected layers with eight values between them."""
    rng = np.random.default_rng(inputs)
    outputs = outputs or inputs
    tensors = [
        Tensor([1, inputs], 0.39, 89, name="spectrum"),
        Tensor([8, inputs], 0.002, data=rng.integers(-127, 128, (8, inputs))),
        Tensor([1, 8], 0.3, 0, name="code"),
        Tensor([outputs, 8], 0.02, data=rng.integers(-127, 128, (outputs, 8))),
        Tensor([1, outputs], 0.36, 96, name="restored"),
    ]
    operations = [
        Operation("FULLY_CONNECTED", [0, 1], [2], "FullyConnected"),
        Operation("FULLY_CONNECTED", [2, 3], [4], "FullyConnected"),
    ]
    return write_model(tensors, operations)


def with_vector(tflite: bytes) -> SimpleNamespace:
    """What an export takes: the network, and an input of zeros with tflite-micro's output."""
    inputs = np.zeros((1, compile_network(tflite).inputs_bytes), np.int8)
    outputs = run_reference(tflite, inputs)
    return SimpleNamespace(tflite=tflite, inputs=inputs.tobytes(), outputs=outputs.tobytes(), arena_bytes=1)
