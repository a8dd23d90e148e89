"""Architecture -> Keras network whose conversion needs only operators that the compiler knows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tf_keras as keras

from tinynas.errors import UnsupportedError
from tinynas.space.architecture import Architecture, Layer

# A candidate's epoch is some 200 steps: statistics that remember 1,000 steps (Keras' 0.99) would still be the initial
# ones when the first epochs are judged.
_BATCH_NORM_MOMENTUM = 0.9


def build(architecture: Architecture, seed: int) -> Any:
    """The float network, tf_keras.Model: float32 (batch, *input of the first layer) -> logits (batch, classes).

    Layers carry the architecture's names. Weights depend on `seed` only. A series (time, channels) enters as
    (time, 1, channels). Networks built earlier in this process stay usable, but Keras forgets them.

    Raises:
        UnsupportedError: an operator that Keras networks are not built of here.
        UnsupportedError: a depthwise convolution of an image whose two strides differ.
    """
    # Keras keeps what it has built: dozens of candidates in one process would exhaust the memory.
    keras.backend.clear_session()
    outputs: list[Any] = []
    for index, layer in enumerate(architecture.layers):
        if layer.op not in _BUILDERS:
            raise UnsupportedError(
                f"layer {index} ({layer.name}) has operator {layer.op!r}; known are {', '.join(_BUILDERS)}"
            )
        outputs.append(_BUILDERS[layer.op](layer, [outputs[source] for source in layer.inputs], seed + index))
    return keras.Model(outputs[0], outputs[-1])


def settle(model: Any, x: np.ndarray) -> None:
    """Give an untrained network's batch normalisations the statistics of `x`, float32 (n, *input), as training does."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        layer.momentum = 0.0
    model(x, training=True)
    for layer in layers:
        layer.momentum = _BATCH_NORM_MOMENTUM


def _input(layer: Layer, _: list[Any], __: int) -> Any:
    shape = layer.shape if len(layer.shape) != 2 else (layer.shape[0], 1, layer.shape[1])
    return keras.Input(shape, name=layer.name)


def _conv(layer: Layer, inputs: list[Any], seed: int) -> Any:
    convolution = keras.layers.Conv2D(
        layer.filters,
        layer.kernel,
        strides=layer.stride,
        padding=layer.padding,
        use_bias=not layer.batch_norm,
        kernel_initializer=keras.initializers.HeNormal(seed=seed),
        name=layer.name,
    )
    return _finish(layer, convolution(inputs[0]))


def _depthwise(layer: Layer, inputs: list[Any], seed: int) -> Any:
    stride = layer.stride
    if stride[0] != stride[1]:
        if inputs[0].shape[2] != 1:
            raise UnsupportedError(f"{layer.name}: TensorFlow has no depthwise convolution of unequal strides {stride}")
        # A series is one column wide: the stride along the width moves nothing.
        stride = (stride[0], stride[0])
    convolution = keras.layers.DepthwiseConv2D(
        layer.kernel,
        strides=stride,
        padding=layer.padding,
        use_bias=not layer.batch_norm,
        depthwise_initializer=keras.initializers.HeNormal(seed=seed),
        name=layer.name,
    )
    return _finish(layer, convolution(inputs[0]))


def _dense(layer: Layer, inputs: list[Any], seed: int) -> Any:
    dense = keras.layers.Dense(
        layer.filters,
        use_bias=not layer.batch_norm,
        kernel_initializer=keras.initializers.HeNormal(seed=seed),
        name=layer.name,
    )
    return _finish(layer, dense(inputs[0]))


def _add(layer: Layer, inputs: list[Any], _: int) -> Any:
    return _activate(layer, keras.layers.Add(name=layer.name)(inputs))


def _max_pool(layer: Layer, inputs: list[Any], _: int) -> Any:
    pool = keras.layers.MaxPooling2D(layer.kernel, strides=layer.stride, padding=layer.padding, name=layer.name)
    return pool(inputs[0])


def _avg_pool(layer: Layer, inputs: list[Any], _: int) -> Any:
    pool = keras.layers.AveragePooling2D(layer.kernel, strides=layer.stride, padding=layer.padding, name=layer.name)
    return pool(inputs[0])


def _global_avg_pool(layer: Layer, inputs: list[Any], _: int) -> Any:
    return keras.layers.GlobalAveragePooling2D(name=layer.name)(inputs[0])


def _flatten(layer: Layer, inputs: list[Any], _: int) -> Any:
    return keras.layers.Flatten(name=layer.name)(inputs[0])


def _finish(layer: Layer, x: Any) -> Any:
    """Batch normalisation, which conversion folds into the weights, then the activation, which it fuses."""
    if layer.batch_norm:
        x = keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM, name=f"{layer.name}_bn")(x)
    return _activate(layer, x)


def _activate(layer: Layer, x: Any) -> Any:
    if layer.activation == "none":
        return x
    ceiling = {"relu": None, "relu6": 6.0}[layer.activation]
    return keras.layers.ReLU(max_value=ceiling, name=f"{layer.name}_{layer.activation}")(x)


_BUILDERS: dict[str, Callable[[Layer, list[Any], int], Any]] = {
    "input": _input,
    "conv": _conv,
    "depthwise": _depthwise,
    "dense": _dense,
    "add": _add,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_avg_pool": _global_avg_pool,
    "flatten": _flatten,
}
