"""A network that begins with the weights of another one."""

import numpy as np
import pytest

from tinynas.space.architecture import Builder


def network(stem=12, wide=16, kernel=3, depth=1, head="pool", residual=False):
    build = Builder((8, 8, 1), 10)
    last = build.conv(0, stem, kernel)
    for _ in range(depth):
        last = build.conv(build.depthwise(last, kernel), wide)
    if residual:
        narrow = build.conv(build.depthwise(build.conv(last, 2 * wide)), wide, activation="none")
        last = build.add(last, narrow)
    last = build.global_avg_pool(last) if head == "pool" else build.flatten(build.max_pool(last))
    return build.finish(last)


@pytest.fixture(scope="module")
def trained_as(tensorflow, digits):
    """A function from an architecture to its weights and logits after two epochs, each trained once."""
    from tinynas.model.build import build
    from tinynas.model.inherit import pack_weights, unpack_weights
    from tinynas.model.train import predictor, train

    known = {}

    def make(architecture):
        if architecture not in known:
            model = build(architecture, seed=1)
            train(model, digits, epochs=2, samples=320, learning_rate=1e-2, seed=1)
            known[architecture] = unpack_weights(pack_weights(model)), predictor(model)(digits.val.x[:50])
        return known[architecture]

    return make


@pytest.fixture(scope="module")
def heir(trained_as, digits):
    """A function of two architectures: the logits of the first, and of the second that begins with its weights; how
    many layers took them."""
    from tinynas.model.build import build
    from tinynas.model.inherit import inherit
    from tinynas.model.train import predictor

    def make(origin, architecture):
        weights, logits = trained_as(origin)
        model = build(architecture, seed=9)
        taken = inherit(model, architecture, weights=weights, origin=origin, x=digits.train.x[:200], seed=3)
        return logits, predictor(model)(digits.val.x[:50]), taken, model

    return make


@pytest.mark.parametrize(
    ("origin", "change"),
    [
        ({}, {}),
        ({}, {"wide": 24}),
        ({}, {"stem": 30}),
        ({}, {"stem": 16, "wide": 40}),
        ({}, {"kernel": 5}),
        ({}, {"residual": True}),
        ({"stem": 16}, {"stem": 16, "depth": 2}),
        ({"head": "flatten"}, {"head": "flatten", "wide": 20}),
    ],
    ids=lambda changes: " ".join(f"{name} {value}" for name, value in changes.items()) or "as it is",
)
def test_a_network_that_grows_keeps_its_function(heir, origin, change):
    before, after, taken, _ = heir(network(**origin), network(**change))
    assert taken >= 4
    assert np.std(before) > 0.05
    assert after == pytest.approx(before, abs=2e-4)


def test_copies_of_a_channel_are_weighted_differently_so_that_they_part(heir):
    *_, model = heir(network(), network(wide=32))
    kernel = model.get_layer("logits").get_weights()[0]
    assert not np.allclose(kernel[:16], kernel[16:])


def test_a_network_that_shrinks_keeps_the_channels_it_has_room_for(heir, trained_as):
    _, _, taken, model = heir(network(kernel=5), network(kernel=3, wide=8))
    weights, _ = trained_as(network(kernel=5))
    assert taken == 4
    assert np.array_equal(model.get_layer("conv_1").get_weights()[0], weights["conv_1/0"][1:4, 1:4])
    assert np.array_equal(model.get_layer("conv_3").get_weights()[0], weights["conv_3/0"][..., :8])


def test_a_head_that_reads_other_features_begins_anew(heir):
    assert heir(network(), network(head="flatten"))[2] == 3


def test_an_heir_is_the_same_every_time(heir):
    first, again = (heir(network(), network(stem=20, depth=2))[1] for _ in range(2))
    assert np.array_equal(first, again)
