"""Bayesian optimisation by Optuna's tree-structured Parzen estimator: Ozaki, Tanigaki, Watanabe and Onishi,
"Multiobjective Tree-Structured Parzen Estimator", Journal of Artificial Intelligence Research 73, 2022.

Optuna samples each axis from what good candidates have in common, given limits that were kept. It is an extra:
tinynas[bayesian].
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tinynas.search.fitness import Fitness
from tinynas.search.strategy import Setting
from tinynas.space.genome import Genome

if TYPE_CHECKING:
    import optuna

_ATTEMPTS = 10
# Stands for an infinite violation, which Optuna does not take.
_MOST = 1e9


class Bayesian:
    """A population at random, then one sample after the other."""

    def __init__(self, setting: Setting) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._failed = optuna.trial.TrialState.FAIL
        self._space, self._draw = setting.space, setting.draw
        self._distributions: Mapping[str, optuna.distributions.BaseDistribution] = {
            axis.name: optuna.distributions.IntDistribution(0, len(axis.choices) - 1)
            if axis.ordered
            else optuna.distributions.CategoricalDistribution(range(len(axis.choices)))
            for axis in setting.space.axes
        }
        sampler = optuna.samplers.TPESampler(seed=setting.rng.getrandbits(31), n_startup_trials=setting.population)
        self._study = optuna.create_study(directions=["minimize"] * len(setting.objectives), sampler=sampler)
        self._worst = [0.0] * len(setting.objectives)
        self._asked: dict[Genome, optuna.Trial] = {}

    def ask(self) -> Genome | None:
        proposed: dict[Genome, optuna.Trial] = {}

        def propose() -> Genome:
            trial = self._study.ask(dict(self._distributions))
            genome = self._genome(trial)
            if genome in proposed:
                self._study.tell(trial, state=self._failed)
            else:
                proposed[genome] = trial
            return genome

        genome = self._draw.fresh(propose, _ATTEMPTS)
        for other, trial in proposed.items():
            if other == genome:
                self._asked[other] = trial
            else:
                self._study.tell(trial, state=self._failed)
        return genome or self._draw.random()

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        trial = self._asked.pop(genome, None) or self._enqueue(genome)
        if fitness.objectives is not None:
            self._worst = [max(pair) for pair in zip(self._worst, fitness.objectives, strict=True)]
        trial.set_constraint("violation", min(fitness.violation, _MOST))
        # Optuna wants values even of what breaks limits; it ranks those by their violation.
        self._study.tell(trial, list(fitness.objectives or self._worst))

    def _genome(self, trial: "optuna.Trial") -> Genome:
        values = tuple(axis.choices[trial.params[axis.name]] for axis in self._space.axes)
        return self._space.canonical(Genome(self._space.name, values))

    def _enqueue(self, genome: Genome) -> "optuna.Trial":
        """A trial of Optuna's for a genome that it did not ask for."""
        ranks = {
            axis.name: axis.choices.index(value) for axis, value in zip(self._space.axes, genome.values, strict=True)
        }
        self._study.enqueue_trial(ranks)
        return self._study.ask(dict(self._distributions))
