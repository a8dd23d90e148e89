"""Networks with channels taken out."""

import random

import numpy as np
import pytest

from tinynas.errors import UnsupportedError
from tinynas.space.architecture import Builder
from tinynas.space.genome import random_genome
from tinynas.space.registry import load_space

SHAPES = {"image": (16, 16, 1), "mobilenet": (16, 16, 1), "cell": (16, 16, 3)}
# Building a model takes longer than anything else here.
LAYERS = 16


def residual():
    """A sum ties the stem, two depthwise convolutions and the ends of two branches together."""
    build = Builder((8, 8, 1), 10)
    stem = build.conv(0, 16, 3)
    sum_of_two = build.add(stem, build.conv(build.depthwise(build.conv(stem, 24)), 16, activation="none"))
    last = build.depthwise(build.add(sum_of_two, build.conv(stem, 16, activation="none")))
    return build.finish(build.dense(build.flatten(build.max_pool(last)), 32))


def random_architecture(name):
    space, rng = load_space(name, None), random.Random(5)
    while True:
        architecture = space.decode(random_genome(space, rng), SHAPES[name], 10)
        if architecture.macs < 1_000_000 and len(architecture.layers) <= LAYERS:
            return architecture


ARCHITECTURES = [residual(), *map(random_architecture, SHAPES)]


@pytest.fixture(scope="module")
def tools(tensorflow):
    """build, prune and predictor of tinynas.model."""
    from tinynas.model.build import build
    from tinynas.model.prune import prune
    from tinynas.model.train import predictor

    return build, prune, predictor


@pytest.fixture(scope="module")
def narrowed(tensorflow):
    from tinynas.model.prune import narrowed

    return narrowed


def shaken(model, seed):
    """Give a model biases and batch statistics as a training would, all different."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if layer.name.endswith("_bn"):
            layer.set_weights([rng.uniform(0.5, 1.5, each.shape) for each in layer.get_weights()])
        elif len(layer.get_weights()) == 2:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, rng.normal(size=bias.shape)])


def silence(model, architecture, smaller, seed):
    """Make as many channels of each layer as `smaller` lacks put out zeros, the same ones where layers share them."""
    rng, gone = np.random.default_rng(seed), {}
    for layer, narrow in zip(architecture.layers, smaller.layers, strict=True):
        if not layer.weights or layer.shape == narrow.shape:
            continue
        # Layers that share channels are as wide as each other, and drawing by width gives all of them the same ones.
        if layer.shape[-1] not in gone:
            gone[layer.shape[-1]] = rng.permutation(layer.shape[-1])
        silent = gone[layer.shape[-1]][narrow.shape[-1] :]
        if layer.batch_norm:
            normal = model.get_layer(f"{layer.name}_bn")
            scale, offset, *rest = normal.get_weights()
            scale[silent] = offset[silent] = 0
            normal.set_weights([scale, offset, *rest])
        else:
            kernel, bias = model.get_layer(layer.name).get_weights()
            kernel[:, silent] = bias[silent] = 0
            model.get_layer(layer.name).set_weights([kernel, bias])


@pytest.mark.parametrize("number", range(len(ARCHITECTURES)))
def test_without_channels_that_are_zero_a_network_answers_the_same(tools, narrowed, number):
    build, prune, predictor = tools
    architecture = ARCHITECTURES[number]
    model = build(architecture, seed=number)
    shaken(model, number)
    smaller = narrowed(architecture, 0.4)
    assert smaller.macs < architecture.macs
    silence(model, architecture, smaller, number)
    before = predictor(model)
    left, pruned = prune(model, architecture, 0.4)
    assert left == smaller
    x = np.random.default_rng(number).random((8, *architecture.input_shape), np.float32)
    logits = before(x)
    assert np.std(logits) > 0
    np.testing.assert_allclose(predictor(pruned)(x), logits, rtol=1e-4, atol=1e-4 * np.abs(logits).max())


@pytest.mark.parametrize("fraction", [0.05, 0.25, 0.5, 0.95])
def test_what_stays_is_counted_in_fours(narrowed, fraction):
    architecture = residual()
    smaller = narrowed(architecture, fraction)
    for layer, narrow in zip(architecture.layers[:-1], smaller.layers[:-1], strict=True):
        if layer.weights:
            assert narrow.shape[-1] % 4 == 0
            assert abs(narrow.shape[-1] - layer.shape[-1] * (1 - fraction)) <= 4
    assert smaller.layers[0] == architecture.layers[0]
    assert smaller.layers[-1].shape == (10,)


def test_the_channels_worth_least_go(tools):
    build, prune, _ = tools
    make = Builder((8, 8, 1), 10)
    architecture = make.finish(make.global_avg_pool(make.conv(0, 8, 3)))
    model = build(architecture, seed=1)
    normal = model.get_layer("conv_1_bn")
    scales = np.array([5, -9, 1, 8, 2, -7, 3, 4], np.float32)
    normal.set_weights([scales, *normal.get_weights()[1:]])
    _, pruned = prune(model, architecture, 0.5)
    assert pruned.get_layer("conv_1_bn").get_weights()[0].tolist() == [5, -9, 8, -7]


def test_a_layer_of_fewer_than_four_channels_stays_whole(narrowed):
    make = Builder((8, 8, 1), 10)
    architecture = make.finish(make.global_avg_pool(make.conv(make.conv(0, 3, 3), 8)))
    assert [layer.shape[-1] for layer in narrowed(architecture, 0.5).layers] == [1, 3, 4, 4, 10]


def test_features_that_a_sum_mixes_across_channels_cannot_be_pruned(narrowed):
    make = Builder((4, 4, 1), 10)
    features = make.flatten(make.conv(0, 8, 3))
    architecture = make.finish(make.add(features, make.dense(features, 128)))
    with pytest.raises(UnsupportedError, match="add_4 adds 8 channels at several positions to 128"):
        narrowed(architecture, 0.5)
