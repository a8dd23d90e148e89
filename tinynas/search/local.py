"""Hill climbing from the front: Pareto local search, Paquete, Chiarandini and Stützle, "Pareto Local Optimum Sets in
the Biobjective Traveling Salesman Problem", Springer 2004; with one objective a strong baseline on NAS benchmarks:
White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021.

After a population at random every candidate of the front has its neighbours tried, those that differ in one axis, the
least tried candidate first.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence

from tinynas.search.fitness import Fitness, summits
from tinynas.search.strategy import Setting
from tinynas.space.genome import Genome, Space, neighbour

_ATTEMPTS = 20


Fresh = Callable[[Callable[[], Genome], int], Genome | None]


def climb(
    space: Space, rng: random.Random, known: Sequence[Genome], tried: Counter[Genome], fresh: Fresh
) -> Genome | None:
    """A neighbour of the least `tried` of the `known` summits that has a new one, which `fresh` finds."""
    for summit in sorted(known, key=lambda genome: tried[genome]):
        found = fresh(lambda summit=summit: neighbour(space, summit, rng), _ATTEMPTS)  # type: ignore[misc]
        if found is not None:
            tried[summit] += 1
            return found
    return None


class LocalSearch:
    """While nothing is feasible it climbs from what breaks limits least."""

    def __init__(self, setting: Setting) -> None:
        self._space, self._rng, self._draw = setting.space, setting.rng, setting.draw
        self._first = setting.population
        self._genomes: list[Genome] = []
        self._fitness: list[Fitness] = []
        self._tried: Counter[Genome] = Counter()

    def ask(self) -> Genome | None:
        if self._draw.count < self._first or not self._genomes:
            return self._draw.random()
        known = summits(self._genomes, self._fitness)
        return climb(self._space, self._rng, known, self._tried, self._draw.fresh) or self._draw.random()

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        self._genomes.append(genome)
        self._fitness.append(fitness)
