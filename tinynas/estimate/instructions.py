"""A network's latency without a board and without a calibration of it: what each kernel's loops take in CPU cycles.

`instructions.json` has, for a target of the compiler, the cycles of one turn of each loop of a kernel, and how often it
waits for flash, in wait states. `python tests/benchmarks/estimate.py --write-instructions` fits them to the calibration
of an emulated board, whose cycles docs/cycles.md accounts for. They hold for all boards of that target as far as those
have the same compiler and kernels, which only a board's own calibration can say.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinynas.boards import Board
from tinynas.errors import ConfigError
from tinynas.estimate.calibration import Calibration
from tinynas.estimate.learned import Learned, Observation
from tinynas.estimate.loops import FREE, Work

PATH = Path(__file__).with_name("instructions.json")

# By loop: cycles of a turn, and wait states.
_Turns = Mapping[str, tuple[float, float]]


class Instructions:
    """The model of one target, on a board with so many wait states."""

    def __init__(self, model: Mapping[str, Any], wait_states: int) -> None:
        self._kinds: Mapping[str, _Turns] = model["kinds"]
        self._families: Mapping[str, _Turns] = model["families"]
        self._wait_states = wait_states

    def cycles(self, work: Work) -> float | None:
        """Of one layer; None if nothing is known of its family."""
        turns = self._kinds.get(work.kind) or self._families.get(work.family)
        if turns is None:
            return None
        each = ((turns[name], value) for name, value in work.counts.items())
        return max(sum((cycles + waits * self._wait_states) * value for (cycles, waits), value in each), 0.0)


@functools.cache
def _models() -> Mapping[str, Any]:
    models: Mapping[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return models


def instructions_for(board: Board) -> tuple[Instructions, float]:
    """The model for a board's CPU, and the cycles that a network takes beyond its layers.

    Raises:
        ConfigError: there is none for what networks are compiled for on that board.
    """
    models = _models()
    if board.target not in models:
        known = ", ".join(sorted(models))
        raise ConfigError(
            f"board {board.name} runs code for {board.target}, there are instruction models for {known} alone: "
            f'run tinynas calibrate --board {board.name}, then use latency = "learned"'
        )
    model = models[board.target]
    wait_states = 0 if board.flash_timing is None else board.flash_timing.wait_states
    return Instructions(model, wait_states), float(model["outside_cycles"])


def fit_instructions(calibration: Calibration, board: Board, outside_cycles: float) -> dict[str, Any]:
    """The model of a target, as in the file, from the calibration of an emulated board with that target."""
    layers = [layer for network in calibration.fitted for layer in network.layers if layer.kind != FREE]
    wait_states = 1 if board.flash_timing is None else board.flash_timing.wait_states
    cycles = Learned([Observation(works=(layer.work,), cycles=float(layer.cycles or 0)) for layer in layers])
    waits = Learned(
        [Observation(works=(layer.work,), cycles=(layer.wait_cycles or 0) / wait_states) for layer in layers]
    )

    def turns(family: str, kind: str) -> dict[str, tuple[float, float]]:
        taken, waited = cycles.turns(family, kind), waits.turns(family, kind)
        return {name: (_rounded(taken[name]), _rounded(waited[name])) for name in taken}

    works = {(layer.family, layer.kind) for layer in layers if cycles.cycles(layer.work) is not None}
    return {
        "board": board.name,
        "toolchain": calibration.validity.toolchain,
        "flags": calibration.validity.flags,
        "networks": len(calibration.fitted),
        "outside_cycles": outside_cycles,
        "kinds": {kind: turns(family, kind) for family, kind in sorted(works)},
        "families": {family: turns(family, "") for family in sorted({family for family, _ in works})},
    }


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
