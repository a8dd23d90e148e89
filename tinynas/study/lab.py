"""Opening a lab: board, bench, children, task and the bounds that hold for a study."""

import functools
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinynas import __version__, paths
from tinynas.boards import Board, load_board
from tinynas.children import Children, call_in_child
from tinynas.config import Config
from tinynas.cost import Validity
from tinynas.deploy.build import Baseline, Image, baseline, build_together
from tinynas.device.bench import open_bench
from tinynas.device.gather import Gathering
from tinynas.errors import ConfigError
from tinynas.estimate.calibration import calibration_path, read_calibration, require_valid
from tinynas.estimate.latency import Estimator, analytic_estimator, make_estimator
from tinynas.search.registry import require_strategy
from tinynas.study import work
from tinynas.study.cache import Cache
from tinynas.study.deployment import searched_space
from tinynas.study.desks import held_desk
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
    board = load_board(config.board.name)
    space = searched_space(config, board)
    require_strategy(config.search.strategy, config.search.predictor)
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
            empty = baseline(board, desk, config.board.optimize)
        validity = validity_of(board, empty)
        estimator = _estimator(config, board, validity)
        children = stack.enter_context(
            Children(config.search.workers, memory_bytes=int(config.train.memory), prepare=work.configure)
        )
        bench = stack.enter_context(
            open_bench(
                board,
                port=config.board.port,
                count=config.board.count,
                directory=paths.home() / "bench",
                file=config.board.bench,
            )
        )
        gathering = Gathering(bench, board, functools.partial(_combine, board), most=_most(config.board.batch, board))
        yield Lab(
            config=config,
            testbeds=(Testbed(board=board, bench=bench, gathering=gathering, validity=validity, estimator=estimator),),
            space=space,
            task=task,
            children=children,
            cache=Cache(paths.home() / "cache.db", int(config.cache.size)) if config.cache.enabled else None,
            states=_states(),
            bounds=bounds_of(config, board, empty),
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
    path = settings.calibration or calibration_path(validity.board, config.board.optimize)
    if settings.calibration is None and not path.is_file():
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


def _states() -> Path:
    """Where trainings under way are kept, without those that nobody has gone on with for long."""
    folder = paths.home() / "training"
    for path in folder.glob("*.npz*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _STATE_LIFE_S:
                path.unlink()
    return folder


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
    if board.power is None and ("energy_uj" in config.search.objectives or config.limits.energy is not None):
        raise ConfigError(
            f"board {board.name} has no power figure, so energy_uj is not known: "
            "leave it out of objectives and limits, or add tinynas.power to its manifest"
        )
    memories = {
        "sram_bytes": float(board.sram_bytes - empty.sizes.static),
        "flash_bytes": float(board.flash_bytes - empty.sizes.image),
    }
    limits = config.limits.bounds()
    return {**memories, **limits, **{name: min(limits.get(name, most), most) for name, most in memories.items()}}


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
        "validity": asdict(lab.main.validity),
        "estimate": None
        if lab.main.estimator is None
        else {"latency": lab.main.estimator.method, "calibration": lab.main.estimator.digest},
        "tinynas": __version__,
        "elapsed_s": 0.0,
    }
