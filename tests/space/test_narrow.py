"""Spaces with fewer choices: their genomes are the whole space's, and stay inside."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynas.errors import CandidateError, ConfigError
from tinynas.space.genome import Genome, cross, mutate, named, random_genome, smallest
from tinynas.space.narrow import fixed, narrowed
from tinynas.space.registry import load_space, space_names

SHAPES = {"series": (64, 3)}
seeds = st.integers(0, 2**32)
every_space = pytest.mark.parametrize("name", space_names())
for each in space_names():
    # The first canonical form of a space may take longer than hypothesis allows an example.
    smallest(load_space(each))


def built(space, genome):
    try:
        return space.decode(genome, SHAPES.get(space.name, (28, 28, 1)), 10)
    except CandidateError:
        return None


def some_choices(space, rng):
    """About half of the axes with some of their choices."""
    axes = [axis for axis in space.axes if rng.random() < 0.5]
    return {axis.name: rng.sample(axis.choices, rng.randint(1, len(axis.choices))) for axis in axes}


@every_space
@given(seed=seeds)
def test_every_operator_stays_inside_and_changes_no_network(name, seed):
    whole, rng = load_space(name), random.Random(seed)
    choices = some_choices(whole, rng)
    space = narrowed(whole, choices)
    first, second = random_genome(space, rng), random_genome(space, rng)
    for genome in (first, second, smallest(space), mutate(space, first, rng), *cross(space, first, second, rng)):
        values = named(space, genome)
        assert all(values[axis] in allowed for axis, allowed in choices.items())
        assert space.canonical(genome) == genome
    raw = Genome(space.name, tuple(rng.choice(axis.choices) for axis in space.axes))
    assert built(space, space.canonical(raw)) == built(whole, raw)


def test_an_axis_without_effect_takes_the_first_choice_that_is_left():
    space = narrowed(load_space("mobilenet"), {"kernel_5": (7, 5)})
    genome = smallest(space)
    assert named(space, genome)["depth_5"] == 0
    assert named(space, genome)["kernel_5"] == 5


def test_a_setting_that_an_earlier_stage_may_not_take_stays_where_it_is():
    # Packing would move the second stage to the first place, whose kernel is fixed.
    space = fixed(load_space("series"), {"kernel_1": 3})
    values = {**named(space, smallest(space)), "depth_1": 0, "depth_2": 1, "kernel_2": 7}
    genome = Genome(space.name, tuple(values.values()))
    found = space.canonical(genome)
    assert built(space, found) == built(load_space("series"), genome)
    assert named(space, found)["kernel_2"] == 7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widht": 50}, r"has no axis 'widht': did you mean width\?"),
        ({"width": 60}, r"axis width of space mobilenet takes \(25, 50, 75, 100, 125, 150\), not \(60,\)"),
    ],
)
def test_what_the_space_lacks_cannot_be_fixed(values, message):
    with pytest.raises(ConfigError, match=message):
        fixed(load_space("mobilenet"), values)


def test_nothing_fixed_is_the_space_itself():
    space = load_space("image")
    assert fixed(space, {}) is space
