"""What a network costs at least, from its layers alone: the first and cheapest gate.

Every figure is a lower bound, so a network that the estimate refuses could not have met the limits on the board.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tinynas.boards import Board
from tinynas.cost import Cost, Figures, Flash, Sram
from tinynas.errors import CandidateError
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Genome, Space, random_genome, smallest

# A Cortex-M55's VMLADAVA makes sixteen products in a cycle beside a load, a Cortex-M4's SMLAD two; nothing makes more.
# Elsewhere a product is one instruction of a cycle or more, and its operands have to be loaded: the densest loop of
# firmware/lib, tn_dot_4x2, loads 6 for 8.
_CYCLES_PER_MAC = {"cortex-m55": 1 / 16, "cortex-m4": 1 / 2, "cortex-m0": 14 / 8, "portable": 14 / 8}

_STARTS = 3

_NAMES = {
    "latency_us": ("us", "latency"),
    "sram_bytes": ("B of SRAM", "sram"),
    "flash_bytes": ("B of flash", "flash"),
    "energy_uj": ("uJ", "energy"),
}


def estimate_architecture(architecture: Architecture, board: Board, value_bytes: int = 1) -> Cost:
    """A lower bound on every figure, source "estimated"; code size and stack are taken as 0. value_bytes: of an
    activation's value.
    """
    return _cost(
        board,
        macs=architecture.macs,
        activation_bytes=value_bytes * architecture.peak_activation_bytes,
        constants_bytes=architecture.constants_bytes,
    )


def features_of(architecture: Architecture) -> tuple[float, ...]:
    """What costs and accuracy depend on most, for a predictor: logarithms of MACs, constants [B] and the largest
    activation [B], and the number of layers.
    """
    sizes = (architecture.macs, architecture.constants_bytes, architecture.peak_activation_bytes)
    return (*(math.log1p(size) for size in sizes), float(len(architecture.layers)))


def smallest_cost(space: Space, input_shape: tuple[int, ...], classes: int, boards: Sequence[Board]) -> Cost:
    """The least that each figure comes to over the space, figure by figure; no one network need have them all. `boards`
    is one board, at each of the clocks that it may run at.

    Coordinate descent from the smallest genome and from random ones: widths and depths act on every figure in one
    direction, so it ends at the least where the axes are such quantities.
    """
    rng = random.Random(0)
    starts = [smallest(space), *(random_genome(space, rng) for _ in range(_STARTS))]

    def least(read: Callable[[Architecture], int]) -> int:
        def measure(genome: Genome) -> float:
            try:
                return read(space.decode(genome, input_shape, classes))
            except CandidateError:
                return math.inf

        return int(min(measure(_descend(space, start, measure)) for start in starts))

    sizes = {
        "macs": least(lambda architecture: architecture.macs),
        "activation_bytes": least(lambda architecture: architecture.peak_activation_bytes),
        "constants_bytes": least(lambda architecture: architecture.constants_bytes),
    }
    costs = [_cost(board, **sizes) for board in boards]
    fastest = min(costs, key=lambda cost: cost.latency_us or 0.0)
    return replace(
        fastest, energy_uj=min((cost.energy_uj for cost in costs if cost.energy_uj is not None), default=None)
    )


def _descend(space: Space, genome: Genome, measure: Callable[[Genome], float]) -> Genome:
    best = measure(genome)
    improved = True
    while improved:
        improved = False
        for index, axis in enumerate(space.axes):
            for choice in axis.choices:
                values = (*genome.values[:index], choice, *genome.values[index + 1 :])
                neighbour = space.canonical(Genome(space.name, values))
                if (value := measure(neighbour)) < best:
                    genome, best, improved = neighbour, value, True
    return genome


def _cost(board: Board, *, macs: int, activation_bytes: int, constants_bytes: int) -> Cost:
    latency_us = macs * _CYCLES_PER_MAC[board.target] / board.clock_hz * 1e6
    energy_uj = None if board.power is None else board.power.run_mw * latency_us / 1000
    return Cost(
        latency_us=latency_us,
        latency_source="estimated",
        sram=Sram(static=0, arena=activation_bytes, stack=None),
        sram_source="estimated",
        flash=Flash(code=None, constants=constants_bytes),
        flash_source="estimated",
        energy_uj=energy_uj,
        energy_source=None if energy_uj is None else "estimated",
        energy_basis=None if board.power is None else board.power.source,
    )


def infeasible_reason(cost: Figures, bounds: Mapping[str, float]) -> str | None:
    """What breaks which bound, on which of several boards, with both numbers; None when nothing does."""
    for name, bound in bounds.items():
        figure = cost.figure(name)
        if figure is not None and figure > bound:
            plain, at, board = name.partition("@")
            unit, setting = _NAMES[plain]
            where, sections = (f" on {board}", "[limits] and [also]") if at else ("", "[limits]")
            return f"needs {figure:,.0f} {unit}{where}, at most {bound:,.0f} allowed: see {sections} {setting}"
    return None
