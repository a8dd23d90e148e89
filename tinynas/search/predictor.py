"""A predictor with uncertainty: of many proposals it chooses the one to evaluate.

A Gaussian process for each objective is fitted to what has been told; another tells from candidates that broke limits
how likely a proposal keeps them. The proposal with the largest expected improvement of the hypervolume is chosen, the
expectation taken over draws from the posterior: Emmerich, Giannakoglou and Naujoks, "Single- and Multiobjective
Evolutionary Optimization Assisted by Gaussian Random Field Metamodels", IEEE Transactions on Evolutionary Computation
10(4), 2006.
"""

import random
import warnings
from collections import Counter
from collections.abc import Sequence

import moocore
import numpy as np
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

from tinynas.search.fitness import Fitness, non_dominated, summits
from tinynas.search.local import Fresh, climb
from tinynas.search.strategy import Features
from tinynas.space.genome import Genome, Space, neighbour, random_genome

# Proposals to choose from; three times as many choose no better on tests/benchmarks/search.py.
_POOL = 100
_DRAWS = 8
# From so many answers on, and so often, a step of hill climbing is taken instead.
_LATE = 75
_STEPS = 0.75
# Kernels are fitted again when there is so much more data; a fit takes longer than all the rest.
_REFIT = 1.2
# Beyond this many the fits would take seconds: the latest say most about where the search is.
_MOST = 500
_LEAST = 4
# What is added to values from 0 to 1 before their logarithm is taken, and the most that a draw's may be.
_OFFSET = 0.05
_LARGEST = 3.0


