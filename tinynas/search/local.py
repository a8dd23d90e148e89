"""Hill climbing from the front: Pareto local search, Paquete, Chiarandini and Stützle, "Pareto Local Optimum Sets in
the Biobjective Traveling Salesman Problem", Springer 2004; with one objective a strong baseline on NAS benchmarks:
White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021.

After a population at random every candidate of the front has its neighbours tried, those that differ in one axis, the
least tried candidate first.
"""

from collections import Counter
from collections.abc import Sequence

from tinynas.search.fitness import Fitness, summits
from tinynas.search.strategy import Setting
from tinynas.space.genome import Genome, neighbour

_ATTEMPTS = 20


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
        return self._step(summits(self._genomes, self._fitness))

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        self._genomes.append(genome)
        self._fitness.append(fitness)

    def _step(self, known: Sequence[Genome]) -> Genome | None:
        """A new neighbour of a summit, of the least tried one that has any; else a new start at random."""
        for summit in sorted(known, key=lambda genome: self._tried[genome]):
            found = self._draw.fresh(lambda summit=summit: neighbour(self._space, summit, self._rng), _ATTEMPTS)  # type: ignore[misc]
            if found is not None:
                self._tried[summit] += 1
                return found
        return self._draw.random()
