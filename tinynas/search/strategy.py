"""What every strategy is: asked for genomes, told their fitness. Equal seeds and answers give equal questions."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tinynas.search.fitness import Fitness
from tinynas.space.genome import Genome, Space, random_genome

Admissible = Callable[[Genome], bool]
# Of several new genomes, the one to evaluate.
Choose = Callable[[list[Genome]], Genome]

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
    """What a strategy works with. Its only source of chance is `rng`. `objectives` is their number."""

    space: Space
    rng: random.Random
    draw: "Draw"
    population: int
    objectives: int


class Draw:
    """Draws genomes that were not drawn before, from the space at random or from proposals.

    `admissible` tells cheaply whether a genome has a chance to meet the limits; after many refusals a genome without
    one is taken all the same, so that a search under impossible limits ends with their reason. With `choose`, the best
    of `pool` proposals is drawn instead of the first.
    """

    def __init__(
        self, space: Space, rng: random.Random, admissible: Admissible, choose: Choose | None = None, pool: int = 1
    ) -> None:
        self._space = space
        self._rng = rng
        self._admissible = admissible
        self._choose = choose
        self._pool = pool
        self._drawn: set[Genome] = set()

    def fresh(self, propose: Callable[[], Genome], attempts: int) -> Genome | None:
        """One of the proposals that are new and admissible; None when there is none within `attempts`, and a few for
        each of the pool.
        """
        found: dict[Genome, None] = {}
        for _ in range(attempts + _FOR_EACH * (self._pool - 1)):
            genome = propose()
            if genome not in self._drawn and genome not in found and self._admissible(genome):
                found[genome] = None
                if len(found) == self._pool:
                    break
        if not found:
            return None
        genome = next(iter(found)) if self._choose is None else self._choose(list(found))
        self._drawn.add(genome)
        return genome

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
