"""Gradient descent on the probabilities of choices, with a latency table in the loss; then networks are drawn.

Each axis has a categorical distribution, the softmax of its logits; the loss is the expected cross-entropy of a
network with shared weights plus its expected latency times a trade-off. This is the objective of Wu et al., "FBNet",
CVPR 2019, and Xie et al., "SNAS", ICLR 2019. Those differentiate through a Gumbel-softmax mixture of all choices at
once. Here the other axes are drawn by the Gumbel-max trick, one choice each, as in Dong and Yang, "Searching for a
Robust Neural Architecture in Four GPU Hours", CVPR 2019, and all choices of one axis are tried. So nothing has to be
relaxed and the gradient is unbiased (Titsias and Lázaro-Gredilla, "Local Expectation Gradients for Black Box
Variational Inference", NeurIPS 2015), for a forward pass of each choice, which small networks can afford.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tinynas.search.fitness import Fitness
from tinynas.search.reinforce import softmax
from tinynas.search.strategy import Distribution, Setting
from tinynas.space.genome import Genome, Space

# What a network of average latency costs, in nats of cross-entropy.
LADDER = (0.03, 0.1, 0.3, 1.0, 3.0)
# How often each axis is moved.
ROUNDS = 12

# Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015; the rate is for logits, of which 3 are certainty.
_RATE, _FIRST, _SECOND, _EPSILON = 0.3, 0.9, 0.999, 1e-8
# What a choice with which no network can be built is worse by than the worst other one [nats].
_IMPOSSIBLE = 1.0
_ATTEMPTS = 50
_TEMPERATURES = (1.0, 2.0, 4.0, 8.0)

# Of a genome, in a round: the mean cross-entropy [nats] on that round's samples, infinite where there is no network.
Loss = Callable[[Genome, int], float]


def learn_distributions(
    space: Space, loss: Loss, latency: Callable[[Genome], float], seed: int
) -> Iterator[Distribution]:
    """One distribution for each trade-off of the LADDER. All see the same rounds and draw by the same numbers.

    latency: in parts of an average network's; infinite where there is no network.
    """
    for trade_off in LADDER:
        rng, adam = np.random.default_rng(seed), _Adam([len(axis.choices) for axis in space.axes])
        for number in range(ROUNDS):
            for at in rng.permutation(len(space.axes)):
                drawn = [int(np.argmax(logits + rng.gumbel(size=len(logits)))) for logits in adam.logits]
                if len(adam.logits[at]) > 1:
                    around = _around(space, drawn, at)
                    losses = [loss(one, number) + trade_off * latency(one) for one in around]
                    adam.step(at, _gradient(adam.logits[at], np.array(losses)))
        yield [softmax(logits).tolist() for logits in adam.logits]


def _around(space: Space, drawn: Sequence[int], at: int) -> list[Genome]:
    """The genomes that have these choices, by their positions, but on one axis each of its choices in turn."""
    values = [axis.choices[choice] for axis, choice in zip(space.axes, drawn, strict=True)]
    return [
        space.canonical(Genome(space.name, (*values[:at], choice, *values[at + 1 :])))
        for choice in space.axes[at].choices
    ]


def _gradient(logits: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Of the expected loss by one axis' logits, the other axes being as they were drawn."""
    possible = np.isfinite(losses)
    if not possible.any():
        return np.zeros_like(logits)
    losses = np.where(possible, losses, losses[possible].max() + _IMPOSSIBLE)
    probabilities = softmax(logits)
    return np.asarray(probabilities * (losses - probabilities @ losses))


class _Adam:
    """Adam on the logits of one axis at a time."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.logits = [np.zeros(size) for size in sizes]
        self._first, self._second = ([np.zeros(size) for size in sizes] for _ in range(2))
        self._steps = [0] * len(sizes)

    def step(self, at: int, gradient: np.ndarray) -> None:
        self._steps[at] += 1
        self._first[at] += (1 - _FIRST) * (gradient - self._first[at])
        self._second[at] += (1 - _SECOND) * (gradient**2 - self._second[at])
        rate = _RATE * math.sqrt(1 - _SECOND ** self._steps[at]) / (1 - _FIRST ** self._steps[at])
        self.logits[at] -= rate * self._first[at] / (np.sqrt(self._second[at]) + _EPSILON)


class Gradient:
    """Asks for the likeliest genome of each distribution, then draws from them, from one the more often, the more of
    its genomes kept the limits.
    """

    def __init__(self, setting: Setting) -> None:
        self._space, self._rng, self._draw = setting.space, setting.rng, setting.draw
        self._distributions = setting.distributions
        self._likeliest = [(at, self._mode(each)) for at, each in enumerate(self._distributions)]
        self._origin: dict[Genome, int] = {}
        self._told, self._kept = ([0] * len(self._distributions) for _ in range(2))

    def ask(self) -> Genome | None:
        while self._likeliest:
            at, mode = self._likeliest.pop(0)
            genome = self._draw.fresh(lambda mode=mode: mode, 1)  # type: ignore[misc]
            if genome is not None:
                self._origin[genome] = at
                return genome
        weights = [(1 + kept) / (2 + told) for kept, told in zip(self._kept, self._told, strict=True)]
        at = self._rng.choices(range(len(weights)), weights)[0]
        # The surer a distribution, the less is new of what is drawn from it: then it is made less sure.
        for temperature in _TEMPERATURES:
            genome = self._draw.fresh(lambda t=temperature: self._sample(self._distributions[at], t), _ATTEMPTS)  # type: ignore[misc]
            if genome is not None:
                self._origin[genome] = at
                return genome
        return self._draw.random()

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        at = self._origin.get(genome)
        if at is not None:
            self._told[at] += 1
            self._kept[at] += fitness.feasible

    def _mode(self, distribution: Distribution) -> Genome:
        values = (
            axis.choices[int(np.argmax(probabilities))]
            for axis, probabilities in zip(self._space.axes, distribution, strict=True)
        )
        return self._space.canonical(Genome(self._space.name, tuple(values)))

    def _sample(self, distribution: Distribution, temperature: float) -> Genome:
        values = (
            self._rng.choices(axis.choices, [each ** (1 / temperature) for each in probabilities])[0]
            for axis, probabilities in zip(self._space.axes, distribution, strict=True)
        )
        return self._space.canonical(Genome(self._space.name, tuple(values)))
