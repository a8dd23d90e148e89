"""Opening a lab: board, bench, children, task and the bounds that hold for a study."""

import functools
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import Any

from tinynas import __version__, paths
from tinynas.boards import Board
from tinynas.children import Children, call_in_child
from tinynas.config import Config
from tinynas.cost import Validity
from tinynas.deploy.build import Baseline, Image, baseline, build_together
from tinynas.device.bench import open_bench
from tinynas.device.gather import Gathering
from tinynas.device.pool import BenchPool
from tinynas.errors import ConfigError
from tinynas.estimate.calibration import calibration_path, read_calibration, require_valid
from tinynas.estimate.latency import Estimator, analytic_estimator, make_estimator
from tinynas.search.registry import require_strategy
from tinynas.space.genome import Space
from tinynas.study import work
from tinynas.study.cache import Cache
from tinynas.study.deployment import boards_of, searched_space
from tinynas.study.desks import held_desk
from tinynas.study.gradient import require_learnable
from tinynas.study.supernet import require_shareable
from tinynas.study.testbed import Lab, Testbed

_LOADING_TIMEOUT_S = 1800.0
_BATCH = 8
_STATE_LIFE_S = 14 * 24 * 3600.0


@contextmanager
def open_lab(config: Config) -> Iterator[Lab]:
    """Check all settings against the real parts, cheapest first, and open what evaluation needs.

    Raises:
        ConfigError: unknown board, task or space; bad data.
        ToolchainError: no compiler, PlatformIO or emulator.
        NoBoardError: no board answers.
    """
    boards = boards_of(config)
    space = _space_for_all(config, boards)
    require_strategy(config.search.strategy, config.search.predictor)
    require_shareable(config, space)
    require_learnable(config, boards[0])
    task = call_in_child(
        f"loading task {config.task.name}",
        _LOADING_TIMEOUT_S,
        int(config.train.memory),
        work.describe_task,
        config.task,
        config.search.seed,
    )
    _require_augmentable(config, task)
    with ExitStack() as stack:
        with held_desk() as desk:
            empties = [baseline(board, desk, config.board.optimize) for board in boards]
        bounds = bounds_on_all(config, boards, empties)
        validities = [validity_of(board, empty) for board, empty in zip(boards, empties, strict=True)]
        estimators = [_estimator(config, board, validity) for board, validity in zip(boards, validities, strict=True)]
        _forget_old_states()
        crew = stack.enter_context(
            Children(config.search.workers, memory_bytes=int(config.train.memory), prepare=work.configure)
        )
        testbeds = [
            stack.enter_context(_open_testbed(config, *each))
            for each in zip(boards, validities, estimators, strict=True)
        ]
        yield Lab(
            config=config,
            testbeds=tuple(testbeds),
            space=space,
            task=task,
            data=config.task,
            crew=crew,
            cache=Cache(paths.home() / "cache.db", int(config.cache.size)) if config.cache.enabled else None,
            bounds=bounds,
        )


def _require_augmentable(config: Config, task: work.TaskFacts) -> None:
    """Raises ConfigError where training samples are to be changed in a way that makes no sense for them."""
    settings, shape = config.train, task.input_shape
    if settings.flip and (len(shape) != 3 or config.task.kind == "audio"):
        raise ConfigError(
            f"[train] flip mirrors images, and task {task.name} has none, its samples are {shape}: leave it out"
        )
    if settings.shift and (len(shape) < 2 or settings.shift >= shape[0]):
        raise ConfigError(
            f"[train] shift moves samples by up to {settings.shift} rows, those of task {task.name} are {shape}: "
            "lower it, or leave it out"
        )


@contextmanager
def _open_testbed(config: Config, board: Board, validity: Validity, estimator: Estimator | None) -> Iterator[Testbed]:
    further = board.name in config.also
    place = config.also[board.name] if further else config.board
    directory = paths.home() / "bench"
    with open_bench(board, port=place.port, count=place.count, directory=directory, file=place.bench) as bench:
        pool = BenchPool(bench)
        yield Testbed(
            board=board,
            pool=pool,
            gathering=Gathering(pool, board, functools.partial(_combine, board), most=_most(config.board.batch, board)),
            validity=validity,
            estimator=estimator,
            also=board.name if further else None,
        )


