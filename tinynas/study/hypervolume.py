"""How much of the objective space a study's front dominates, evaluation by evaluation.

Zitzler and Thiele, "Multiobjective Evolutionary Algorithms: A Comparative Case Study and the Strength Pareto
Approach", IEEE Transactions on Evolutionary Computation 3(4), 1999.
"""

from collections.abc import Mapping, Sequence

from tinynas.study.store import Trial

Point = tuple[float, ...]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The volume that `points`, each to be minimised, dominate below `reference`.

    Computed by slicing along the last objective; the work grows with the number of points to the power of the
    dimensions less one, which is small for the fronts of a study.
    """
    inside = [point for point in points if all(value < most for value, most in zip(point, reference, strict=True))]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(point[0] for point in inside)
    levels = sorted({point[-1] for point in inside})
    volume = 0.0
    for level, above in zip(levels, [*levels[1:], reference[-1]], strict=True):
        slab = [point[:-1] for point in inside if point[-1] <= level]
        volume += hypervolume(slab, reference[:-1]) * (above - level)
    return volume


def reference_point(trials: Sequence[Trial], objectives: Sequence[str], bounds: Mapping[str, float]) -> Point:
    """Error 1; each other objective's bound, or without one the worst figure among the complete trials."""
    return tuple(
        1.0
        if name == "error"
        else bounds.get(name) or max((_values(trial, [name])[0] for trial in trials), default=1.0)
        for name in objectives
    )


def progress(trials: Sequence[Trial], objectives: Sequence[str], bounds: Mapping[str, float]) -> list[float]:
    """The hypervolume after each trial, as a share of the box between zero and the reference point, in [0, 1]."""
    complete = [trial for trial in trials if trial.state == "complete"]
    reference = reference_point(complete, objectives, bounds)
    shares: list[float] = []
    seen: list[Point] = []
    for trial in trials:
        if trial.state == "complete":
            point = tuple(value / most for value, most in zip(_values(trial, objectives), reference, strict=True))
            if not any(_dominates(other, point) for other in seen):
                seen = [other for other in seen if not _dominates(point, other)] + [point]
                shares.append(hypervolume(seen, (1.0,) * len(objectives)))
                continue
        shares.append(shares[-1] if shares else 0.0)
    return shares


def _dominates(first: Point, second: Point) -> bool:
    """Whether `first` is nowhere worse; an equal point adds no volume either."""
    return all(a <= b for a, b in zip(first, second, strict=True))


def _values(trial: Trial, objectives: Sequence[str]) -> Point:
    """The trial's objectives.

    Raises:
        ValueError: a complete trial lacks an accuracy or a figure.
    """
    values = [
        trial.error if name == "error" else None if trial.cost is None else trial.cost.figure(name)
        for name in objectives
    ]
    known = tuple(value for value in values if value is not None)
    if len(known) != len(values):
        raise ValueError(f"trial {trial.number} is complete but lacks one of {', '.join(objectives)}")
    return known
