"""What one network costs on the boards of a study: compiled, built, estimated or measured, its outputs compared."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tinynas.boards import Board
from tinynas.children import Crew
from tinynas.compiler import Program, compile_network
from tinynas.config import Config, TaskSection
from tinynas.cost import Cost, Costs, Flash, Sram, Validity
from tinynas.deploy.desks import Workshop
from tinynas.device.gather import Gathering
from tinynas.device.measure import to_cost
from tinynas.device.pool import Order, Pool
from tinynas.estimate.latency import Estimator, analytic_estimator
from tinynas.space.genome import Space
from tinynas.space.hardware import Deployment
from tinynas.study import work
from tinynas.study.cache import COST, Cache, cost_key
from tinynas.study.deployment import search_options


@dataclass(frozen=True, kw_only=True)
class Testbed:
    """One kind of board that a study measures on, with all of that kind that there are.

    validity: what every cost on it is valid for; a gene `optimize` has flags of its own, a gene `clock` a clock, which
        each cost says.
    estimator: of latencies, None where all are measured.
    also: the board's name if it is a further one.
    """

    board: Board
    pool: Pool
    gathering: Gathering
    validity: Validity
    estimator: Estimator | None = None
    also: str | None = None

    def at(self, clock_hz: int | None) -> "Testbed":
        """The same with its board at another clock [Hz]; None: as it is. Raises ConfigError as `Board.at`.

        A calibration holds for one clock, so that costs at another one are measured; the instruction model tells cycles
        from waits for the flash.
        """
        if clock_hz in (None, self.board.clock_hz):
            return self
        board = self.board.at(clock_hz)
        analytic = self.estimator is not None and self.estimator.method == "analytic"
        return replace(
            self,
            board=board,
            validity=replace(self.validity, clock_hz=board.clock_hz),
            estimator=analytic_estimator(board) if analytic else None,
        )


@dataclass(frozen=True, kw_only=True)
class Places:
    """How many trainings and how many boards work at the same time, where a study is begun."""

    training: int
    boards: int


@dataclass(frozen=True, kw_only=True)
class Lab:
    """What evaluation needs, opened once per run.

    testbeds: the main board's, then those of the further boards.
    data: from where children read the task's samples: [task], or on a cluster the copy that its hosts are given.
    cache: what other studies worked out; None where it is switched off.
    bounds: figure name -> the most that a network may need: the user's limits and the boards' memories.
    threads: how many candidates this process works on at once; None: all that are under way.
    supernet: whose weights candidates are scored with; None where each is trained.
    """

    config: Config
    testbeds: tuple[Testbed, ...]
    space: Space
    task: work.TaskFacts
    data: TaskSection
    crew: Crew
    workshop: Workshop
    cache: Cache | None
    bounds: Mapping[str, float]
    places: Places
    threads: int | None = None
    supernet: work.Supernet | None = None

    @property
    def main(self) -> Testbed:
        return self.testbeds[0]

    def costs(self, of: Callable[[Board], Cost]) -> Costs:
        """What `of` says of each board."""
        return Costs(main=of(self.main.board), also={each.board.name: of(each.board) for each in self.testbeds[1:]})

    def in_child(self, what: str, function: Callable[..., Any], *args: Any) -> Any:
        """What the function returns in a child, with a training's deadline. Raises as `Crew.call`."""
        return self.crew.call(what, self.config.train.timeout, function, *args)


@dataclass
class Stopwatch:
    """Wall time per stage [s], and who wants to know which stage a candidate is in."""

    notify: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.notify(name)
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """An int8 network in C for one board.

    label: what `device.ladder.verify` calls its result if its board turns out to have drifted.
    """

    testbed: Testbed
    network: work.Quantized
    program: Program
    label: str


def compile_for_all(
    lab: Lab, network: work.Quantized, deployment: Deployment, label: str, watch: Stopwatch
) -> dict[str, Compiled]:
    """Board -> the network in C for it at the deployment's clock, the main board first. Raises as `compile_network`."""
    # A name of its own, because an image may hold several candidates.
    name = f"network_{hashlib.sha256(network.tflite).hexdigest()[:16]}"
    arguments = search_options(deployment).arguments
    found = {}
    for testbed in (each.at(deployment.clock_hz) for each in lab.testbeds):
        board = testbed.board
        with watch.stage("compile"):
            program = compile_network(
                network.tflite, name=name, target=board.target, constants=board.constants, **arguments
            )
        found[board.name] = Compiled(testbed=testbed, network=network, program=program, label=label)
    return found


