"""A table of what layers take, by their operators and sizes, from a few compiled networks: what a network would take
can then be asked of its architecture alone, thousands of times a second.

What is not in the table is interpolated as in `estimate.table`. A layer's loops here are its inputs, its outputs and
its multiply-accumulates, since which kernels the compiler would choose is not known.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tinynas.compiler.program import Program
from tinynas.estimate.latency import Estimator
from tinynas.estimate.learned import Observation
from tinynas.estimate.loops import Work, work_of
from tinynas.estimate.table import Table
from tinynas.space.architecture import Architecture, Layer

_OPERATORS: Mapping[str, str] = {
    "conv": "CONV_2D",
    "depthwise": "DEPTHWISE_CONV_2D",
    "dense": "FULLY_CONNECTED",
    "add": "ADD",
    "max_pool": "MAX_POOL_2D",
    "avg_pool": "AVERAGE_POOL_2D",
    "global_avg_pool": "MEAN",
}


@dataclass(frozen=True)
class LayerTable:
    """Of one board, from observed layers, of which `outside_cycles` are no part but of each network."""

    observations: Sequence[Observation]
    clock_hz: int
    outside_cycles: float

    @cached_property
    def _table(self) -> Table:
        return Table(self.observations)

    @cached_property
    def _known(self) -> dict[tuple[str, tuple[float, ...]], float]:
        return {}

    def latency_us(self, architecture: Architecture) -> float:
        """Of a network; layers whose like was hardly ever observed take nothing."""
        cycles = math.fsum(self._cycles(layer) for layer in _works(architecture))
        return (cycles + self.outside_cycles) / self.clock_hz * 1e6

    def _cycles(self, work: Work) -> float:
        key = work.kind, tuple(work.counts.values())
        if key not in self._known:
            self._known[key] = self._table.cycles(work) or 0.0
        return self._known[key]


def observe_layers(architecture: Architecture, program: Program, estimator: Estimator) -> list[Observation]:
    """What each layer of a network takes by the estimator, which sees it compiled; without those that it does not know.

    A sum that the convolution before it does is part of that convolution.
    """
    done = [
        (layer.op, work)
        for layer, work in zip(program.layers, work_of(program), strict=True)
        if layer.op in _OPERATORS.values()
    ]
    found = []
    for layer in _layers(architecture):
        if not done or done[0][0] != _OPERATORS[layer.op]:
            continue
        _, work = done.pop(0)
        cycles = estimator.model.cycles(work)
        if cycles is not None:
            found.append(Observation(works=(_work(architecture, layer),), cycles=cycles))
    return found


def _layers(architecture: Architecture) -> list[Layer]:
    """Those that take time."""
    return [layer for layer in architecture.layers if layer.op in _OPERATORS]


def _works(architecture: Architecture) -> list[Work]:
    return [_work(architecture, layer) for layer in _layers(architecture)]


def _work(architecture: Architecture, layer: Layer) -> Work:
    window = "-".join(map(str, (*layer.kernel, *layer.stride)))
    counts = {
        "calls": 1.0,
        "inputs": float(sum(math.prod(architecture.layers[source].shape) for source in layer.inputs)),
        "values": float(layer.bytes),
        "macs": float(layer.macs),
    }
    # Operators without weights are few, and enough to interpolate among only together.
    return Work(kind=f"{layer.op}-{window}", family=layer.op if layer.macs else "without weights", counts=counts)
