"""Float network -> int8 .tflite: after training, or trained with quantization in mind.

Everything is int8, input and output too, weights per output channel, and the batch is 1. With activations of 16 bits,
all but the weights and biases is int16.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynas.errors import CandidateError, MalformedModelError
from tinynas.model.augment import NO_AUGMENTATION, Augmentation
from tinynas.model.data import Task
from tinynas.model.process import captured_stderr


def quantize(model: Any, representative: np.ndarray, activation_bits: int = 8) -> bytes:
    """Post-training quantization: activation ranges come from `representative`, float32 (n, *input_shape).

    activation_bits: 8 or 16. Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", 2018; TensorFlow Lite's 8-bit quantization specification.

    Raises:
        CandidateError: the converter refuses the network.
    """
    from tinynas.model.train import as_input

    return _convert(model, as_input(representative, model.input_shape), activation_bits)


def qat(
    model: Any,
    task: Task,
    *,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 3e-4,
    seed: int,
    augmentation: Augmentation = NO_AUGMENTATION,
    samples: int | None = None,
) -> bytes:
    """Train a trained network on for `epochs` with quantization simulated, and convert it. `model` stays as it is.

    The ranges are learned in training, so that no representative set is needed.

    Raises:
        CandidateError: the network has a layer that cannot be trained so, or training diverged, or the converter
            refuses it.
    """
    with captured_stderr(), warnings.catch_warnings():
        # It compares versions in a way that Python deprecated.
        warnings.simplefilter("ignore")
        import tensorflow_model_optimization as tfmot

    from tinynas.model.train import train

    try:
        aware = tfmot.quantization.keras.quantize_model(model)
    except (ValueError, RuntimeError) as error:
        raise CandidateError(f"quantization-aware training cannot handle the network: {error}") from error
    train(
        aware,
        task,
        epochs=epochs,
        samples=samples,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=epochs,
        seed=seed,
        augmentation=augmentation,
    )
    return _convert(aware, None)


def quantize_input(x: np.ndarray, scale: float, zero_point: int, dtype: Any = np.int8) -> np.ndarray:
    """Float inputs as integers: round half to even of x / scale + zero_point, saturated; the shape stays."""
    limits = np.iinfo(dtype)
    quantized = np.clip(np.round(x / np.float32(scale)) + zero_point, limits.min, limits.max)
    return np.asarray(quantized.astype(dtype, order="C"))


def quantize_for(tflite: bytes, x: np.ndarray) -> np.ndarray:
    """Float inputs `x` (n, *input_shape) as the network takes them, with its input's type, scale and zero point: bytes,
    int8, in the shape of `x`, of int16 values with twice as many in the last dimension.

    Raises:
        MalformedModelError: the model cannot be read, or its input is neither int8 nor int16, or has no scale.
    """
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    try:
        graph = schema.Model.GetRootAs(tflite, 0).Subgraphs(0)
        tensor = graph.Tensors(graph.Inputs(0))
        parameters, kind = tensor.Quantization(), tensor.Type()
        scale, zero_point = float(parameters.Scale(0)), int(parameters.ZeroPoint(0))
    except Exception as error:
        raise MalformedModelError(f"the quantization of the model's input cannot be read: {error}") from error
    dtypes = {schema.TensorType.INT8: np.int8, schema.TensorType.INT16: np.int16}
    if kind not in dtypes:
        raise MalformedModelError(
            f"the model's input has type {kind} of the schema, int8 ({schema.TensorType.INT8}) or int16 "
            f"({schema.TensorType.INT16}) is expected"
        )
    if not scale > 0:
        raise MalformedModelError(f"the model's input has quantization scale {scale}")
    return quantize_input(x, scale, zero_point, dtypes[kind]).view(np.int8)


def _convert(model: Any, representative: np.ndarray | None, activation_bits: int = 8) -> bytes:
    import tensorflow as tf

    wide = activation_bits == 16
    modes = tf.lite.OpsSet
    mode = modes.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8 if wide else modes.TFLITE_BUILTINS_INT8

    signature = [tf.TensorSpec([1, *model.input_shape[1:]], tf.float32)]
    traced = tf.function(lambda x: model(x, training=False), input_signature=signature, autograph=False)
    # The converter saves what it is given as a SavedModel. A module with the variables alone takes a quarter of the
    # time of the Keras model, and gives the same bytes.
    module = tf.Module()
    module.variables_of_model = list(model.variables)
    try:
        with captured_stderr(), warnings.catch_warnings():
            # The converter misses ranges that the calibration has yet to find, or that training has put into the graph.
            warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
            converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()], module)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.inference_input_type = converter.inference_output_type = tf.int16 if wide else tf.int8
            if representative is not None:
                converter.representative_dataset = lambda: _one_by_one(representative)
                converter.target_spec.supported_ops = [mode]
            return bytes(converter.convert())
    except Exception as error:
        raise CandidateError(f"the TensorFlow Lite converter refuses the network: {error}") from error


def _one_by_one(x: np.ndarray) -> Iterator[list[np.ndarray]]:
    for index in range(len(x)):
        yield [x[index : index + 1]]
