"""How much of the objective space a study's front dominates, evaluation by evaluation."""

from collections.abc import Mapping, Sequence

from tinynas.search.fitness import hypervolume, objective_values
from tinynas.study.store import Trial

Point = tuple[float, ...]


def progress(trials: Sequence[Trial], objectives: Sequence[str], bounds: Mapping[str, float]) -> list[float]:
    """The hypervolume after each trial, as a share of the box between zero and the reference point, in [0, 1].

    Raises:
        ValueError: a complete trial lacks an accuracy or a figure.
    """
    points = {trial.number: _values(trial, objectives) for trial in trials if trial.state == "complete"}
    reference = _reference_point(list(points.values()), objectives, bounds)
    shares: list[float] = []
    seen: list[Point] = []
    for trial in trials:
        if trial.state == "complete":
            point = tuple(value / most for value, most in zip(points[trial.number], reference, strict=True))
            if not any(_covers(other, point) for other in seen):
                seen = [other for other in seen if not _covers(point, other)] + [point]
                shares.append(hypervolume(seen, (1.0,) * len(objectives)))
                continue
        shares.append(shares[-1] if shares else 0.0)
    return shares


def _reference_point(points: Sequence[Point], objectives: Sequence[str], bounds: Mapping[str, float]) -> Point:
    """Error 1; each other objective's bound, or without one the worst figure among the complete trials."""
    worst = [max(column) for column in zip(*points, strict=True)] or [1.0] * len(objectives)
    return tuple(
        1.0 if name == "error" else bounds.get(name) or most or 1.0
        for name, most in zip(objectives, worst, strict=True)
    )


def _covers(first: Point, second: Point) -> bool:
    """Whether `first` is nowhere worse, so that `second` adds no volume."""
    return all(a <= b for a, b in zip(first, second, strict=True))


def _values(trial: Trial, objectives: Sequence[str]) -> Point:
    if trial.cost is None or trial.costs is None or trial.error is None:
        raise ValueError(f"trial {trial.number} is complete but lacks its accuracy or its cost")
    return objective_values(objectives, trial.costs, trial.error)