def reference(lab: Lab, tflite: bytes, watch: Stopwatch) -> work.Vectors:
    """Real inputs with tflite-micro's outputs for them."""
    config = lab.config
    with watch.stage("reference"):
        vectors: work.Vectors = lab.in_child(
            "tflite-micro", work.reference_vectors, lab.data, config.search.seed, tflite, config.board.samples
        )
    return vectors


def measured_cost(lab: Lab, compiled: Compiled, watch: Stopwatch) -> Cost:
    """What the network costs on the board; on an emulated one from the cache, if it is there. Raises as `measure`."""
    board, program = compiled.testbed.board, compiled.program
    if lab.cache is None or not board.emulated:
        return measure(lab, compiled, watch)
    with watch.stage("recall"):
        settings = lab.config.board
        key = cost_key(
            lab.task.digest,
            compiled.network.tflite,
            board,
            asdict(compiled.testbed.validity),
            settings.repeats,
            settings.samples,
            program.optimize,
            # Deployments differ in their code.
            hashlib.sha256(repr(sorted(program.files.items())).encode()).hexdigest(),
        )
        found = lab.cache.recall(key, COST)
    if found is not None:
        return found
    cost = measure(lab, compiled, watch)
    lab.cache.put(key, COST.pack(cost))
    return cost


def planned(estimate: Cost, program: Program, board: Board) -> Cost:
    """The estimate with what the compiler's plan knows to the byte: arena, constants, and those of them that are
    in SRAM because the board has no fast memory of its own.
    """
    return replace(
        estimate,
        sram=Sram(static=0 if board.fast_memory else program.fast_bytes, arena=program.arena_bytes, stack=None),
        flash=Flash(code=None, constants=program.constants_bytes),
    )


def estimated_cost(lab: Lab, compiled: Compiled, watch: Stopwatch) -> Cost | None:
    """What the network is estimated to take: its latency from the calibration, its memories as they are linked, without
    the stack. None where it has to be measured: all are, or a layer is unlike all in the calibration.

    Raises:
        LimitError: it does not fit the board.
    """
    # A gene may choose other compiler flags than those the calibration holds for, and flash that is waited for less.
    testbed, program = compiled.testbed, compiled.program
    estimator, board = testbed.estimator, testbed.board
    if estimator is None or program.optimize != lab.config.board.optimize or program.fast_bytes:
        return None
    latency = estimator.estimate(program)
    if latency is None:
        return None
    with watch.stage("build"):
        sizes, empty = (image := lab.workshop.build(board, program)).sizes, image.baseline
    power = board.power
    return Cost(
        latency_us=latency.latency_us,
        latency_source="estimated",
        latency_low_us=latency.low_us,
        latency_high_us=latency.high_us,
        sram=Sram(static=sizes.static - empty.static, arena=sizes.arena - empty.arena, stack=None),
        sram_source="estimated",
        flash=Flash(code=sizes.code - empty.code, constants=sizes.constants - empty.constants, image=sizes.image),
        flash_source="estimated",
        energy_uj=None if power is None else power.run_mw * latency.latency_us / 1000,
        energy_source=None if power is None else "estimated",
        energy_basis=None if power is None else f"{power.run_mw:.1f} mW while running ({power.source}) x latency",
        validity=testbed.validity,
    )


def measure(lab: Lab, compiled: Compiled, watch: Stopwatch) -> Cost:
    """Build, flash and measure a compiled network, and compare its outputs with tflite-micro's.

    Raises:
        LimitError: it does not fit the board.
        WrongOutputError: an output byte differs.
    """
    board, vectors = compiled.testbed.board, compiled.network.vectors
    with watch.stage("build"):
        image = lab.workshop.build(board, compiled.program)
    with watch.stage("measure"):
        order = Order(
            image=image,
            inputs=vectors.inputs,
            repeats=lab.config.board.repeats,
            expected=vectors.outputs,
            label=compiled.label,
        )
        measurement = compiled.testbed.gathering.measure(order)
    return to_cost(measurement, image, board)
