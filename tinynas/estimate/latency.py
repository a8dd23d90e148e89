"""A compiled network's latency without a board, by one of several methods."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np

from tinynas.boards import Board
from tinynas.compiler.program import Program
from tinynas.errors import ConfigError
from tinynas.estimate.calibration import Calibration, ObservedNetwork
from tinynas.estimate.instructions import PATH as INSTRUCTIONS
from tinynas.estimate.instructions import instructions_for
from tinynas.estimate.learned import Learned, observations
from tinynas.estimate.loops import Work, work_of
from tinynas.estimate.table import Table

Method = Literal["analytic", "table", "learned"]
Fitted = Literal["table", "learned"]
METHODS: tuple[Fitted, ...] = get_args(Fitted)

# With fewer networks, most kernels have not been seen.
LEAST_NETWORKS = 6
# An interval's bounds are quantiles of errors, and need errors.
_LEAST_ERRORS = 20
_COVERAGE = 0.95


class Model(Protocol):
    """What knows how long layers take."""

    def cycles(self, work: Work) -> float | None:
        """Of one layer; None where it knows nothing of such layers."""
        ...


@dataclass(frozen=True, kw_only=True)
class Latency:
    """An estimate [us], and between which bounds 95 % of networks lie, None where too few were held out to say."""

    latency_us: float
    low_us: float | None
    high_us: float | None


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """A model with what a whole network takes beyond its layers.

    spread: estimates lie within this factor of what was measured for 95 % of networks, as a logarithm. digest: SHA-256
    of the calibration, or of the instruction models, hexadecimal.
    """

    method: Method
    model: Model
    clock_hz: int
    outside_cycles: float
    digest: str = ""
    spread: float | None = None

    def estimate(self, program: Program) -> Latency | None:
        """The latency of a compiled network; None if one of its layers is unlike all that the model knows."""
        cycles = None if program.patched is not None or program.fast_bytes else self.cycles(work_of(program))
        if cycles is None:
            return None
        latency_us = cycles / self.clock_hz * 1e6
        factor = None if self.spread is None else float(np.exp(self.spread))
        return Latency(
            latency_us=latency_us,
            low_us=None if factor is None else latency_us / factor,
            high_us=None if factor is None else latency_us * factor,
        )

    def cycles(self, works: Sequence[Work]) -> float | None:
        """Of a network with these layers."""
        taken = [self.model.cycles(work) for work in works if work.counts]
        known = [each for each in taken if each is not None]
        return sum(known) + self.outside_cycles if len(known) == len(taken) else None


def analytic_estimator(board: Board) -> Estimator:
    """An estimator from the instruction model of the board's CPU, which nothing was measured for on this board.

    Raises:
        ConfigError: there is no model for it.
    """
    model, outside_cycles = instructions_for(board)
    return Estimator(
        method="analytic",
        model=model,
        clock_hz=board.clock_hz,
        outside_cycles=outside_cycles,
        digest=hashlib.sha256(INSTRUCTIONS.read_bytes()).hexdigest(),
    )


def make_estimator(method: Fitted, calibration: Calibration, path: Path) -> Estimator:
    """An estimator fitted to a calibration, which was read from `path`.

    Raises:
        ConfigError: it has too few networks, or the table is asked for and nothing counted the layers.
    """
    networks = calibration.fitted
    if len(networks) < LEAST_NETWORKS:
        raise ConfigError(
            f"calibration {path} has {len(networks)} networks to fit to, {LEAST_NETWORKS} are needed: run "
            "tinynas calibrate again, which goes on where it ended"
        )
    layers = observations(networks)
    if method == "table" and any(len(each.works) > 1 for each in layers):
        raise ConfigError(
            f"calibration {path} was made on a physical board, where nothing counts layers, and has no table: "
            'use latency = "learned"'
        )
    outside = [each.outside_cycles for each in networks if each.outside_cycles is not None]
    estimator = Estimator(
        method=method,
        model=Table(layers) if method == "table" else Learned(layers),
        clock_hz=calibration.validity.clock_hz,
        outside_cycles=float(np.median(outside)) if outside else 0.0,
        digest=hashlib.sha256(calibration.model_dump_json().encode()).hexdigest(),
    )
    errors = np.abs([np.log1p(error) for error in relative_errors(estimator, calibration.held_out)])
    spread = float(np.quantile(errors, _COVERAGE, method="higher")) if len(errors) >= _LEAST_ERRORS else None
    return replace(estimator, spread=spread)


def relative_errors(estimator: Estimator, networks: Sequence[ObservedNetwork]) -> list[float]:
    """(estimated - measured) / measured of those networks that the estimator knows all layers of."""
    estimates = [(estimator.cycles(network.works), network.cycles) for network in networks]
    return [cycles / taken - 1 for cycles, taken in estimates if cycles is not None]
