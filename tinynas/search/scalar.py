"""Several objectives as one number, for strategies that compare candidates one by one."""

import random
from collections.abc import Mapping, Sequence

from tinynas.search.fitness import Fitness

# MnasNet's exponent of the cost: twice the latency is worth 5 % of the accuracy (Tan et al. 2019).
EXPONENT = -0.07

# Adds a little of every objective, so that of two equal largest terms the other terms decide (Knowles 2006, rho).
_SUM = 0.05


def weighted_product(names: Sequence[str], values: Sequence[float], exponents: Mapping[str, float]) -> float:
    """MnasNet's reward, to be maximised: accuracy times the product of the other objectives, each to its exponent.

    Without its accuracy a candidate is worth the product of its costs. The reward has no target for a cost: that would
    be a constant factor.
    """
    reward = 1.0
    for name, value in zip(names, values, strict=True):
        # Nothing costs nothing, and nothing is always wrong; but a table of figures may say so.
        reward *= max(1.0 - value, 1e-9) if name == "error" else max(value, 1e-9) ** exponents.get(name, EXPONENT)
    return reward


class Ranges:
    """The least and the largest value of each objective among the feasible candidates so far."""

    def __init__(self) -> None:
        self._least: list[float] = []
        self._most: list[float] = []

    def learn(self, fitnesses: Sequence[Fitness]) -> None:
        """Widen the ranges to what is told."""
        for objectives in (fitness.objectives for fitness in fitnesses if fitness.objectives is not None):
            if not self._least:
                self._least, self._most = list(objectives), list(objectives)
            self._least = [min(pair) for pair in zip(self._least, objectives, strict=True)]
            self._most = [max(pair) for pair in zip(self._most, objectives, strict=True)]

    def draw_weights(self, rng: random.Random) -> tuple[float, ...]:
        """One weight for each objective, at least 0 and 1 in sum, uniform over all such weights."""
        draws = [rng.expovariate(1.0) for _ in self._least]
        return tuple(each / sum(draws) for each in draws)

    def distance(self, fitness: Fitness, weights: Sequence[float]) -> tuple[float, float]:
        """By which candidates are compared, less is better: violation first, then the weighted Chebyshev distance to
        the least value of each objective, in parts of its range.
        """
        if fitness.objectives is None:
            return fitness.violation, 0.0
        terms = [
            weight * (value - least) / (most - least) if most > least else 0.0
            for weight, value, least, most in zip(weights, fitness.objectives, self._least, self._most, strict=True)
        ]
        return 0.0, max(terms) + _SUM * sum(terms)
