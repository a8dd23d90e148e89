"""Random networks of the spaces on a board, from which estimates are made: what `tinynas calibrate` does.

Network N depends on the seed and N alone, and the file is written after each, so that whatever interrupts, the next run
goes on. Every fourth network is held out: nothing is fitted to it, and errors are those on them.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from scipy.stats import spearmanr

from tinynas import __version__, paths
from tinynas.boards import Board, load_board
from tinynas.children import Children
from tinynas.compiler import Options, Program, compile_network
from tinynas.compiler.target import Optimize
from tinynas.cost import Cost
from tinynas.deploy.build import Image, baseline, build
from tinynas.deploy.desks import held_desk
from tinynas.device.bench import Bench, open_bench
from tinynas.device.counter import Interval
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import Measurement, to_cost
from tinynas.errors import CandidateError, ConfigError, InfrastructureError, NothingFeasibleError
from tinynas.estimate.analytic import estimate_architecture, infeasible_reason
from tinynas.estimate.calibration import (
    Calibration,
    ObservedLayer,
    ObservedNetwork,
    calibration_path,
    read_calibration,
    require_valid,
    validity_record,
)
from tinynas.estimate.latency import Estimator, Method, analytic_estimator, make_estimator, relative_errors
from tinynas.estimate.loops import work_of
from tinynas.files import write_whole
from tinynas.lock import FileLock
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Genome, Space, random_genome
from tinynas.space.registry import load_space
from tinynas.study import work
from tinynas.study.lab import validity_of
from tinynas.study.profile import counted_intervals, layer_intervals

_HELD_OUT_EACH = 4
_MOST_DRAWS = 20_000
_MOST_REFUSALS = 40
# A network that takes longer at the least tells no more than others, and costs time.
_LONGEST_US = 1e6
_CHILD_TIMEOUT_S = 600.0
_CHILD_MEMORY_BYTES = 8 << 30
_PHYSICAL_REPEATS = 5

_SERIES_SHAPES = (*((time, channels) for time in (32, 64, 96, 128, 200, 256) for channels in (1, 2, 3, 4, 6, 9, 12)),)
_SPECTROGRAM_SHAPES = tuple((time, bands, 1) for time in (24, 32, 49, 61, 98) for bands in (10, 20, 32, 40))
_IMAGE_SHAPES = tuple((side, side, colours) for side in (8, 16, 20, 24, 28, 32, 40, 48) for colours in (1, 1, 3))
_SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "image": _IMAGE_SHAPES,
    "series": (*_SERIES_SHAPES, *_SPECTROGRAM_SHAPES),
    "mlp": ((8, 8, 1), (16, 16, 1), (28, 28, 1), (16, 16, 3), (64, 3), (128, 6), (128, 9), (32, 16), (640,)),
}
_CLASSES = (2, 3, 4, 6, 10, 12, 20)

SPACES = ("image", "series", "mlp")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to calibrate: `networks` of the `spaces`, held-out ones among them, compiled as `optimize` says.

    anew: begin again, whatever is there.
    """

    board: str = "netduinoplus2"
    networks: int = 200
    seed: int = 0
    spaces: tuple[str, ...] = SPACES
    optimize: Optimize = "speed"
    workers: int = 2
    port: str | None = None
    bench: Path | None = None
    anew: bool = False


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A random network that may fit the board."""

    genome: Genome
    architecture: Architecture

    @property
    def description(self) -> str:
        shape = "x".join(map(str, self.architecture.input_shape))
        return f"{self.genome.key} for {shape}, {self.architecture.classes} classes"


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What networks are drawn for and observed on."""

    board: Board
    children: Children
    bench: Bench
    optimize: Optimize


# How many networks there are, how many there are to be, and what the last one was.
Notify = Callable[[int, int, str], None]


def calibrate(settings: Settings, notify: Notify) -> dict[str, Any]:
    """Observe networks until there are as many as asked for, and report how well estimates fit those held out.

    Raises:
        ConfigError: unknown board or space, or a calibration is there that holds for something else.
        NothingFeasibleError: the board has room for none of the networks that were drawn.
        BenchError, InfrastructureError: the board or the toolchain is missing or fails; a later call goes on.
    """
    board = load_board(settings.board)
    spaces = [load_space(name) for name in settings.spaces]
    path = calibration_path(board.name, settings.optimize)
    with _sole_user(path):
        calibration = _begin(settings, board, path)
        total = max(settings.networks, len(calibration.networks))
        if len(calibration.networks) < total:
            with opened_ground(settings, board) as ground:
                for network, drawn in _observed(ground, settings, spaces, len(calibration.networks)):
                    calibration = calibration.model_copy(update={"networks": (*calibration.networks, network)})
                    _write(path, calibration)
                    notify(len(calibration.networks), total, drawn.description)
    return {"calibration": str(path), **report(calibration, path)}