def _space_for_all(config: Config, boards: Sequence[Board]) -> Space:
    """The space with the genes of the main board, which must be those of the others as well."""
    spaces = [searched_space(config, board) for board in boards]
    for board, space in zip(boards, spaces, strict=True):
        for axis, other in zip(spaces[0].axes, space.axes, strict=True):
            if axis != other:
                raise ConfigError(
                    f"gene {axis.name} has choices {', '.join(map(str, axis.choices))} on {boards[0].name} and "
                    f"{', '.join(map(str, other.choices))} on {board.name}: leave it out of [space] hardware"
                )
    return spaces[0]


def _estimator(config: Config, board: Board, validity: Validity) -> Estimator | None:
    """What estimates latencies, None where they are measured.

    Raises:
        ConfigError: there is no calibration, or it holds for something else.
    """
    settings = config.estimate
    if settings.latency == "measured":
        return None
    if settings.latency == "analytic":
        return analytic_estimator(board)
    also = config.also.get(board.name)
    given = settings.calibration if also is None else also.calibration
    path = given or calibration_path(validity.board, config.board.optimize)
    if given is None and not path.is_file():
        raise ConfigError(
            f"board {validity.board} is not calibrated, so that latency = {settings.latency!r} has nothing to estimate "
            f"from: run tinynas calibrate --board {validity.board}"
            f"{'' if config.board.optimize == 'speed' else ' --optimize size'}"
        )
    calibration = read_calibration(path)
    require_valid(calibration, validity, path)
    return make_estimator(settings.latency, calibration, path)


def validity_of(board: Board, empty: Baseline) -> Validity:
    """What is measured on `board` now is valid for this."""
    return Validity(
        board=board.name,
        clock_hz=board.clock_hz,
        toolchain=empty.toolchain,
        flags=empty.flags,
        firmware=empty.firmware_hash,
    )


def _forget_old_states() -> None:
    """Remove trainings that nobody has gone on with for long."""
    for path in (paths.home() / work.STATES).glob("*.npz*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _STATE_LIFE_S:
                path.unlink()


def _combine(board: Board, images: Sequence[Image]) -> Sequence[Image]:
    with held_desk() as desk:
        return build_together(board, images, desk)


def _most(batch: int | None, board: Board) -> int:
    """How many candidates an image may hold."""
    return batch or (1 if board.emulated else _BATCH)


def bounds_of(config: Config, board: Board, empty: Baseline) -> dict[str, float]:
    """The user's limits, and what the board's memories [B] leave after the empty firmware.

    Raises:
        ConfigError: an objective needs a figure that this board cannot give.
    """
    limits = config.bounds_on(board.name)
    wanted = {"energy_uj", f"energy_uj@{board.name}"} & {*config.search.objectives, *limits}
    if board.power is None and wanted:
        raise ConfigError(
            f"board {board.name} has no power figure, so energy_uj is not known: "
            "leave it out of objectives and limits, or add tinynas.power to its manifest"
        )
    memories = {
        "sram_bytes": float(board.sram_bytes - empty.sizes.static),
        "flash_bytes": float(board.flash_bytes - empty.sizes.image),
    }
    return {**memories, **limits, **{name: min(limits.get(name, most), most) for name, most in memories.items()}}


def bounds_on_all(config: Config, boards: Sequence[Board], empties: Sequence[Baseline]) -> dict[str, float]:
    """Figure -> bound; of several boards latency_us@BOARD and so on. Raises ConfigError as `bounds_of`."""
    bounds = {board.name: bounds_of(config, board, empty) for board, empty in zip(boards, empties, strict=True)}
    if len(boards) == 1:
        return bounds[boards[0].name]
    return {f"{figure}@{board}": most for board, each in bounds.items() for figure, most in each.items()}


def facts_of(lab: Lab) -> dict[str, Any]:
    """What a new study records about its surroundings, as JSON values; `run` compares them on resume."""
    task = asdict(lab.task)
    return {
        "config": lab.config.model_dump(mode="json"),
        "board": lab.main.board.name,
        "task": {**task, **{name: list(task[name]) for name in ("input_shape", "class_names", "sizes")}},
        "space": {
            "name": lab.space.name,
            "axes": [{"name": axis.name, "choices": list(axis.choices)} for axis in lab.space.axes],
        },
        "seed": lab.config.search.seed,
        "bounds": dict(lab.bounds),
        **_facts_of(lab.main),
        "also": {testbed.board.name: _facts_of(testbed) for testbed in lab.testbeds[1:]} or None,
        "tinynas": __version__,
        "elapsed_s": 0.0,
    }


def _facts_of(testbed: Testbed) -> dict[str, Any]:
    estimator = testbed.estimator
    estimate = None if estimator is None else {"latency": estimator.method, "calibration": estimator.digest}
    return {"validity": asdict(testbed.validity), "estimate": estimate}
