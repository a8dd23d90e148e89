"""REINFORCE: a small controller learns by policy gradient what to sample. Williams, "Simple Statistical
Gradient-Following Algorithms for Connectionist Reinforcement Learning", Machine Learning 8, 1992; for architectures
Zoph and Le 2017, and with the weighted-product reward Tan et al., "MnasNet: Platform-Aware Neural Architecture Search
for Mobile", CVPR 2019.

The controller has one softmax for each axis, as in Cai et al., "ProxylessNAS", ICLR 2019: budgets are too small for a
recurrent one.
"""

import math

import numpy as np

from tinynas.search.fitness import Fitness
from tinynas.search.scalar import weighted_product
from tinynas.search.strategy import Setting
from tinynas.space.genome import Genome

_LEARNING_RATE = 0.3
# How fast the mean and the spread of the rewards follow, and how much certainty costs.
_FOLLOW = 0.1
_ENTROPY = 0.02
_ATTEMPTS = 50
_TEMPERATURES = (1.0, 2.0, 4.0, 8.0)


class Reinforce:
    """Samples the controller, which learns from every answer."""

    def __init__(self, setting: Setting) -> None:
        self._space, self._rng, self._draw = setting.space, setting.rng, setting.draw
        self._objectives = setting.objectives
        self._logits = [np.zeros(len(axis.choices)) for axis in setting.space.axes]
        self._reference: float | None = None
        self._mean, self._variance, self._answers = 0.0, 0.0, 0

    def ask(self) -> Genome | None:
        # The surer the controller, the less is new of what it samples: then it is asked to be less sure.
        for temperature in _TEMPERATURES:
            genome = self._draw.fresh(lambda temperature=temperature: self._sample(temperature), _ATTEMPTS)  # type: ignore[misc]
            if genome is not None:
                return genome
        return self._draw.random()

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        advantage = self._advantage(self._reward(fitness))
        for at, (axis, value) in enumerate(zip(self._space.axes, genome.values, strict=True)):
            probabilities = softmax(self._logits[at])
            chosen = np.zeros(len(axis.choices))
            chosen[axis.choices.index(value)] = 1.0
            entropy = -float(probabilities @ np.log(probabilities))
            # The gradients of the logarithm of the probability and of the entropy by the logits.
            likelier = advantage * (chosen - probabilities)
            more_even = -probabilities * (np.log(probabilities) + entropy)
            self._logits[at] += _LEARNING_RATE * (likelier + _ENTROPY * more_even)

    def _sample(self, temperature: float) -> Genome:
        values = (
            self._rng.choices(axis.choices, weights=softmax(logits / temperature).tolist())[0]
            for axis, logits in zip(self._space.axes, self._logits, strict=True)
        )
        return self._space.canonical(Genome(self._space.name, tuple(values)))

    def _reward(self, fitness: Fitness) -> float:
        """MnasNet's; what breaks limits gets less than anything that keeps them, the less the further it is off."""
        if fitness.objectives is None:
            return -1.0 - fitness.violation / (1.0 + fitness.violation) if math.isfinite(fitness.violation) else -2.0
        reward = weighted_product(self._objectives, fitness.objectives, {})
        self._reference = self._reference or reward
        return reward / self._reference

    def _advantage(self, reward: float) -> float:
        """How much better than usual, in standard deviations, at most 3 either way."""
        self._answers += 1
        follow = max(_FOLLOW, 1.0 / self._answers)
        difference = reward - self._mean
        self._mean += follow * difference
        self._variance = (1 - follow) * (self._variance + follow * difference**2)
        spread = math.sqrt(self._variance)
        return max(-3.0, min(3.0, difference / spread)) if spread > 1e-9 else 0.0


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n,) of choices with these logits (n,)."""
    exponentials = np.exp(logits - logits.max())
    # No choice ever becomes impossible.
    return np.asarray(np.maximum(exponentials / exponentials.sum(), 1e-6))
