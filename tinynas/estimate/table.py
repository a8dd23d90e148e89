"""A network's latency by looking its layers up among those that were profiled on the board.

A layer that was profiled takes what it took there. Between known layers of the same kind, the cycles for each turn of a
loop (non-negative least squares over that kind's layers) say how a layer's time grows with its sizes, and how much more
or less its nearest neighbours took is interpolated by inverse distance (Shepard, "A two-dimensional interpolation
function for irregularly-spaced data", 1968), in the logarithms of the loops' turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinynas.estimate.learned import LEAST_OBSERVATIONS, Observation
from tinynas.estimate.loops import Work

_NEIGHBOURS = 8
_POWER = 2
# A kind with fewer different layers takes those of its whole family.
_LEAST_LAYERS = 8

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Known:
    """Layers of a kind or family: turns (layers, loops), what they took, and the cycles of a turn (loops)."""

    turns: _Array
    cycles: _Array
    each: _Array

    def interpolate(self, turns: _Array) -> float:
        distances = np.sqrt(((np.log1p(self.turns) - np.log1p(turns)) ** 2).sum(axis=1))
        nearest = np.argsort(distances, kind="stable")[:_NEIGHBOURS]
        if distances[nearest[0]] == 0.0:
            return float(self.cycles[nearest[0]])
        expected = np.maximum(self.turns[nearest] @ self.each, 1.0)
        weights = distances[nearest] ** -_POWER
        beside = np.log(self.cycles[nearest] / expected)
        return float(turns @ self.each * np.exp((weights * beside).sum() / weights.sum()))


class Table:
    """The profiled layers."""

    def __init__(self, layers: Sequence[Observation]) -> None:
        """Each of `layers` is one layer."""
        by_kind: dict[str, list[Observation]] = {}
        by_family: dict[str, list[Observation]] = {}
        for layer in layers:
            work = layer.works[0]
            by_kind.setdefault(work.kind, []).append(layer)
            by_family.setdefault(work.family, []).append(layer)
        self._families = _known(by_family, least=LEAST_OBSERVATIONS)
        self._kinds = _known(by_kind, least=_LEAST_LAYERS)
        self._exact = {
            kind: {tuple(row): float(cycles) for row, cycles in zip(known.turns, known.cycles, strict=True)}
            for kind, known in _known(by_kind, least=1).items()
        }

    def cycles(self, work: Work) -> float | None:
        """Of one layer; None if next to nothing of its family was profiled."""
        turns = tuple(float(value) for value in work.counts.values())
        exact = self._exact.get(work.kind, {}).get(turns)
        if exact is not None:
            return exact
        known = self._kinds.get(work.kind) or self._families.get(work.family)
        return None if known is None else known.interpolate(np.array(turns))


def _known(groups: Mapping[str, Sequence[Observation]], *, least: int) -> dict[str, _Known]:
    """Those groups that have `least` different layers; what equal layers took is averaged."""
    # SciPy's import takes half a second, which commands without a calibration need not wait.
    from scipy.optimize import nnls

    found = {}
    for name, layers in groups.items():
        taken: dict[tuple[float, ...], list[float]] = {}
        for layer in layers:
            taken.setdefault(tuple(layer.works[0].counts.values()), []).append(max(layer.cycles, 1.0))
        if len(taken) < least:
            continue
        turns, cycles = np.array(list(taken), float), np.array([np.mean(each) for each in taken.values()])
        relative = turns / cycles[:, None]
        scale = np.maximum(relative.max(axis=0), 1e-30)
        each = nnls(relative / scale, np.ones(len(cycles)))[0] / scale
        found[name] = _Known(turns=turns, cycles=cycles, each=each)
    return found
