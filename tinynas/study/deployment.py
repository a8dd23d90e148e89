"""What is searched, and how candidates are deployed: the compiler's options, and what estimates may promise of them."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tinynas.boards import Board, load_board
from tinynas.compiler import Options
from tinynas.config import Config
from tinynas.cost import Cost
from tinynas.estimate.analytic import estimate_architecture, smallest_cost
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Genome, Space
from tinynas.space.hardware import Deployment, HardwareSpace, deployment_of, with_hardware
from tinynas.space.narrow import fixed, without
from tinynas.space.registry import load_space
from tinynas.space.resolution import with_resolution


def board_of(config: Config) -> Board:
    """The board that [board] names, at the clock that it names.

    Raises:
        ConfigError: the board is not known, or does not run at that clock.
    """
    return load_board(config.board.name).at(config.board.clock)


def boards_of(config: Config) -> list[Board]:
    """That board and those of [also], each at its clock, the main one first. Raises ConfigError as `board_of`."""
    return [board_of(config), *(load_board(name).at(place.clock) for name, place in config.also.items())]


def searched_space(config: Config, board: Board) -> Space:
    """The space that [space] describes, with genes for `board`.

    Raises:
        ConfigError: the space, an axis, a choice or a gene is not known, or the board cannot serve a gene.
    """
    return with_hardware(network_space(config), config.space.hardware, board)


def network_space(config: Config) -> Space:
    """The same without hardware genes. Raises ConfigError as `searched_space`."""
    space = config.space
    whole = with_resolution(load_space(space.name, space.file), space.reduce)
    return fixed(without(whole, space.drop), space.fix)


def deployed(space: Space, genome: Genome, config: Config) -> Deployment:
    """What the genome says; without genes, what [board] says."""
    return deployment_of(space, genome, Deployment(optimize=config.board.optimize))


def search_options(deployment: Deployment) -> Options:
    """As a search compiles: all channels are computed, for a candidate's cost must not depend on its weights."""
    return recorded_options(deployment.to_json())


def recorded_options(record: Mapping[str, Any]) -> Options:
    """As the search compiled a trial, whose deployment is `record`."""
    return Options(keep_constant_channels=True, **_compiled(record))


def export_options(record: Mapping[str, Any]) -> Options:
    """As a trial was measured, but for what only tinynas's firmware and linker script can do: fast memory."""
    return Options(**{name: value for name, value in _compiled(record).items() if name != "fast_bytes"})


def _compiled(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those fields of a deployment that are the compiler's options."""
    return {name: value for name, value in record.items() if name not in ("clock_hz", "activation_bits")}


def lower_bound(architecture: Architecture, deployment: Deployment, board: Board) -> Cost:
    """The estimate at the deployment's clock and for its activations, which stays a lower bound where the first layers
    run in patches.
    """
    value_bytes = deployment.activation_bits // 8
    estimate = estimate_architecture(architecture, board.at(deployment.clock_hz), value_bytes=value_bytes)
    return _patched(estimate, value_bytes * architecture.layers[0].bytes, deployment.patches)


def least_of_space(space: Space, input_shape: tuple[int, ...], classes: int, board: Board) -> Cost:
    """What no candidate of the space undercuts, figure by figure."""
    clocks_hz = space.clocks_hz if isinstance(space, HardwareSpace) else ()
    boards = [board.at(clock_hz) for clock_hz in clocks_hz] or [board]
    least = smallest_cost(space, input_shape, classes, boards)
    return _patched(least, math.prod(input_shape), "auto" if isinstance(space, HardwareSpace) else "off")


def _patched(cost: Cost, input_bytes: int, patches: str) -> Cost:
    if patches == "off" or cost.sram is None:
        return cost
    # In patches no activation need ever exist as a whole but the network's input.
    return replace(cost, sram=replace(cost.sram, arena=min(cost.sram.arena, input_bytes)))
