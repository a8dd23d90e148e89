"""A network's latency by regression: each layer takes a sum over its loops of turns times cycles a turn.

The cycles of a turn belong to the family of kernels; each kind of kernel may deviate from its family as far as what was
observed bears that out (ridge regression of relative errors, with a weaker prior on families than on deviations). On an
emulated board each layer is an observation; on a physical one, where nothing counts layers, each network is.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinynas.estimate.calibration import ObservedNetwork
from tinynas.estimate.loops import Work

# What a layer takes beyond its loops matters little to a network: relative errors count in full above this many cycles.
_SMALL_CYCLES = 300.0
_RIDGE = 1e-6
# How far a kind may deviate from its family, beside how far the family's own cycles may be from 0.
_DEVIATION = 0.1

# Of a family; fewer say nothing of how its time grows with sizes.
LEAST_OBSERVATIONS = 5

_Column = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What `works` took together [cycles]."""

    works: tuple[Work, ...]
    cycles: float


def observations(networks: Sequence[ObservedNetwork]) -> list[Observation]:
    """Layers where they were counted, whole networks elsewhere."""
    found = []
    for network in networks:
        layers = [layer for layer in network.layers if layer.work.counts]
        if all(layer.taken is not None for layer in layers):
            found += [Observation(works=(layer.work,), cycles=float(layer.taken or 0)) for layer in layers]
        else:
            found.append(Observation(works=network.works, cycles=float(network.cycles)))
    return found


class Learned:
    """The regression, fitted to observations."""

    def __init__(self, observed: Sequence[Observation]) -> None:
        self._columns: dict[_Column, int] = {}
        for each in observed:
            for work in each.works:
                for column, _ in _entries(work):
                    self._columns.setdefault(column, len(self._columns))
        seen = Counter(family for each in observed for family in {work.family for work in each.works})
        self._families = {family for family, count in seen.items() if count >= LEAST_OBSERVATIONS}
        self._cycles = self._fit(observed)

    def cycles(self, work: Work) -> float | None:
        """Of one layer; None if next to nothing of its family was observed."""
        if work.family not in self._families:
            return None
        terms = ((self._columns.get(column), value) for column, value in _entries(work))
        return max(float(sum(self._cycles[index] * value for index, value in terms if index is not None)), 0.0)

    def turns(self, family: str, kind: str) -> dict[str, float]:
        """Cycles of a turn of each loop; for a kind that was not observed, those of its family."""
        names = [column[1] for column in self._columns if column[0] == family and len(column) == 2]
        own = {name: self._columns.get((family, kind, name)) for name in names}
        return {
            name: float(self._cycles[self._columns[(family, name)]])
            + (0.0 if (index := own[name]) is None else _DEVIATION * float(self._cycles[index]))
            for name in names
        }

    def _fit(self, observed: Sequence[Observation]) -> npt.NDArray[np.float64]:
        """Cycles of a turn, by column."""
        turns = np.zeros((len(observed), len(self._columns)))
        for row, each in enumerate(observed):
            for work in each.works:
                for column, value in _entries(work):
                    turns[row, self._columns[column]] += value
        taken = np.array([each.cycles for each in observed])
        weights = 1 / (taken + _SMALL_CYCLES)
        scale = self._scale(turns * weights[:, None])
        scaled = turns * weights[:, None] / scale
        normal = scaled.T @ scaled + _RIDGE * len(observed) * np.eye(len(scale))
        solved: npt.NDArray[np.float64] = np.linalg.solve(normal, scaled.T @ (taken * weights)) / scale
        return solved

    def _scale(self, turns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The size of a column where it is not 0; a kind's are those of its family, so that it costs it to deviate."""
        sizes = np.sqrt((turns**2).sum(axis=0) / np.maximum((turns > 0).sum(axis=0), 1))
        families = np.array([self._columns[(column[0], column[-1])] for column in self._columns])
        scale: npt.NDArray[np.float64] = np.maximum(sizes[families], 1e-12)
        return scale


def _entries(work: Work) -> Iterable[tuple[_Column, float]]:
    """Each loop's turns, for the family and for the kind."""
    for name, turns in work.counts.items():
        yield (work.family, name), turns
        yield (work.family, work.kind, name), turns * _DEVIATION
