"""NSGA-III, on DEAP: Deb and Jain, "An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based
Nondominated Sorting Approach, Part I", IEEE Transactions on Evolutionary Computation 18(4), 2014.

With four objectives and more nearly all candidates are non-dominated, and crowding distance says little: survivors are
those nearest to reference directions, spread evenly over the objectives. Of candidates that break limits the least
violating survive, and only where feasible ones do not fill the population (Jain and Deb, Part II).
"""

import math
from collections.abc import Sequence

import numpy as np
from deap import tools

from tinynas.search.nsga2 import Individual, Nsga2
from tinynas.space.genome import Genome

# The most divisions of an objective: more reference directions than survivors say nothing.
_MOST_DIVISIONS = 24


class Nsga3(Nsga2):
    """As Nsga2, but for who survives, and for parents, which are compared by rank alone."""

    def _select(self, pool: Sequence[Individual], count: int) -> list[Individual]:
        feasible = [each for each in pool if not each.fitness.violation]
        if len(feasible) <= count:
            infeasible = sorted(
                (each for each in pool if each.fitness.violation), key=lambda each: each.fitness.violation
            )
            return feasible + infeasible[: count - len(feasible)]
        objectives = len(feasible[0].fitness.weights)
        directions = tools.uniform_reference_points(objectives, divisions_for(objectives, count))
        # DEAP breaks ties by NumPy's global random state: it is lent a state of ours, so that a run repeats.
        state = np.random.get_state()
        np.random.seed(self._rng.getrandbits(32))
        try:
            return list(tools.selNSGA3(feasible, count, directions))
        finally:
            np.random.set_state(state)

    def _parent(self) -> Genome:
        one, other = self._rng.choice(self._survivors), self._rng.choice(self._survivors)
        return min(one, other, key=lambda each: self._rank[each.genome]).genome


def divisions_for(objectives: int, count: int) -> int:
    """So many divisions of each objective that there are at most `count` reference directions, and at least one."""
    divisions = 1
    while divisions < _MOST_DIVISIONS and math.comb(objectives + divisions, divisions + 1) <= count:
        divisions += 1
    return divisions
