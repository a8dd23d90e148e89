"""Genomes: networks as integers. A space names the axes; everything here stays inside it."""

import random
from dataclasses import dataclass
from typing import Protocol

from tinynas.errors import ConfigError
from tinynas.space.architecture import Architecture


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One decision: a name and the integers it may take. Quantities are `ordered`, in ascending order: neighbours are
    alike. Names in the form of integers, as kinds of blocks, are not.
    """

    name: str
    choices: tuple[int, ...]
    ordered: bool = True

    def __post_init__(self) -> None:
        if not self.choices or len(set(self.choices)) != len(self.choices):
            raise ConfigError(f"axis {self.name!r} needs distinct choices, it has {self.choices}")


@dataclass(frozen=True)
class Genome:
    """One integer for every axis of `space`."""

    space: str
    values: tuple[int, ...]

    @property
    def key(self) -> str:
        """Stable and unique text, for example `mlp:2-64-32`."""
        return f"{self.space}:{'-'.join(str(value) for value in self.values)}"

    @classmethod
    def parse(cls, key: str) -> "Genome":
        """The inverse of `key`.

        Raises:
            ConfigError: the text is no key.
        """
        space, colon, values = key.partition(":")
        try:
            genome = cls(space, tuple(int(value) for value in values.split("-")))
        except ValueError as error:
            raise ConfigError(f"{key!r} is no genome: write space:1-2-3") from error
        if not colon or genome.key != key:
            raise ConfigError(f"{key!r} is no genome: write space:1-2-3")
        return genome


class Space(Protocol):
    """What may be built. `decode` is pure: equal genomes give equal networks."""

    @property
    def name(self) -> str: ...

    @property
    def axes(self) -> tuple[Axis, ...]: ...

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        """The network for inputs of `input_shape` (without the batch). Raises CandidateError when it cannot be."""

    def canonical(self, genome: Genome) -> Genome:
        """The genome with every axis that has no effect set to its first choice: equal networks have equal keys."""


def require_inside(space: Space, genome: Genome) -> None:
    """Check that a genome, perhaps read from a store, belongs to the space.

    Raises:
        ConfigError: it is of another space, has another length or a value that its axis lacks.
    """
    if genome.space != space.name or len(genome.values) != len(space.axes):
        raise ConfigError(f"genome {genome.key} is not of space {space.name} with {len(space.axes)} axes")
    for axis, value in zip(space.axes, genome.values, strict=True):
        if value not in axis.choices:
            raise ConfigError(f"genome {genome.key}: axis {axis.name} takes {axis.choices}, not {value}")


def named(space: Space, genome: Genome) -> dict[str, int]:
    """Axis name -> value."""
    return {axis.name: value for axis, value in zip(space.axes, genome.values, strict=True)}


def random_genome(space: Space, rng: random.Random) -> Genome:
    """Every axis drawn uniformly."""
    return space.canonical(Genome(space.name, tuple(rng.choice(axis.choices) for axis in space.axes)))


def smallest(space: Space) -> Genome:
    """Every axis at its least value."""
    return space.canonical(Genome(space.name, tuple(min(axis.choices) for axis in space.axes)))


def mutate(space: Space, genome: Genome, rng: random.Random) -> Genome:
    """Change each axis with probability 1/axes, and at least one. On ordered axes most changes go to a neighbour.

    Small steps because neighbouring widths and depths cost and score alike; one change in four jumps, so that no
    choice is out of reach.
    """
    values = list(genome.values)
    chosen = [index for index in range(len(values)) if rng.random() < 1 / len(values)] or [rng.randrange(len(values))]
    for index in chosen:
        values[index] = _another(space.axes[index], values[index], rng)
    return space.canonical(Genome(space.name, tuple(values)))


def neighbour(space: Space, genome: Genome, rng: random.Random) -> Genome:
    """Another choice on one axis; the genome itself where no axis has one."""
    free = [at for at, axis in enumerate(space.axes) if len(axis.choices) > 1]
    if not free:
        return genome
    index = rng.choice(free)
    values = list(genome.values)
    values[index] = rng.choice([choice for choice in space.axes[index].choices if choice != values[index]])
    return space.canonical(Genome(space.name, tuple(values)))


def _another(axis: Axis, value: int, rng: random.Random) -> int:
    choices = axis.choices
    if len(choices) == 1:
        return value
    position = choices.index(value)
    if not axis.ordered or rng.random() < 0.25:
        return rng.choice([choice for choice in choices if choice != value])
    neighbours = [place for place in (position - 1, position + 1) if 0 <= place < len(choices)]
    return choices[rng.choice(neighbours)]


def cross(space: Space, first: Genome, second: Genome, rng: random.Random) -> tuple[Genome, Genome]:
    """Uniform crossover: every axis goes to either child with equal chance."""
    pairs = [(a, b) if rng.random() < 0.5 else (b, a) for a, b in zip(first.values, second.values, strict=True)]
    children = (Genome(space.name, values) for values in zip(*pairs, strict=True))
    one, other = (space.canonical(child) for child in children)
    return one, other
