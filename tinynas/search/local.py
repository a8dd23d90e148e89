"""Hill climbing from the front: Pareto local search, Paquete, Chiarandini and Stützle, "Pareto Local Optimum Sets in
the Biobjective Traveling Salesman Problem", Springer 2004; with one objective a strong baseline on NAS benchmarks:
White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021.

After a population at random every candidate of the front has its neighbours tried, those that differ in one axis, the
least tried candidate first.
"""

from collections import Counter
from collections.abc import Sequence

from tinynas.search.fitness import Fitness, non_dominated
from tinynas.search.strategy import Setting
from tinynas.space.genome import Genome

_ATTEMPTS = 20


class LocalSearch:
    """While nothing is feasible it climbs from what breaks limits least."""

    def __init__(self, setting: Setting) -> None:
        self._space, self._rng, self._draw = setting.space, setting.rng, setting.draw
        self._random_left = setting.population
        self._seen: list[tuple[Genome, Fitness]] = []
        self._tried: Counter[Genome] = Counter()

    def ask(self) -> Genome | None:
        if self._random_left or not self._seen:
            self._random_left = max(0, self._random_left - 1)
            return self._draw.random()
        return self._step(self._summits())

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        self._seen.append((genome, fitness))

    def _summits(self) -> list[Genome]:
        feasible = [(genome, fitness.objectives) for genome, fitness in self._seen if fitness.objectives is not None]
        if feasible:
            return [feasible[index][0] for index in non_dominated([objectives for _, objectives in feasible])]
        least = min(fitness.violation for _, fitness in self._seen)
        return [genome for genome, fitness in self._seen if fitness.violation == least]

    def _step(self, summits: Sequence[Genome]) -> Genome | None:
        """A new neighbour of a summit, of the least tried one that has any; else a new start at random."""
        for summit in sorted(summits, key=lambda genome: self._tried[genome]):
            found = self._draw.fresh(lambda summit=summit: self._neighbour(summit), _ATTEMPTS)  # type: ignore[misc]
            if found is not None:
                self._tried[summit] += 1
                return found
        return self._draw.random()

    def _neighbour(self, genome: Genome) -> Genome:
        """Another choice on one axis."""
        index = self._rng.choice([at for at, axis in enumerate(self._space.axes) if len(axis.choices) > 1])
        choices = [choice for choice in self._space.axes[index].choices if choice != genome.values[index]]
        values = list(genome.values)
        values[index] = self._rng.choice(choices)
        return self._space.canonical(Genome(self._space.name, tuple(values)))
