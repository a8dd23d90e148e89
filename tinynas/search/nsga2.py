"""NSGA-II with constrained domination, on DEAP.

Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions
on Evolutionary Computation 6(2), 2002; section VI for constraints: a feasible candidate dominates an infeasible one,
of two infeasible ones the less violating dominates.
"""

from collections.abc import Sequence

from deap import base, tools

from tinynas.search.fitness import Fitness
from tinynas.search.strategy import Setting
from tinynas.space.genome import Genome, cross, mutate

_CROSSOVER_PROBABILITY = 0.9
_ATTEMPTS = 50


class _Constrained(base.Fitness):  # type: ignore[misc]
    """DEAP maximises weighted values, so every objective has weight -1. Violation goes before any objective.

    DEAP's own ConstrainedFitness calls all infeasible candidates equal; a search that starts outside the limits would
    have no way in.
    """

    def __init__(self, fitness: Fitness, objectives: int) -> None:
        self.weights = (-1.0,) * objectives
        self.violation = fitness.violation
        super().__init__(fitness.objectives or (0.0,) * objectives)

    def dominates(self, other: "_Constrained", obj: slice = slice(None)) -> bool:
        if self.violation or other.violation:
            return self.violation < other.violation
        return bool(super().dominates(other, obj))

    def __hash__(self) -> int:
        return hash((self.violation, self.wvalues))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Constrained) and (self.violation, self.wvalues) == (other.violation, other.wvalues)


class Individual:
    """A genome as DEAP wants it: with a fitness attribute, of objectives and violation."""

    def __init__(self, genome: Genome, fitness: Fitness, objectives: int) -> None:
        self.genome = genome
        self.fitness = _Constrained(fitness, objectives)


class Nsga2:
    """A population at random, then child after child; parents by binary tournament, survivors by rank and crowding
    distance. Every answer makes a generation of one, which suits a budget of dozens better than whole generations:
    Durillo, Nebro, Luna and Alba, "On the Effect of the Steady-State Selection Scheme in Multi-Objective Genetic
    Algorithms", EMO 2009.
    """

    def __init__(self, setting: Setting) -> None:
        # DEAP's variation and tournament use the global random state; ours take this one, so that a run repeats.
        self._space, self._rng, self._draw = setting.space, setting.rng, setting.draw
        self._population, self._objectives = setting.population, len(setting.objectives)
        self._first = setting.population
        self._survivors: list[Individual] = []
        self._rank: dict[Genome, int] = {}

    def ask(self) -> Genome | None:
        if self._draw.count < self._first or not self._survivors:
            return self._draw.random()
        return self._draw.fresh(self._vary, _ATTEMPTS) or self._draw.random()

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        pool = [*self._survivors, Individual(genome, fitness, self._objectives)]
        self._survivors = self._select(pool, min(self._population, len(pool)))
        fronts = tools.sortNondominated(self._survivors, len(self._survivors))
        self._rank = {each.genome: rank for rank, front in enumerate(fronts) for each in front}

    def _select(self, pool: Sequence[Individual], count: int) -> list[Individual]:
        """Who survives."""
        return list(tools.selNSGA2(list(pool), count))

    def _vary(self) -> Genome:
        first, second = self._parent(), self._parent()
        if self._rng.random() < _CROSSOVER_PROBABILITY:
            return mutate(self._space, cross(self._space, first, second, self._rng)[0], self._rng)
        return mutate(self._space, first, self._rng)

    def _parent(self) -> Genome:
        one, other = self._rng.choice(self._survivors), self._rng.choice(self._survivors)
        better = min(one, other, key=lambda each: (self._rank[each.genome], -each.fitness.crowding_dist))
        return better.genome
