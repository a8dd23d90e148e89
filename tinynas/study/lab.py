"""Opening a lab: board, bench, children, task and the bounds that hold for a study."""

import functools
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import Any

from tinynas import __version__, paths
from tinynas.boards import Board
from tinynas.children import Children, Crew, call_in_child
from tinynas.cluster.driver import Cluster
from tinynas.cluster.messages import TRAIN, board_resource
from tinynas.cluster.place import Place
from tinynas.cluster.remote import ClusterCrew, ClusterPool, ClusterWorkshop, connected
from tinynas.config import Config
from tinynas.cost import Validity
from tinynas.deploy.build import Baseline, baseline
from tinynas.deploy.desks import Desks, Workshop, held_desk
from tinynas.device.bench import open_bench
from tinynas.device.gather import Gathering
from tinynas.device.pool import BenchPool, Pool
from tinynas.errors import ConfigError
from tinynas.estimate.calibration import calibration_path, read_calibration, require_valid
from tinynas.estimate.latency import Estimator, analytic_estimator, make_estimator
from tinynas.model.placed import PlacedTask
from tinynas.search.registry import require_strategy
from tinynas.space.genome import Space
from tinynas.study import work
from tinynas.study.cache import Cache
from tinynas.study.deployment import boards_of, searched_space
from tinynas.study.gradient import require_learnable
from tinynas.study.supernet import require_shareable
from tinynas.study.testbed import Lab, Places, Testbed

_LOADING_TIMEOUT_S = 1800.0
_BATCH = 8
_STATE_LIFE_S = 14 * 24 * 3600.0


@contextmanager
def open_lab(config: Config, place: Place | None = None) -> Iterator[Lab]:
    """Check all settings against the real parts, cheapest first, and open what evaluation needs: children and boards of
    this machine, or those of the cluster at `place`.

    Raises:
        ConfigError: unknown board, task or space; bad data.
        ToolchainError: no compiler, PlatformIO or emulator.
        NoBoardError: no board answers, or no worker of the cluster offers one.
        InfrastructureError: there is no scheduler, or no worker offers a training slot.
    """
    boards = boards_of(config)
    space = _space_for_all(config, boards)
    require_strategy(config.search.strategy, config.search.predictor)
    require_shareable(config, space)
    require_learnable(config, boards[0])
    with ExitStack() as stack:
        cluster = None if place is None else stack.enter_context(_connected(config, place))
        task, placed = call_in_child(
            f"loading task {config.task.name}",
            _LOADING_TIMEOUT_S,
            int(config.train.memory),
            work.describe_and_place,
            config.task,
            config.search.seed,
            cluster is not None,
        )
        _require_augmentable(config, task)
        with held_desk() as desk:
            empties = [baseline(board, desk, config.board.optimize) for board in boards]
        bounds = bounds_on_all(config, boards, empties)
        validities = [validity_of(board, empty) for board, empty in zip(boards, empties, strict=True)]
        estimators = [_estimator(config, board, validity) for board, validity in zip(boards, validities, strict=True)]
        _forget_old_states()
        pools = [stack.enter_context(_open_pool(config, board, cluster)) for board in boards]
        workshop: Workshop = Desks() if cluster is None else ClusterWorkshop(cluster)
        known = zip(boards, pools, validities, estimators, strict=True)
        testbeds = [_testbed(config, *each, workshop=workshop) for each in known]
        networks = sum(testbed.pool.size * testbed.gathering.most for testbed in testbeds)
        crew = stack.enter_context(_open_crew(config, cluster))
        data = config.task
        if placed is not None:
            crew.place(placed)
            data = PlacedTask(**data.model_dump(), file=placed, digest=task.digest)
        yield Lab(
            config=config,
            testbeds=tuple(testbeds),
            space=space,
            task=task,
            data=data,
            crew=crew,
            workshop=workshop,
            cache=Cache(paths.home() / "cache.db", int(config.cache.size)) if config.cache.enabled else None,
            bounds=bounds,
            places=Places(training=crew.size, boards=sum(pool.size for pool in pools)),
            threads=None if cluster is not None else crew.size + networks,
        )


def _connected(config: Config, place: Place) -> AbstractContextManager[Cluster]:
    """Raises ConfigError: the settings say where boards are, which on a cluster its workers say."""
    sections = {"board": config.board, **{f"also.{name}": each for name, each in config.also.items()}}
    for name, section in sections.items():
        for key in ("port", "bench"):
            if (value := getattr(section, key)) is not None:
                raise ConfigError(
                    f"[{name}] {key} = {str(value)!r}: on a cluster boards are where its workers are: leave it out, "
                    "and give it to tinynas worker"
                )
    return connected(place)


@contextmanager
def _open_pool(config: Config, board: Board, cluster: Cluster | None) -> Iterator[Pool]:
    if cluster is not None:
        cluster.await_offer(board_resource(board.name))
        yield ClusterPool(cluster, board)
        return
    place = config.also.get(board.name, config.board)
    directory = paths.home() / "bench"
    with open_bench(board, port=place.port, count=place.count, directory=directory, file=place.bench) as bench:
        yield BenchPool(bench)


@contextmanager
def _open_crew(config: Config, cluster: Cluster | None) -> Iterator[Crew]:
    memory_bytes = int(config.train.memory)
    if cluster is None:
        with Children(config.search.workers, memory_bytes=memory_bytes, prepare=work.configure) as children:
            yield children
        return
    cluster.await_offer(TRAIN)
    yield ClusterCrew(cluster, memory_bytes=memory_bytes)


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


def _testbed(
    config: Config, board: Board, pool: Pool, validity: Validity, estimator: Estimator | None, *, workshop: Workshop
) -> Testbed:
    combine = functools.partial(workshop.build_together, board)
    return Testbed(
        board=board,
        pool=pool,
        gathering=Gathering(pool, board, combine, most=_most(config.board.batch, board)),
        validity=validity,
        estimator=estimator,
        also=board.name if board.name in config.also else None,
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