@contextmanager
def _sole_user(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(f"folder {path.parent} cannot be written: {error.strerror}") from error
    lock = FileLock(path.with_name(path.name + ".lock"))
    if not lock.acquire():
        raise InfrastructureError(f"calibration {path} is being made by another process: wait for it or stop it")
    with lock:
        yield


def _begin(settings: Settings, board: Board, path: Path) -> Calibration:
    """The calibration that is there, if it may be gone on with, or an empty one."""
    with held_desk() as desk:
        validity = validity_of(board, baseline(board, desk, settings.optimize))
    if settings.anew or not path.exists():
        return Calibration(
            tinynas=__version__,
            validity=validity_record(validity),
            source="emulated" if board.emulated else "measured",
            seed=settings.seed,
            spaces=settings.spaces,
            networks=(),
        )
    found = read_calibration(path)
    require_valid(found, validity, path)
    for name in ("seed", "spaces"):
        then, now = getattr(found, name), getattr(settings, name)
        if then != now:
            raise ConfigError(
                f"calibration {path} was drawn with {name} {then}, not {now}: leave that as it was to go on, "
                "or begin again with --anew"
            )
    return found


def _write(path: Path, calibration: Calibration) -> None:
    try:
        write_whole(path, calibration.model_dump_json().encode())
    except OSError as error:
        raise InfrastructureError(
            f"calibration {path} cannot be written: {error.strerror}; what was there is whole"
        ) from error


@contextmanager
def opened_ground(settings: Settings, board: Board) -> Iterator[Ground]:
    """Children that convert and boards that run, as many as `settings.workers` where they are emulated.

    Raises as `calibrate`.
    """
    count = settings.workers if board.emulated and settings.bench is None else 1
    directory = paths.home() / "bench"
    with (
        open_bench(board, port=settings.port, count=count, directory=directory, file=settings.bench) as bench,
        Children(settings.workers, memory_bytes=_CHILD_MEMORY_BYTES, prepare=work.configure) as children,
    ):
        yield Ground(board=board, children=children, bench=bench, optimize=settings.optimize)


def _observed(
    ground: Ground, settings: Settings, spaces: Sequence[Space], first: int
) -> Iterator[tuple[ObservedNetwork, Drawn]]:
    """Networks `first` and on, in their order, `settings.workers` at a time."""
    waiting: dict[int, Future[tuple[ObservedNetwork, Drawn]]] = {}
    with ThreadPoolExecutor(settings.workers, thread_name_prefix="network") as threads:
        try:
            for number in range(first, settings.networks):
                for ahead in range(number, min(number + 2 * settings.workers, settings.networks)):
                    if ahead not in waiting:
                        waiting[ahead] = threads.submit(_observe_one, ground, settings.seed, spaces, ahead)
                yield waiting[number].result()
        finally:
            # After an error or Ctrl-C nobody waits for networks that would be lost anyway.
            ground.children.stop()
            threads.shutdown(wait=True, cancel_futures=True)


def _observe_one(ground: Ground, seed: int, spaces: Sequence[Space], number: int) -> tuple[ObservedNetwork, Drawn]:
    """Network `number`: the first one drawn for it that the board has room for."""
    refusals: list[str] = []
    for drawn in draw(ground.board, spaces, random.Random(f"{seed}/{number}")):
        try:
            held_out = number % _HELD_OUT_EACH == _HELD_OUT_EACH - 1
            return observe(ground, drawn, seed=number, layers=ground.board.emulated, held_out=held_out), drawn
        except CandidateError as error:
            refusals.append(f"{drawn.description}: {error}")
            if ground.children.stopped or len(refusals) == _MOST_REFUSALS:
                break
    names = ", ".join(space.name for space in spaces)
    raise NothingFeasibleError(
        f"board {ground.board.name} has run none of the networks of {names} that were drawn for place {number}: "
        f"{refusals[-1] if refusals else 'all are too large'}"
    )


def draw(board: Board, spaces: Sequence[Space], rng: random.Random) -> Iterator[Drawn]:
    """Random networks whose lower bounds leave them a chance on the board, for random inputs and classes."""
    bounds = {"sram_bytes": board.sram_bytes, "flash_bytes": board.flash_bytes, "latency_us": _LONGEST_US}
    for _ in range(_MOST_DRAWS):
        space = rng.choice(spaces)
        genome = random_genome(space, rng)
        shape, classes = rng.choice(_SHAPES.get(space.name, _IMAGE_SHAPES)), rng.choice(_CLASSES)
        try:
            architecture = space.decode(genome, shape, classes)
        except CandidateError:
            continue
        if infeasible_reason(estimate_architecture(architecture, board), bounds) is None:
            yield Drawn(genome=genome, architecture=architecture)


def compile_drawn(ground: Ground, drawn: Drawn, seed: int) -> Program:
    """The untrained network, compiled as a study compiles it. Raises CandidateError."""
    tflite = ground.children.call("converting", _CHILD_TIMEOUT_S, work.convert_random, drawn.architecture, seed)
    options = Options(keep_constant_channels=True, optimize=ground.optimize)
    return compile_network(tflite, target=ground.board.target, constants=ground.board.constants, **options.arguments)


def observe(ground: Ground, drawn: Drawn, *, seed: int, layers: bool, held_out: bool) -> ObservedNetwork:
    """What a network takes on the board; with `layers`, what each of them takes, which only an emulator can count.

    Raises:
        CandidateError: it cannot be converted or compiled, or does not fit.
    """
    program = compile_drawn(ground, drawn, seed)
    with held_desk() as desk:
        image = build(ground.board, program, desk)
        marked = build(ground.board, program, desk, profile=True) if layers else None
    inputs = np.random.default_rng(seed).integers(-128, 128, (1, program.inputs_bytes)).astype(np.int8)
    cost = to_cost(_run(ground, image, inputs), image, ground.board)
    counted: list[Interval] | list[None] = [None] * len(program.layers)
    outside = None
    if marked is not None:
        counted, outside = layer_intervals(program, counted_intervals(_run(ground, marked, inputs)))
    return _observation(drawn, program, cost, counted, outside, held_out=held_out)


def _run(ground: Ground, image: Image, inputs: np.ndarray) -> Measurement:
    return flash_and_measure(ground.bench, image, inputs, repeats=1 if ground.board.emulated else _PHYSICAL_REPEATS)


def _observation(
    drawn: Drawn,
    program: Program,
    cost: Cost,
    counted: Sequence[Interval | None],
    outside: Interval | None,
    *,
    held_out: bool,
) -> ObservedNetwork:
    if cost.latency_us is None or cost.sram is None or cost.flash is None or cost.validity is None:
        raise ValueError("a measurement gives all figures")
    layers = tuple(
        ObservedLayer(
            kind=layer.kind,
            family=layer.family,
            counts={name: float(turns) for name, turns in layer.counts.items()},
            cycles=None if taken is None else max(taken.cycles, 0),
            wait_cycles=None if taken is None else max(taken.wait_cycles, 0),
        )
        for layer, taken in zip(work_of(program), counted, strict=True)
    )
    return ObservedNetwork(
        genome=drawn.genome.key,
        input_shape=drawn.architecture.input_shape,
        classes=drawn.architecture.classes,
        layers=layers,
        cycles=round(cost.latency_us * cost.validity.clock_hz / 1e6),
        outside_cycles=None if outside is None else max(outside.cycles + outside.wait_cycles, 0),
        latency_us=cost.latency_us,
        code_bytes=cost.flash.code or 0,
        constants_bytes=cost.flash.constants,
        arena_bytes=cost.sram.arena,
        static_bytes=cost.sram.static,
        stack_bytes=cost.sram.stack or 0,
        held_out=held_out,
    )


def report(calibration: Calibration, path: Path) -> dict[str, Any]:
    """How far each method's latencies are from those measured, on networks that nothing was fitted to, as JSON values.

    Errors are fractions of the measured latency; rank_correlation is Spearman's. A method that cannot be used has the
    reason in its place.
    """
    networks = calibration.networks
    found: dict[str, Any] = {
        "board": calibration.validity.board,
        "source": calibration.source,
        "networks": len(networks),
        "fitted": len(calibration.fitted),
        "held_out": len(calibration.held_out),
        "layers": sum(len(network.works) for network in calibration.fitted),
        "kinds": len({work.kind for network in calibration.fitted for work in network.works}),
        "validity": calibration.validity.model_dump(),
    }
    for method in get_args(Method):
        try:
            estimator = _estimator(method, calibration, path)
        except ConfigError as error:
            found[method] = {"reason": str(error)}
            continue
        estimates = [estimator.cycles(network.works) for network in calibration.held_out]
        found[method] = {
            **errors_of(relative_errors(estimator, calibration.held_out)),
            **_ranks(estimates, [network.cycles for network in calibration.held_out]),
        }
    return found


def _estimator(method: Method, calibration: Calibration, path: Path) -> Estimator:
    if method == "analytic":
        return analytic_estimator(load_board(calibration.validity.board))
    return make_estimator(method, calibration, path)


def errors_of(errors: Sequence[float]) -> dict[str, Any]:
    """Statistics of relative errors, each None without any."""
    if not errors:
        return {"estimated": 0, "mean_error": None, "within_5_percent": None, "largest_error": None}
    sizes = np.abs(errors)
    return {
        "estimated": len(errors),
        "mean_error": float(sizes.mean()),
        "within_5_percent": float((sizes <= 0.05).mean()),
        "largest_error": float(sizes.max()),
    }


def _ranks(estimates: Sequence[float | None], taken: Sequence[float]) -> dict[str, float | None]:
    pairs = [(first, second) for first, second in zip(estimates, taken, strict=True) if first is not None]
    if len(pairs) < 2:
        return {"rank_correlation": None}
    return {"rank_correlation": float(spearmanr(*zip(*pairs, strict=True)).statistic)}
