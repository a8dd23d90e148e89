"""Aging evolution: Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search",
AAAI 2019. The best of a random sample is mutated, and the oldest of the population dies, however good it was.

With several objectives the best of a sample is the one with the smallest weighted Chebyshev distance to the best value
of each objective so far, under weights that are drawn anew for every sample (Knowles, "ParEGO", IEEE Transactions on
Evolutionary Computation 10(1), 2006), so that samples pull towards all of the front.
"""

import random
from collections import deque
from collections.abc import Sequence

from tinynas.search.fitness import Fitness
from tinynas.search.scalar import Ranges
from tinynas.search.strategy import Admissible, Draw
from tinynas.space.genome import Genome, Space, mutate

# Real et al. take a quarter of the population, and found the sizes to matter little.
_SAMPLE_SHARE = 0.25
_ATTEMPTS = 50


class AgingEvolution:
    """Asks for a population at random, then for some children at a time, as if so many workers were at it at once."""

    def __init__(self, space: Space, *, seed: int, population: int, admissible: Admissible) -> None:
        self._space = space
        self._rng = random.Random(seed)
        self._draw = Draw(space, self._rng, admissible)
        self._size = population
        self._sample = max(2, round(_SAMPLE_SHARE * population))
        self._population: deque[tuple[Genome, Fitness]] = deque(maxlen=population)
        self._ranges = Ranges()

    def ask(self) -> list[Genome]:
        if not self._population:
            return self._draw.batch(self._size)
        children = (self._draw.fresh(self._child, _ATTEMPTS) or self._draw.random() for _ in range(self._sample))
        return [child for child in children if child is not None]

    def tell(self, results: Sequence[tuple[Genome, Fitness]]) -> None:
        self._population.extend(results)
        self._ranges.learn([fitness for _, fitness in results])

    def _child(self) -> Genome:
        sample = self._rng.sample(list(self._population), min(self._sample, len(self._population)))
        weights = self._ranges.draw_weights(self._rng)
        parent, _ = min(sample, key=lambda each: self._ranges.distance(each[1], weights))
        return mutate(self._space, parent, self._rng)