class Predictor:
    """Learns from every answer, and chooses among proposals, of which half are neighbours of the best known."""

    pool = _POOL

    def __init__(self, space: Space, rng: random.Random, features: Features | None = None) -> None:
        self._space, self._rng, self._features = space, rng, features
        self._genomes: list[Genome] = []
        self._fitness: list[Fitness] = []
        self._models: dict[str, _Process] = {}
        self._summits: list[Genome] = []
        self._summits_of = 0
        self._tried: Counter[Genome] = Counter()

    def learn(self, genome: Genome, fitness: Fitness) -> None:
        """One more answer."""
        self._genomes.append(genome)
        self._fitness.append(fitness)

    def propose(self) -> Genome:
        """One of the front, or of what breaks limits least, with one axis changed; at random while nothing is known."""
        known = self._known_summits()
        return (
            neighbour(self._space, self._rng.choice(known), self._rng)
            if known
            else random_genome(self._space, self._rng)
        )

    def step(self, fresh: Fresh) -> Genome | None:
        """Once the front is roughly known, mostly a step of hill climbing: what is left to gain is smaller than what
        the processes can tell from chance.
        """
        if len(self._genomes) < _LATE or self._rng.random() >= _STEPS:
            return None
        return climb(self._space, self._rng, self._known_summits(), self._tried, fresh)

    def _known_summits(self) -> list[Genome]:
        if self._summits_of != len(self._genomes):
            self._summits, self._summits_of = summits(self._genomes, self._fitness), len(self._genomes)
        return self._summits

    def choose(self, proposals: list[Genome]) -> Genome:
        """The most promising proposal; the first one while too little is known."""
        recent = slice(-_MOST, None)
        genomes, fitness = self._genomes[recent], self._fitness[recent]
        if len(proposals) == 1 or len(genomes) < _LEAST:
            return proposals[0]
        feasible = np.array([each.objectives is not None for each in fitness])
        with threadpool_limits(1), warnings.catch_warnings():
            # Sums in one order, so that a run repeats; and a kernel at the end of its range serves as well.
            warnings.simplefilter("ignore", ConvergenceWarning)
            known, proposed = np.split(self._encode([*genomes, *proposals]), [len(genomes)])
            promise = np.zeros(len(proposals))
            if feasible.sum() >= _LEAST:
                told = np.array([each.objectives for each in fitness if each.objectives is not None])
                promise = self._improvement(known[feasible], told, proposed)
            if not feasible.all():
                likely, excess = self._limits(known, np.array([each.violation for each in fitness]), proposed)
                promise = promise * likely if feasible.sum() >= _LEAST else -excess
        return proposals[int(np.argmax(promise))]

    def _improvement(self, known: np.ndarray, told: np.ndarray, proposed: np.ndarray) -> np.ndarray:
        """Expected improvement of the hypervolume by each row of `proposed`."""
        least, most = told.min(axis=0), told.max(axis=0)
        told = (told - least) / np.where(most > least, most - least, 1.0)
        draws = np.stack(
            [
                self._process(f"objective {index}").draw(known, told[:, index], proposed, self._rng.getrandbits(31))
                for index in range(told.shape[1])
            ],
            axis=2,
        )
        front = told[non_dominated(told.tolist())]
        return np.asarray(np.mean([_gains(front, draw) for draw in draws], axis=0))

    def _limits(self, known: np.ndarray, violation: np.ndarray, proposed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How likely each row of `proposed` keeps the limits, never quite 0, which would make them all equal, and the
        logarithm of its expected excess.
        """
        finite = violation[np.isfinite(violation)]
        # What failed without breaking a limit is as bad as the worst that broke one.
        excess = np.log1p(np.minimum(violation, max(finite.max(initial=0.0), 1.0)))
        mean, deviation = self._process("limits").predict(known, excess, proposed)
        nearly = excess[excess > 0].min() / 2
        return np.clip(norm.cdf((nearly - mean) / np.maximum(deviation, 1e-6)), 1e-3, 1.0), mean

    def _process(self, name: str) -> "_Process":
        return self._models.setdefault(name, _Process())

    def _encode(self, genomes: Sequence[Genome]) -> np.ndarray:
        """(n, columns): ordered axes as their rank in [0, 1], the others one-hot with distance 1, then the features."""
        columns = []
        for at, axis in enumerate(self._space.axes):
            ranks = np.array([axis.choices.index(genome.values[at]) for genome in genomes])
            if axis.ordered:
                columns.append(ranks[:, None] / max(1, len(axis.choices) - 1))
            else:
                columns.append(np.eye(len(axis.choices))[ranks] / np.sqrt(2))
        if self._features is not None:
            known = np.array([self._features(genome) for genome in genomes], dtype=float)
            spread = known.std(axis=0)
            columns.append((known - known.mean(axis=0)) / np.where(spread > 0, spread, 1.0))
        return np.hstack(columns)


class _Process:
    """A Gaussian process of one figure, whose kernel is kept between fits."""

    def __init__(self) -> None:
        self._kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(1.5, (0.3, 20.0), nu=2.5) + WhiteKernel(
            1e-2, (1e-4, 0.5)
        )
        self._fitted_on = 0

    def predict(self, known: np.ndarray, values: np.ndarray, proposed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation at each row of `proposed`."""
        mean, deviation = self._fit(known, values).predict(proposed, return_std=True)
        return mean, deviation

    def draw(self, known: np.ndarray, values: np.ndarray, proposed: np.ndarray, seed: int) -> np.ndarray:
        """(_DRAWS, rows of `proposed`): draws from the joint posterior of values in parts of their range.

        Errors and latencies are skewed, a few networks far from the rest, so that logarithms are fitted.
        """
        process = self._fit(known, np.log(values + _OFFSET))
        drawn = process.sample_y(proposed, _DRAWS, random_state=seed).T
        return np.asarray(np.exp(np.minimum(drawn, _LARGEST)) - _OFFSET)

    def _fit(self, known: np.ndarray, values: np.ndarray) -> GaussianProcessRegressor:
        again = len(known) >= _REFIT * self._fitted_on
        process = GaussianProcessRegressor(
            self._kernel, optimizer="fmin_l_bfgs_b" if again else None, normalize_y=True
        ).fit(known, values)
        if again:
            self._kernel, self._fitted_on = process.kernel_, len(known)
        return process


def _gains(front: np.ndarray, points: np.ndarray) -> np.ndarray:
    """By how much each point alone would raise the front's hypervolume; for points that the front dominates, minus a
    little of how deep below it they are, so that of bad proposals the least bad is known.
    """
    reference = np.ones(front.shape[1])
    before = moocore.hypervolume(front, ref=reference)
    above = points[:, None, :] - front[None, :, :]
    gains = -1e-6 * above.max(axis=2).min(axis=1)
    for index in np.flatnonzero(~(above >= 0).all(axis=2).any(axis=1)):
        gains[index] = moocore.hypervolume(np.vstack([front, points[index]]), ref=reference) - before
    return np.asarray(gains)
