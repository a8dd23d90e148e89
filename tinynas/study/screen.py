"""Operator screening: what each operator of a space costs on a board for a multiply-accumulate.

A choice is timed as the difference of two networks, one with its layers and one without, at a few sizes. What a
calibration does for whole networks by estimates, this does for the choices of a space by measurement.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinynas import paths
from tinynas.boards import Board
from tinynas.children import Children
from tinynas.compiler import compile_network
from tinynas.config import Config
from tinynas.cost import Cost
from tinynas.deploy.desks import Desks
from tinynas.device.bench import Bench, open_bench
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import require_equal, to_cost
from tinynas.errors import ConfigError, LimitError
from tinynas.model.score import run_reference
from tinynas.space.architecture import Architecture, Builder
from tinynas.space.genome import Space
from tinynas.space.hardware import Deployment
from tinynas.space.registry import load_space
from tinynas.study import work
from tinynas.study.deployment import board_of, search_options
from tinynas.study.screening import Screening, Shape, Timing

# (height, width, channels): early layers, and late ones.
SIZES = ((24, 24, 8), (12, 12, 32), (6, 6, 64))
_CLASSES = 2
_TIMEOUT_S = 300.0
_MEMORY_BYTES = 8 << 30
Notify = Callable[[str], None]


def screen(
    config: Config, factor: float, sizes: Sequence[Shape] = SIZES, notify: Notify = lambda stage: None
) -> Screening:
    """Time every operator of the space on the board.

    Raises:
        ConfigError: unknown board or space, or a space that names no operators.
        NoBoardError, InfrastructureError: no board or no toolchain.
    """
    board = board_of(config)
    space = load_space(config.space.name, config.space.file)
    operators: Mapping[str, tuple[int, ...]] = getattr(space, "operators", {})
    if not operators:
        raise ConfigError(f"space {space.name} names no operators to time: image, mobilenet and cell do")
    wanted = [(name, choice, size) for name, choices in operators.items() for choice in choices for size in sizes]
    timings: list[Timing] = []
    empty: dict[Shape, Cost | None] = {}
    with (
        Children(1, memory_bytes=_MEMORY_BYTES, prepare=work.configure) as children,
        open_bench(board, port=config.board.port, directory=paths.home() / "bench", file=config.board.bench) as bench,
    ):
        place = _Place(board=board, bench=bench, children=children, config=config)
        for number, (name, choice, size) in enumerate(wanted, start=1):
            notify(f"{number} of {len(wanted)}: {name} {choice} at {'x'.join(map(str, size))} on {board.name}")
            whole = _probe(space, size, name, choice)
            rest = _probe(space, size)
            if size not in empty:
                empty[size] = _measured(place, rest)
            found = _measured(place, whole)
            timings.append(
                Timing(
                    name=name,
                    choice=choice,
                    size=size,
                    macs=whole.macs - rest.macs,
                    latency_us=_beyond("latency_us", found, empty[size]),
                    energy_uj=_beyond("energy_uj", found, empty[size]),
                )
            )
    costs = [cost for cost in empty.values() if cost is not None]
    if not costs or costs[0].validity is None or costs[0].latency_source is None:
        raise LimitError(f"board {board.name} has no room for a network of one operator")
    return Screening(
        space=space.name,
        factor=factor,
        source=costs[0].latency_source,
        validity=costs[0].validity,
        timings=tuple(timings),
    )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where networks are converted and measured."""

    board: Board
    bench: Bench
    children: Children
    config: Config


def _probe(space: Space, size: Shape, name: str = "", choice: int = 0) -> Architecture:
    """A network of one operator between its input and its head, or without a name of none."""
    maker = Builder(size, _CLASSES)
    add: Callable[[Builder, int, str, int], int] = getattr(space, "operator")  # noqa: B009
    last = add(maker, 0, name, choice) if name else 0
    return maker.finish(maker.global_avg_pool(last))


def _measured(place: _Place, network: Architecture) -> Cost | None:
    """What the network takes on the board, its outputs those of tflite-micro; None where it does not fit."""
    board, settings = place.board, place.config.board
    tflite = place.children.call("converting", _TIMEOUT_S, work.convert_random, network, 0)
    options = search_options(Deployment(optimize=settings.optimize))
    program = compile_network(tflite, target=board.target, constants=board.constants, **options.arguments)
    inputs = np.random.default_rng(0).integers(-128, 128, (1, program.inputs_bytes)).astype(np.int8)
    expected = place.children.call("tflite-micro", _TIMEOUT_S, run_reference, tflite, inputs)
    try:
        image = Desks().build(board, program)
        measurement = flash_and_measure(
            place.bench,
            image,
            inputs,
            repeats=settings.repeats,
            accept=lambda found: require_equal(found.outputs, expected, board.name),
        )
    except LimitError:
        return None
    return to_cost(measurement, image, board)


def _beyond(figure: str, whole: Cost | None, rest: Cost | None) -> float | None:
    with_it, without_it = (None if cost is None else cost.figure(figure) for cost in (whole, rest))
    return None if with_it is None or without_it is None else with_it - without_it
