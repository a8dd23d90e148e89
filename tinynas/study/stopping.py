"""When a candidate's training is not worth going on with: what it must have come to, epoch by epoch.

A rule looks at the candidate's cost, which is known before it is trained, and at trials that were told to the strategy
before it was asked for. So it says the same whenever a study is run or resumed, and nobody waits for anybody. Trials
are not paused and taken up again, because a verdict is told once.
"""

from collections.abc import Callable, Sequence

import moocore
import numpy as np

from tinynas.config import SearchSection, StopSection
from tinynas.cost import Figures
from tinynas.search.fitness import objective_values
from tinynas.study.store import Trial

# Gains of fewer trials say too little of what is possible.
_LEAST_CURVES = 8
_OPTIMISM = 0.9


def least_accuracies(
    stop: StopSection, search: SearchSection, epochs: int, cost: Figures, earlier: Sequence[Trial]
) -> dict[int, float]:
    """Epoch -> the least that the best validation accuracy, in [0, 1], must be after it for the training to go on.

    earlier: trials that the candidate may be compared with. Epochs at which everybody goes on are left out.
    """
    trained = [trial for trial in earlier if trial.state == "complete" and trial.judged_on and trial.curve]
    if stop.rule == "none" or "error" not in search.objectives or not trained:
        return {}
    if stop.rule == "halving":
        found = {epoch: _halving(stop.reduction, search, cost, trained, epoch) for epoch in rungs(stop, epochs)}
    else:
        goal = _goal(search.objectives, cost, trained)
        found = {epoch: _extrapolated(goal, trained, epoch, epochs) for epoch in range(stop.first_epochs, epochs)}
    return {epoch: least for epoch, least in found.items() if least > 0}


def rungs(stop: StopSection, epochs: int) -> list[int]:
    """The epochs after which halving decides, ascending, all below `epochs`."""
    found, epoch = [], stop.first_epochs
    while epoch < epochs:
        found.append(epoch)
        epoch *= stop.reduction
    return found


def _halving(reduction: int, search: SearchSection, cost: Figures, trained: Sequence[Trial], epoch: int) -> float:
    """The least accuracy with which the candidate is among the best 1/reduction at this rung, or not dominated there.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (ASHA), 2020, with the stopping variant's
    decision in order of arrival; Schmucker et al., "Multi-objective Asynchronous Successive Halving", 2021, for ranking
    by non-dominated fronts.
    """
    reached = [trial for trial in trained if trial.reason is None or len(trial.curve) >= epoch]
    if len(reached) < reduction:
        return 0.0
    peers = np.array([_values(search.objectives, trial, _best(trial, epoch)) for trial in reached])

    def goes_on(accuracy: float) -> bool:
        mine = np.array(objective_values(search.objectives, cost, 1 - accuracy))
        ahead = _in_better_fronts(mine, peers)
        return ahead == 0 or ahead + 1 <= (len(peers) + 1) / reduction

    # More accuracy never ranks lower: what decides changes at a peer's accuracy or just above it.
    accuracies = sorted({_best(trial, epoch) for trial in reached})
    return _first(goes_on, sorted({0.0, *accuracies, *(float(np.nextafter(each, 2)) for each in accuracies)}))


def _first(holds: Callable[[float], bool], levels: Sequence[float]) -> float:
    """The first level at which it holds, provided it does from there on; above all levels where it never does."""
    low, high = 0, len(levels)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(levels[middle]) else (middle + 1, high)
    return levels[low] if low < len(levels) else 2.0


def _in_better_fronts(mine: np.ndarray, peers: np.ndarray) -> int:
    """How many of the peers, float (n, objectives), are in fronts before that of `mine`, float (objectives,)."""
    points, ahead = np.vstack([mine, peers]), 0
    while True:
        best = moocore.is_nondominated(points, keep_weakly=True)
        if best[0]:
            return ahead
        ahead += int(best.sum())
        points = points[~best]


def _goal(objectives: Sequence[str], cost: Figures, trained: Sequence[Trial]) -> float:
    """The float accuracy that no earlier trial of the same cost or less has exceeded."""
    mine = np.array(objective_values(objectives, cost, 0.0))
    rivals = [
        _best(trial, len(trial.curve)) for trial in trained if (np.array(_values(objectives, trial, 1.0)) <= mine).all()
    ]
    return max(rivals, default=0.0)


def _extrapolated(goal: float, trained: Sequence[Trial], epoch: int, epochs: int) -> float:
    """The accuracy at the epoch from which gains that one in ten trials had would lead to the goal.

    A trial's gain is the error that was left at its end over the error at the epoch.

    Source: Chandrashekaran and Lane, "Speeding up Hyper-parameter Optimization by Extrapolation of Learning Curves
    using Previous Builds", 2017, in its simplest form: a curve is extrapolated by those of earlier trials. Parametric
    curves (Domhan et al., 2015) do not know of the rise at the end of a learning rate that falls.
    """
    whole = [trial for trial in trained if trial.reason is None and len(trial.curve) > epoch]
    left = [(1 - _best(trial, epochs)) / (1 - _best(trial, epoch)) for trial in whole if _best(trial, epoch) < 1]
    if len(left) < _LEAST_CURVES or goal == 0:
        return 0.0
    most_gained = float(np.quantile(left, 1 - _OPTIMISM))
    return 1 - (1 - goal) / most_gained if most_gained > 0 else 0.0


def _best(trial: Trial, epoch: int) -> float:
    """The best accuracy until the epoch; a training that ended before had its best by then."""
    return max(trial.curve[:epoch])


def _values(objectives: Sequence[str], trial: Trial, accuracy: float) -> tuple[float, ...]:
    if trial.judged_on is None:
        raise ValueError(f"trial {trial.number} was trained but has no cost")
    return objective_values(objectives, trial.judged_on, 1 - accuracy)
