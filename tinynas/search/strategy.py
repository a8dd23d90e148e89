"""What every strategy is: asked for genomes, told their fitness. Equal seeds and answers give equal questions."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tinynas.search.fitness import Fitness
from tinynas.space.genome import Genome, Space, random_genome

Admissible = Callable[[Genome], bool]
# What is known of a genome without evaluating it, as numbers, for example the logarithm of its MACs.
Features = Callable[[Genome], Sequence[float]]
# Of each axis of a space the probability of each of its choices.
Distribution = Sequence[Sequence[float]]

_ATTEMPTS = 1000
_FOR_EACH = 4


class Strategy(Protocol):
    """Steady: questions may run ahead of answers, so that a slow candidate holds nothing up but its own answer.

    A strategy never asks for a genome twice. Answers come one by one, in the order of the questions; it may also be
    told of genomes that it never asked for, as if it had.
    """

    def ask(self) -> Genome | None:
        """The next genome to evaluate; None when the space has no more."""

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        """The fitness of a genome."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a strategy works with. Its only source of chance is `rng`. `objectives` are their names, in order.

    distributions: probabilities of the choices of each axis, learned before the search by strategy `gradient`.
    """

    space: Space
    rng: random.Random
    draw: "Draw"
    population: int
    objectives: Sequence[str]
    distributions: Sequence[Distribution] = ()


class Guide(Protocol):
    """Chooses among `pool` proposals, of which it makes half itself."""

    @property
    def pool(self) -> int: ...

    def propose(self) -> Genome:
        """A proposal, perhaps not a new one."""

    def step(self, fresh: Callable[[Callable[[], Genome], int], Genome | None]) -> Genome | None:
        """What to evaluate without choosing, made new by `fresh`, where the guide thinks that this serves better."""

    def choose(self, proposals: list[Genome]) -> Genome:
        """The one to evaluate."""

    def learn(self, genome: Genome, fitness: Fitness) -> None:
        """One more answer."""


class Draw:
    """Draws genomes that were not drawn before, from the space at random or from proposals.

    `drawn` holds those that were, and is added to. `admissible` tells cheaply whether a genome has a chance to meet the
    limits; after many refusals a genome without one is taken all the same, so that a search under impossible limits
    ends with their reason. With a `guide`, the best of many proposals is drawn instead of the first.
    """

    def __init__(
        self,
        space: Space,
        rng: random.Random,
        *,
        admissible: Admissible,
        drawn: set[Genome],
        guide: Guide | None = None,
    ) -> None:
        self._space, self._rng, self._admissible, self._drawn = space, rng, admissible, drawn
        self._guide = guide

    @property
    def count(self) -> int:
        """How many genomes were drawn or marked."""
        return len(self._drawn)

    def fresh(self, propose: Callable[[], Genome], attempts: int) -> Genome | None:
        """A proposal that is new and admissible; None when none of `attempts` is."""
        genome = None if self._guide is None else self._guide.step(self._first)
        if genome is None:
            genome = self._first(propose, attempts)
            if genome is not None and self._guide is not None:
                genome = self._best(genome, propose, self._guide)
        if genome is not None:
            self._drawn.add(genome)
        return genome

    def _first(self, propose: Callable[[], Genome], attempts: int) -> Genome | None:
        return next((genome for _ in range(attempts) if self._is_fresh(genome := propose())), None)

    def _best(self, first: Genome, propose: Callable[[], Genome], guide: "Guide") -> Genome:
        """The guide's choice among this proposal, more like it, and as many of its own."""
        found = {first: None}
        for attempt in range(_FOR_EACH * guide.pool):
            genome = guide.propose() if attempt % 2 else propose()
            if genome not in found and self._is_fresh(genome):
                found[genome] = None
                if len(found) == guide.pool:
                    break
        return guide.choose(list(found))

    def _is_fresh(self, genome: Genome) -> bool:
        return genome not in self._drawn and self._admissible(genome)

    def random(self) -> Genome | None:
        """A new genome at random; None when the space seems to have no more."""
        refused = None
        for _ in range(_ATTEMPTS):
            genome = random_genome(self._space, self._rng)
            if genome not in self._drawn:
                if self._admissible(genome):
                    self._drawn.add(genome)
                    return genome
                refused = genome
        if refused is not None:
            self._drawn.add(refused)
        return refused

    def mark(self, genome: Genome) -> None:
        """Never draw this genome."""
        self._drawn.add(genome)


class Informed:
    """A strategy whose draw and whose guide learn of every answer."""

    def __init__(self, strategy: Strategy, draw: Draw, guide: Guide | None) -> None:
        self._strategy, self._draw, self._guide = strategy, draw, guide

    def ask(self) -> Genome | None:
        return self._strategy.ask()

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        self._draw.mark(genome)
        if self._guide is not None:
            self._guide.learn(genome, fitness)
        self._strategy.tell(genome, fitness)


class Started:
    """A strategy that begins with given genomes."""

    def __init__(self, strategy: Strategy, start: Sequence[Genome]) -> None:
        self._strategy, self._left = strategy, list(start)

    def ask(self) -> Genome | None:
        return self._left.pop(0) if self._left else self._strategy.ask()

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        self._strategy.tell(genome, fitness)
