"""Zero-cost proxies: what an untrained network and one minibatch say of how well it would train.

Each is a number of which larger is meant to be better. How well they rank networks depends on the space and the task,
so that `tinynas proxies` sets them beside what was trained.

Source: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", 2021, whose choices are followed where the papers
named below leave them open: weights are those of convolutions and dense layers, sums are over all of them, and batch
normalisation uses the minibatch's own statistics, but is left out for synflow.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

# Keeps the logarithm of eigenvalues finite (Mellor et al., version 1).
_JACOV_EPSILON = 1e-5


def score_proxies(model: Any, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """All proxies of an untrained network on inputs `x`, float32 (n, *input_shape), and labels `y`, int (n,).

    A network whose kernel matrix or Jacobian is degenerate has no score there: -inf, the last rank. `model` stays as it
    is.
    """
    kept = model.get_weights()
    found = {name: proxy(model, tf.constant(x), tf.constant(y)) for name, proxy in PROXIES.items()}
    # In training mode batch normalisation has counted the minibatch.
    model.set_weights(kept)
    return found


def synflow(model: Any, *_: Any) -> float:
    """Sum of w * dR/dw, where R is the sum of the outputs for an input of ones, in a network made linear: weights by
    their amounts, no activations, no batch normalisation. It needs no data.

    Source: Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow", 2020.
    """
    linear = keras.models.clone_model(model, clone_function=_linear)
    for layer in linear.layers:
        if layer.weights:
            layer.set_weights([np.abs(weights) for weights in model.get_layer(layer.name).get_weights()])
    weights = _weights(linear)
    with tf.GradientTape() as tape:
        flow = tf.reduce_sum(linear(tf.ones([1, *model.input_shape[1:]], tf.float64)))
    return _sum(w * g for w, g in zip(weights, tape.gradient(flow, weights), strict=True))


def snip(model: Any, x: Any, y: Any) -> float:
    """Sum of |w * dL/dw| for the cross-entropy L.

    Source: Lee, Ajanthan and Torr, "SNIP: Single-shot network pruning based on connection sensitivity", 2019.
    """
    return _sum(tf.abs(w * g) for w, g in zip(_weights(model), _gradients(model, x, y), strict=True))


def grad_norm(model: Any, x: Any, y: Any) -> float:
    """Sum over the layers of the Euclidean norm of dL/dw for the cross-entropy L.

    Source: Abdelfattah et al., see the module.
    """
    return _sum(tf.norm(g) for g in _gradients(model, x, y))


def naswot(model: Any, x: Any, _: Any = None) -> float:
    """log |det K|, where K[i, j] counts the rectifiers that are on for both of inputs i and j, or off for both.

    Source: Mellor et al., "Neural Architecture Search without Training", 2021.
    """
    rectified = {layer.name: layer.output for layer in model.layers if isinstance(layer, keras.layers.ReLU)}
    kernel = np.zeros((len(x), len(x)))
    if rectified:
        for output in keras.Model(model.inputs, rectified)(x, training=True).values():
            on = (np.reshape(output, (len(x), -1)) > 0).astype(np.float64)
            kernel += on @ on.T + (1 - on) @ (1 - on).T
    return float(np.linalg.slogdet(kernel)[1])


def jacov(model: Any, x: Any, _: Any = None) -> float:
    """-sum(log(v + e) + 1 / (v + e)) over the eigenvalues v of the correlations between the inputs' Jacobians, those
    of the summed logits: high where the network tells inputs apart.

    Source: Mellor et al., "Neural Architecture Search without Training", version 1, 2020.
    """
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = tf.reduce_sum(model(x, training=True))
    jacobian = np.reshape(tape.gradient(logits, x), (len(x), -1)).astype(np.float64)
    if not (np.isfinite(jacobian).all() and (jacobian.std(axis=1) > 0).all()):
        return -math.inf
    values = np.linalg.eigvalsh(np.corrcoef(jacobian)) + _JACOV_EPSILON
    # Of a matrix that is positive semidefinite rounding alone makes eigenvalues negative.
    values = np.maximum(values, _JACOV_EPSILON)
    return float(-np.sum(np.log(values) + 1 / values))


PROXIES: dict[str, Callable[[Any, Any, Any], float]] = {
    "synflow": synflow,
    "snip": snip,
    "grad_norm": grad_norm,
    "naswot": naswot,
    "jacov": jacov,
}


def _linear(layer: Any) -> Any:
    """The layer in double precision, since the flow grows with every layer; identity where it is not linear."""
    if isinstance(layer, keras.layers.BatchNormalization | keras.layers.ReLU):
        return keras.layers.Activation("linear", dtype="float64", name=layer.name)
    return type(layer).from_config({**layer.get_config(), "dtype": "float64"})


def _weights(model: Any) -> list[Any]:
    kernels = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    return [layer.trainable_variables[0] for layer in model.layers if isinstance(layer, kernels)]


def _gradients(model: Any, x: Any, y: Any) -> list[Any]:
    weights = _weights(model)
    with tf.GradientTape() as tape:
        logits = model(x, training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    gradients: list[Any] = tape.gradient(loss, weights)
    return gradients


def _sum(parts: Any) -> float:
    return math.fsum(float(tf.reduce_sum(tf.cast(part, tf.float64))) for part in parts)
