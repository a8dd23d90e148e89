"""An axis of resolution in front of any space."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynas.errors import CandidateError, ConfigError
from tinynas.space.genome import Genome, cross, mutate, named, random_genome, smallest
from tinynas.space.narrow import fixed
from tinynas.space.registry import load_space
from tinynas.space.resolution import with_resolution

SHAPES = {"series": (64, 3), "mlp": (8, 8, 1)}


@pytest.mark.parametrize("name", SHAPES)
@given(seed=st.integers(0, 2**32))
def test_every_operator_stays_inside_and_is_canonical(name, seed):
    space, rng = with_resolution(load_space(name), (1, 2, 4)), random.Random(seed)
    first, second = random_genome(space, rng), random_genome(space, rng)
    for genome in (first, second, smallest(space), mutate(space, first, rng), *cross(space, first, second, rng)):
        assert named(space, genome)["reduce"] in (1, 2, 4)
        assert space.canonical(genome) == genome
        assert Genome.parse(genome.key) == genome


@pytest.mark.parametrize("name", SHAPES)
def test_the_rest_of_the_network_is_that_for_a_smaller_input(name):
    base, shape = load_space(name), SHAPES[name]
    space, genome = with_resolution(base, (1, 2)), smallest(base)
    whole, half = (space.decode(Genome(space.name, (window, *genome.values)), shape, 10) for window in (1, 2))
    assert whole == base.decode(genome, shape, 10)
    small = base.decode(genome, (*(size // 2 for size in shape[:-1]), shape[-1]), 10)
    assert half.layers[0] == whole.layers[0]
    assert half.layers[1].shape == small.layers[0].shape
    assert [(layer.name, layer.shape) for layer in half.layers[2:]] == [
        (layer.name, layer.shape) for layer in small.layers[1:]
    ]
    assert (half.macs, half.constants_bytes) == (small.macs, small.constants_bytes)


def test_the_board_is_given_the_whole_input_and_averages_it(tensorflow):
    from tinynas.model.build import build
    from tinynas.model.train import predictor

    base, shape = load_space("series"), SHAPES["series"]
    space, genome = with_resolution(base, (1, 4)), smallest(base)
    reduced = predictor(build(space.decode(Genome(space.name, (4, *genome.values)), shape, 3), 1))
    plain = build(base.decode(genome, (16, 3), 3), 1)
    x = np.random.default_rng(0).normal(size=(5, *shape)).astype(np.float32)
    # Layers draw their weights by their place, which the means have moved by one.
    logits = reduced(x)
    assert logits.shape == predictor(plain)(x.reshape(5, 16, 4, 3).mean(axis=2)).shape
    mixed = x.reshape(5, 16, 4, 3)[:, :, ::-1].reshape(x.shape)
    assert reduced(mixed) == pytest.approx(logits, abs=1e-4)


def test_it_can_be_fixed_like_any_axis():
    space = fixed(with_resolution(load_space("series"), (1, 2, 4)), {"reduce": 2})
    assert named(space, random_genome(space, random.Random(1)))["reduce"] == 2


def test_a_space_that_has_resolution_as_an_axis_gets_no_second_one():
    with pytest.raises(ConfigError, match=r"space image has an axis reduce already: leave out \[space\] reduce"):
        with_resolution(load_space("image"), (1, 2))


@pytest.mark.parametrize("shape", [(10,), (3, 6)])
def test_an_input_that_is_too_small_is_no_network(shape):
    space = with_resolution(load_space("mlp"), (4,))
    with pytest.raises(CandidateError, match=r"windows of 4 do not fit into an input of shape"):
        space.decode(smallest(space), shape, 10)


def test_no_windows_leave_the_space_itself():
    space = load_space("mlp")
    assert with_resolution(space, ()) is space
