"""What every strategy is: asked for genomes, told their fitness. Equal seeds and answers give equal questions."""

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from tinynas.search.fitness import Fitness
from tinynas.space.genome import Genome, Space, random_genome

Admissible = Callable[[Genome], bool]

_ATTEMPTS = 1000


class Strategy(Protocol):
    """A strategy never asks for a genome twice. `ask` gives one batch; `tell` takes its results, complete, in order."""

    def ask(self) -> list[Genome]:
        """The next genomes to evaluate; empty when the space has no more."""

    def tell(self, results: Sequence[tuple[Genome, Fitness]]) -> None:
        """The fitness of every genome of the last batch."""


class Draw:
    """Draws genomes that were not drawn before, from the space at random or from a proposal.

    `admissible` tells cheaply whether a genome has a chance to meet the limits; after many refusals a genome without
    one is taken all the same, so that a search under impossible limits ends with their reason.
    """

    def __init__(self, space: Space, rng: random.Random, admissible: Admissible) -> None:
        self._space = space
        self._rng = rng
        self._admissible = admissible
        self._drawn: set[Genome] = set()

    def fresh(self, propose: Callable[[], Genome], attempts: int) -> Genome | None:
        """The first proposal that is new and admissible, within `attempts`."""
        for _ in range(attempts):
            genome = propose()
            if genome not in self._drawn and self._admissible(genome):
                self._drawn.add(genome)
                return genome
        return None

    def random(self) -> Genome | None:
        """A new genome at random; None when the space seems to have no more."""
        found = self.fresh(lambda: random_genome(self._space, self._rng), _ATTEMPTS)
        if found is not None:
            return found
        for _ in range(_ATTEMPTS):
            genome = random_genome(self._space, self._rng)
            if genome not in self._drawn:
                self._drawn.add(genome)
                return genome
        return None

    def batch(self, count: int) -> list[Genome]:
        """Up to `count` new genomes at random."""
        drawn = (self.random() for _ in range(count))
        return [genome for genome in drawn if genome is not None]
