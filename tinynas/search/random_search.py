"""Random search: the baseline that every other strategy is held against."""

import random
from collections.abc import Sequence

from tinynas.search.fitness import Fitness
from tinynas.search.strategy import Admissible, Draw
from tinynas.space.genome import Genome, Space


class RandomSearch:
    """Every genome is drawn from the space at random; what is told changes nothing."""

    def __init__(self, space: Space, *, seed: int, population: int, admissible: Admissible) -> None:
        self._draw = Draw(space, random.Random(seed), admissible)
        self._population = population

    def ask(self) -> list[Genome]:
        return self._draw.batch(self._population)

    def tell(self, results: Sequence[tuple[Genome, Fitness]]) -> None:
        del results
