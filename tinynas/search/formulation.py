"""What is looked for: the whole front, or one number made of all objectives.

"pareto" tells a strategy the objectives as they are. "weighted_product" is one number, for a user who knows what a
millisecond is worth: Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", CVPR 2019.
"chebyshev" is one number as well, under weights drawn anew again and again, so that a strategy for one objective finds
the front: Knowles, "ParEGO", IEEE Transactions on Evolutionary Computation 10(1), 2006. One objective under limits
needs none of these: name that objective alone.
"""

import random
from collections.abc import Callable, Mapping, Sequence

from tinynas.search.fitness import Fitness
from tinynas.search.scalar import Ranges, weighted_product
from tinynas.search.strategy import Strategy
from tinynas.space.genome import Genome


class WeightedProduct:
    """`strategy` is told the one number."""

    def __init__(self, strategy: Strategy, objectives: Sequence[str], exponents: Mapping[str, float]) -> None:
        self._strategy, self._objectives, self._exponents = strategy, objectives, exponents

    def ask(self) -> Genome | None:
        return self._strategy.ask()

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        if fitness.objectives is not None:
            reward = weighted_product(self._objectives, fitness.objectives, self._exponents)
            # A strategy minimises, and the inverse of what is positive orders as its negative does.
            fitness = Fitness((1.0 / reward,))
        self._strategy.tell(genome, fitness)


class RandomChebyshev:
    """After every `every` answers weights are drawn, and a new strategy is told all answers under them."""

    def __init__(self, make: Callable[[], Strategy], rng: random.Random, every: int) -> None:
        self._make, self._rng, self._every = make, rng, every
        self._told: list[tuple[Genome, Fitness]] = []
        self._ranges = Ranges()
        self._weights: tuple[float, ...] = ()
        self._strategy = make()

    def ask(self) -> Genome | None:
        return self._strategy.ask()

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        self._told.append((genome, fitness))
        self._ranges.learn([fitness])
        if len(self._told) % self._every == 0:
            self._weights = self._ranges.draw_weights(self._rng)
            self._strategy = self._make()
            for old, known in self._told:
                self._strategy.tell(old, self._scalar(known))
        else:
            self._strategy.tell(genome, self._scalar(fitness))

    def _scalar(self, fitness: Fitness) -> Fitness:
        if fitness.objectives is None:
            return fitness
        # Until the first weights are drawn all objectives weigh the same.
        weights = self._weights or (1.0 / len(fitness.objectives),) * len(fitness.objectives)
        return Fitness((self._ranges.distance(fitness, weights)[1],))
