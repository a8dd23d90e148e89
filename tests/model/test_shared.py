"""Weights that networks share: what each takes, and that it computes with them what its own Keras network does."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynas.errors import CandidateError, ConfigError
from tinynas.space.genome import Genome, named, random_genome, smallest
from tinynas.space.registry import load_space

SHAPE = (16, 16, 1)
sizes = st.tuples(st.sampled_from([1, 3, 5, 7]), st.integers(1, 9), st.integers(1, 9))


def networks(name, count, seed=0, most_macs=2_000_000):
    space, rng, found = load_space(name), random.Random(seed), []
    while len(found) < count:
        try:
            network = space.decode(random_genome(space, rng), SHAPE, 10)
        except CandidateError:
            continue
        if network.macs <= most_macs:
            found.append(network)
    return found


def network_of(name, **genes):
    space = load_space(name)
    return space.decode(Genome(name, tuple((named(space, smallest(space)) | genes).values())), SHAPE, 10)


@pytest.fixture(scope="module")
def samples(tensorflow):
    return np.random.default_rng(0).normal(size=(48, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module", params=["image", "mobilenet"])
def shared_by_many(request, tensorflow):
    """Weights that 200 networks have made as large as they need, none of them zero, and four of the networks."""
    from tinynas.model.shared import Shared

    shared, many = Shared(seed=3), networks(request.param, 200)
    for network in many:
        shared.weights(network)
    rng = np.random.default_rng(1)
    for name, array in shared.arrays.items():
        shared.arrays[name] = array + rng.normal(0, 0.1, array.shape).astype(np.float32)
    return shared, many[:4]


def test_a_network_computes_what_the_keras_network_with_its_part_of_the_weights_does(shared_by_many, samples):
    from tinynas.model.shared import extract, forward
    from tinynas.model.train import predictor

    shared, some = shared_by_many
    for network in some:
        model = extract(shared, network, samples)
        expected, _ = forward(network, shared.weights(network), samples)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(predictor(model)(samples), expected, atol=1e-4 * scale, rtol=1e-3)


def test_given_statistics_take_the_place_of_the_batch_s(shared_by_many, samples):
    from tinynas.model.shared import forward

    shared, some = shared_by_many
    weights = shared.weights(some[0])
    whole, statistics = forward(some[0], weights, samples)
    part, _ = forward(some[0], weights, samples[:5], statistics=statistics)
    np.testing.assert_allclose(part, whole[:5], atol=1e-4 * np.abs(whole).max(), rtol=1e-3)
    alone, _ = forward(some[0], weights, samples[:5])
    assert np.abs(alone - whole[:5]).max() > 1e-3


@given(sizes, sizes)
def test_parts_overlap_in_the_middle_of_kernels_and_in_the_first_channels(one, other):
    from tinynas.model.shared import Part, Shared

    shared = Shared(seed=0)
    first, second = (Part(name="k", shape=each, centred=1, deviation=1.0) for each in (one, other))
    before = shared.part(first).copy()
    assert shared.part(second).shape == other
    assert shared.arrays["k"].shape == tuple(map(max, one, other))
    np.testing.assert_array_equal(shared.part(first), before)
    shared.part(second)[...] = 0.0
    size = min(one[0], other[0])
    middle = shared.part(first)[(one[0] - size) // 2 :][:size, : other[1], : other[2]]
    assert not middle.any()


def test_what_is_new_depends_on_seed_and_role_alone(tensorflow):
    from tinynas.model.shared import Shared

    network = network_of("mobilenet", depth_2=2, expansion_2=3)
    one, again, other = (Shared(seed=seed) for seed in (1, 1, 2))
    again.weights(network_of("mobilenet", depth_1=3))
    for shared in (one, again, other):
        shared.weights(network)
    name = "stage_2/block_1/inverted/wide after stage_2/kernel"
    np.testing.assert_array_equal(one.arrays[name], again.arrays[name])
    assert np.abs(one.arrays[name] - other.arrays[name]).max() > 0
    assert abs(one.arrays[name].std() - np.sqrt(2 / one.arrays[name].shape[2])) < 0.1


def test_shared_weights_survive_a_file(shared_by_many, tmp_path):
    from tinynas.model.shared import pack_shared, read_shared

    shared, _ = shared_by_many
    (tmp_path / "shared.npz").write_bytes(pack_shared(shared))
    again = read_shared(tmp_path / "shared.npz")
    assert again.seed == shared.seed
    assert again.arrays.keys() == shared.arrays.keys()
    assert all(np.array_equal(again.arrays[name], array) for name, array in shared.arrays.items())


def test_a_space_without_roles_shares_nothing(tensorflow):
    from tinynas.model.shared import Shared

    space = load_space("mlp")
    with pytest.raises(ConfigError, match="has no role"):
        Shared(seed=0).weights(space.decode(random_genome(space, random.Random(0)), SHAPE, 10))
