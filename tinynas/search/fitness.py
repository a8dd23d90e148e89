"""Figures to fitness: objectives to be minimised, and by how much the limits are broken."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np

from tinynas.cost import Figures
from tinynas.errors import ConfigError
from tinynas.space.genome import Genome


@dataclass(frozen=True)
class Fitness:
    """What a strategy learns of a candidate.

    objectives: one value each, to be minimised; None for an infeasible candidate, which is never trained.
    violation: 0 when feasible, else the sum of relative excesses over the limits, infinite when nothing is known.
    """

    objectives: tuple[float, ...] | None
    violation: float = 0.0

    @property
    def feasible(self) -> bool:
        return self.objectives is not None


def violation(cost: Figures, bounds: Mapping[str, float]) -> float:
    """Sum over the bounds of (figure - bound) / bound where the figure is known and larger."""
    excess = 0.0
    for name, bound in bounds.items():
        figure = cost.figure(name)
        if figure is not None and figure > bound:
            excess += (figure - bound) / bound
    return excess


def objective_values(objectives: Sequence[str], cost: Figures, error: float) -> tuple[float, ...]:
    """The value of each objective, to be minimised.

    Raises:
        ConfigError: a figure is not known, so that it cannot be an objective.
    """
    values = []
    for name in objectives:
        figure = error if name == "error" else cost.figure(name)
        if figure is None:
            raise ConfigError(f"objective {name} is not known on this board: name another in [search] objectives")
        values.append(figure)
    return tuple(values)


def fitness(
    objectives: Sequence[str], bounds: Mapping[str, float], cost: Figures | None, error: float | None
) -> Fitness:
    """A candidate's fitness from what is known of it; without an `error` it was refused or went wrong."""
    if cost is not None and error is not None:
        return Fitness(objective_values(objectives, cost, error))
    excess = 0.0 if cost is None else violation(cost, bounds)
    # A candidate that failed without breaking a limit says nothing about where to go: it ranks last.
    return Fitness(None, excess or math.inf)


def non_dominated(points: Sequence[Sequence[float]]) -> list[int]:
    """Indices of the points, each to be minimised, that no other dominates; of equal points the first."""
    if not points:
        return []
    return [int(index) for index in np.flatnonzero(moocore.is_nondominated(np.asarray(points, dtype=float)))]


def summits(genomes: Sequence[Genome], told: Sequence[Fitness]) -> list[Genome]:
    """The genomes on the front; while nothing is feasible, those that break limits least."""
    feasible = [
        (genome, fitness.objectives)
        for genome, fitness in zip(genomes, told, strict=True)
        if fitness.objectives is not None
    ]
    if feasible:
        return [feasible[index][0] for index in non_dominated([objectives for _, objectives in feasible])]
    least = min((fitness.violation for fitness in told), default=0.0)
    return [genome for genome, fitness in zip(genomes, told, strict=True) if fitness.violation == least]


def hypervolume(points: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """The volume between `points`, each to be minimised, and `reference` (Zitzler and Thiele 1999)."""
    if not points:
        return 0.0
    return float(moocore.hypervolume(np.asarray(points, dtype=float), ref=np.asarray(reference, dtype=float)))
