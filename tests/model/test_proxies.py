"""Zero-cost proxies on networks small enough for pencil and paper."""

import math

import numpy as np
import pytest


@pytest.fixture(scope="module")
def dense(tensorflow):
    """A function from weight matrices to a dense network with a rectifier after each but the last."""
    import tf_keras as keras

    def make(*matrices):
        inputs = last = keras.Input((len(matrices[0]),))
        for number, matrix in enumerate(matrices):
            layer = keras.layers.Dense(len(matrix[0]))
            last = layer(last)
            layer.set_weights([np.array(matrix, np.float32), np.zeros(len(matrix[0]), np.float32)])
            if number < len(matrices) - 1:
                last = keras.layers.ReLU()(last)
        return keras.Model(inputs, last)

    return make


@pytest.fixture(scope="module")
def convolutional(tensorflow, architecture, digits):
    from tinynas.model.build import build

    return build(architecture, seed=1), digits.train.x[:64], digits.train.y[:64]


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


X = np.array([[1.0, 2.0], [-1.0, 0.5], [3.0, -2.0]], np.float32)
Y = np.array([0, 1, 1])


def test_synflow_sums_the_flow_of_ones_once_a_layer(dense):
    from tinynas.model.proxies import synflow

    # (1 + 2, 3 + 4) into 5 and 6 is 3 * 5 + 7 * 6 = 57, whatever the signs; each of the two layers conserves it.
    assert synflow(dense([[1, -3], [-2, 4]], [[5], [-6]])) == 2 * 57


def test_synflow_leaves_batch_normalisation_and_the_ceiling_of_a_relu6_out(tensorflow):
    import tf_keras as keras

    from tinynas.model.proxies import synflow

    inputs = keras.Input((3, 3, 1))
    convolution = keras.layers.Conv2D(1, 3, use_bias=False, kernel_initializer="ones")
    normal = keras.layers.BatchNormalization(gamma_initializer="zeros")
    last = keras.layers.ReLU(max_value=6.0)(normal(convolution(inputs)))
    assert synflow(keras.Model(inputs, last)) == 9


def test_snip_and_grad_norm_are_those_of_the_cross_entropy(dense):
    from tinynas.model.proxies import grad_norm, snip

    weights = np.array([[0.5, -1.0], [2.0, 0.25]])
    gradient = X.T @ (softmax(X @ weights) - np.eye(2)[Y]) / len(X)
    model = dense(weights)
    assert snip(model, X, Y) == pytest.approx(np.abs(weights * gradient).sum(), rel=1e-5)
    assert grad_norm(model, X, Y) == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


def test_naswot_counts_rectifiers_that_agree(dense):
    from tinynas.model.proxies import naswot

    # Two rectifiers see the inputs themselves: on, on; off, on; on, off.
    kernel = [[2, 1, 1], [1, 2, 0], [1, 0, 2]]
    model = dense(np.eye(2), [[1], [1]])
    assert naswot(model, X) == pytest.approx(math.log(np.linalg.det(kernel)))


def test_naswot_of_inputs_that_no_rectifier_tells_apart_is_the_last_rank(dense):
    from tinynas.model.proxies import naswot

    assert naswot(dense(np.eye(2), [[1], [1]]), np.ones((2, 2), np.float32)) == -math.inf
    assert naswot(dense(np.eye(2)), X) == -math.inf


def test_jacov_of_a_linear_network_is_that_of_equal_jacobians(dense):
    import tensorflow as tf

    from tinynas.model.proxies import jacov

    e = 1e-5
    expected = -(math.log(3 + e) + 1 / (3 + e) + 2 * (math.log(e) + 1 / e))
    assert jacov(dense([[1.0], [2.0]]), tf.constant(X)) == pytest.approx(expected, rel=1e-6)


def test_jacov_of_a_dead_network_is_the_last_rank(dense):
    import tensorflow as tf

    from tinynas.model.proxies import jacov

    assert jacov(dense(-np.eye(2), [[1], [1]]), tf.constant(np.ones((2, 2), np.float32))) == -math.inf


def test_a_network_is_scored_alike_every_time_and_stays_as_it_is(convolutional):
    from tinynas.model.proxies import PROXIES, score_proxies

    model, x, y = convolutional
    before = [weights.copy() for weights in model.get_weights()]
    first = score_proxies(model, x, y)
    assert list(first) == list(PROXIES)
    assert all(math.isfinite(score) for score in first.values())
    assert first == score_proxies(model, x, y)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))
