"""Aging evolution: Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search",
AAAI 2019. The best of a random sample is mutated, and the oldest of the population dies, however good it was.

With several objectives the best of a sample is the one with the smallest weighted Chebyshev distance to the best value
of each objective so far, under weights that are drawn anew for every sample (Knowles, "ParEGO", IEEE Transactions on
Evolutionary Computation 10(1), 2006), so that samples pull towards all of the front.
"""

from collections import deque

from tinynas.search.fitness import Fitness
from tinynas.search.scalar import Ranges
from tinynas.search.strategy import Setting
from tinynas.space.genome import Genome, mutate

# Real et al. take a quarter of a population of 100. Of a dozen that is three, which select too little.
_SAMPLE_SHARE = 0.5
_ATTEMPTS = 50


class AgingEvolution:
    """A population at random, then one child after the other."""

    def __init__(self, setting: Setting) -> None:
        self._space, self._rng, self._draw = setting.space, setting.rng, setting.draw
        self._sample = max(2, round(_SAMPLE_SHARE * setting.population))
        self._first = setting.population
        self._population: deque[tuple[Genome, Fitness]] = deque(maxlen=setting.population)
        self._ranges = Ranges()

    def ask(self) -> Genome | None:
        if self._draw.count < self._first or not self._population:
            return self._draw.random()
        return self._draw.fresh(self._child, _ATTEMPTS) or self._draw.random()

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        self._population.append((genome, fitness))
        self._ranges.learn([fitness])

    def _child(self) -> Genome:
        sample = self._rng.sample(list(self._population), min(self._sample, len(self._population)))
        weights = self._ranges.draw_weights(self._rng)
        parent, _ = min(sample, key=lambda each: self._ranges.distance(each[1], weights))
        return mutate(self._space, parent, self._rng)
