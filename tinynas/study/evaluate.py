"""One genome through the stages, cheapest gate first: estimate, compile, build, flash and measure, train.

Latency, SRAM, flash and energy of a dense int8 network do not depend on its weights, so the untrained network is
measured and only what fits is trained. A study that searches on estimates leaves the board to what survives.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tinynas.boards import Board
from tinynas.children import Children
from tinynas.compiler import Program, compile_network
from tinynas.config import Config, FinalSection, TrainSection
from tinynas.cost import Cost, Flash, Sram, Validity
from tinynas.deploy.build import build
from tinynas.device.bench import Bench
from tinynas.device.gather import Gathering, Order
from tinynas.device.measure import to_cost
from tinynas.errors import CandidateError, LimitError, WrongOutputError
from tinynas.estimate.analytic import infeasible_reason
from tinynas.estimate.latency import Estimator
from tinynas.search.fitness import violation
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Genome, Space
from tinynas.space.hardware import Deployment, network_of
from tinynas.study import work
from tinynas.study.cache import COST, TRAINED, Cache, cost_key, training_key
from tinynas.study.deployment import deployed, lower_bound, search_options
from tinynas.study.desks import held_desk
from tinynas.study.stopping import least_accuracies
from tinynas.study.store import Finalist, Trial

# The artifact that others begin with.
WEIGHTS = "weights.npz"


@dataclass(frozen=True, kw_only=True)
class Lab:
    """What evaluation needs, opened once per run.

    cache: what other studies worked out; None where it is switched off.
    states: folder of the trainings under way, which a study that was killed goes on with.
    bounds: figure name -> the most that a network may need: the user's limits and the board's memories.
    validity: what every cost of this run is valid for; a gene `optimize` has flags of its own, which each cost says.
    estimator: of latencies, None where all are measured.
    """

    config: Config
    board: Board
    space: Space
    task: work.TaskFacts
    children: Children
    bench: Bench
    gathering: Gathering
    cache: Cache | None
    states: Path
    bounds: Mapping[str, float]
    validity: Validity
    estimator: Estimator | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """An int8 network on the board: its cost, and the vectors whose outputs agreed with the host byte for byte."""

    cost: Cost
    vectors: work.Vectors


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
class Before:
    """What is known when a genome is asked for: the trials that were told, and the one whose weights it begins with."""

    trials: Sequence[Trial] = ()
    origin: work.Origin | None = None


NOTHING_BEFORE = Before()


def judge(
    lab: Lab, number: int, genome: Genome, notify: Callable[[str], None], before: Before = NOTHING_BEFORE
) -> tuple[Trial, dict[str, bytes]]:
    """Take one genome through the gates. Returns its verdict and the artifacts that belong to it. Where its training
    begins, and how far it goes, may depend on what was `before`.

    Raises:
        BenchError: the bench has no board left; the genome is not at fault and has no verdict.
        InfrastructureError: toolchain, disk or store.
    """
    watch = Stopwatch(notify)
    trial = Trial(number=number, genome=genome.key, state="failed", seconds=watch.seconds)
    artifacts: dict[str, bytes] = {}
    try:
        with watch.stage("estimate"):
            architecture = lab.space.decode(genome, lab.task.input_shape, len(lab.task.class_names))
            network = tuple(asdict(layer) for layer in architecture.layers)
            deployment = deployed(lab.space, genome, lab.config)
            estimate = lower_bound(architecture, deployment, lab.board)
            trial = replace(trial, network=network, estimate=estimate, deployment=deployment.to_json())
        _require_within(lab, estimate)
        candidate = _candidate(lab, genome, architecture)
        with watch.stage("convert"):
            untrained = _in_child(lab, "converting", work.convert_untrained, candidate)
        with watch.stage("compile"):
            program = _compile(lab, untrained, deployment)
        trial = replace(trial, estimate=planned(estimate, program, lab.board), layers=describe_layers(program))
        _require_within(lab, planned(estimate, program, lab.board))
        estimated = _estimated(lab, program, watch)
        if estimated is None:
            cost = _cost(lab, untrained, program, watch, genome.key)
            trial = replace(trial, cost=cost)
        else:
            cost = estimated
            trial = replace(trial, cost=cost, estimate=cost)
        _require_within(lab, cost)
        needs = least_accuracies(lab.config.stop, lab.config.search, lab.config.train.epochs, cost, before.trials)
        course = work.Course(origin=before.origin, needs=needs)
        trained = _trained(lab, watch, work.train_candidate, candidate, course, lab.config.train)
        artifacts = _artifacts("model", trained.tflite, trained.vectors)
        if trained.weights is not None:
            artifacts[WEIGHTS] = trained.weights
        trial = replace(
            trial,
            state="complete",
            violation=0.0,
            accuracy_int8_val=trained.accuracy_int8_val,
            accuracy_float_val=trained.accuracy_float_val,
            epochs=trained.epochs,
            curve=trained.curve,
            reason=_why_stopped(trained, needs) if trained.stopped else None,
        )
    except CandidateError as error:
        trial = _refused(lab, trial, error)
    return replace(trial, seconds=dict(watch.seconds), finished_at=time.time()), artifacts


def _candidate(lab: Lab, genome: Genome, architecture: Architecture) -> work.Candidate:
    """What is trained: the same for genomes that differ in hardware genes alone."""
    key = network_of(lab.space, genome).key
    return work.Candidate(task=lab.config.task, study_seed=lab.config.search.seed, architecture=architecture, key=key)


def _refused(lab: Lab, trial: Trial, error: CandidateError) -> Trial:
    limit = isinstance(error, LimitError)
    cost = trial.cost or trial.estimate
    return replace(
        trial,
        state="infeasible" if limit else "failed",
        stage=error.stage,
        reason=str(error),
        violation=violation(cost, lab.bounds) if limit and cost is not None else None,
    )


def _require_within(lab: Lab, cost: Cost) -> None:
    reason = infeasible_reason(cost, lab.bounds)
    if reason is not None:
        raise LimitError(reason)


def _in_child(lab: Lab, what: str, function: Callable[..., Any], *args: Any) -> Any:
    return lab.children.call(what, lab.config.train.timeout, function, *args)


def _trained(
    lab: Lab,
    watch: Stopwatch,
    function: Callable[..., work.Trained],
    candidate: work.Candidate,
    course: work.Course,
    *settings: TrainSection | FinalSection,
) -> work.Trained:
    """The result of a training, from the cache where an equal one is there."""
    samples = lab.config.board.samples
    with watch.stage("recall"):
        key = training_key(lab.task.digest, candidate, course, *settings, samples, function.__name__)
        found = None if lab.cache is None else lab.cache.recall(key, TRAINED)
    if found is not None:
        return found
    with watch.stage("train"):
        course = replace(course, state=lab.states / f"{key}.npz")
        trained: work.Trained = _in_child(lab, "training", function, candidate, course, samples, *settings)
    if lab.cache is not None:
        lab.cache.put(key, TRAINED.pack(trained))
    return trained


def _why_stopped(trained: work.Trained, needs: Mapping[int, float]) -> str:
    return (
        f"stopped after {trained.epochs} epochs: {max(trained.curve):.2%} on validation, "
        f"{needs[trained.epochs]:.2%} were needed to go on"
    )


def _cost(lab: Lab, tflite: bytes, program: Program, watch: Stopwatch, label: str) -> Cost:
    """What the network costs on the board; on an emulated one, from the cache where it is there."""
    if lab.cache is None or not lab.board.emulated:
        return measure_program(lab, tflite, program, watch, label).cost
    with watch.stage("recall"):
        settings = lab.config.board
        key = cost_key(
            lab.task.digest,
            tflite,
            lab.board,
            asdict(lab.validity),
            settings.repeats,
            settings.samples,
            program.optimize,
            # Deployments differ in their code.
            hashlib.sha256(repr(sorted(program.files.items())).encode()).hexdigest(),
        )
        found = lab.cache.recall(key, COST)
    if found is not None:
        return found
    cost = measure_program(lab, tflite, program, watch, label).cost
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


def _estimated(lab: Lab, program: Program, watch: Stopwatch) -> Cost | None:
    """What the network is estimated to take: its latency from the calibration, its memories as they are linked, without
    the stack. None where it has to be measured: all are, or a layer is unlike all in the calibration.

    Raises:
        LimitError: it does not fit the board.
    """
    # A gene may choose other compiler flags than those the calibration holds for, and flash that is waited for less.
    if lab.estimator is None or program.optimize != lab.config.board.optimize or program.fast_bytes:
        return None
    latency = lab.estimator.estimate(program)
    if latency is None:
        return None
    with watch.stage("build"), held_desk() as desk:
        sizes, empty = (image := build(lab.board, program, desk)).sizes, image.baseline
    power = lab.board.power
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
        validity=lab.validity,
    )


def measure_survivor(lab: Lab, trial: Trial, tflite: bytes, notify: Callable[[str], None]) -> Trial:
    """The trial with its cost measured instead of estimated; infeasible or failed if that is what the board says.

    Raises as `judge`.
    """
    watch = Stopwatch(notify)
    try:
        with watch.stage("compile"):
            program = _compile(lab, tflite, deployed(lab.space, Genome.parse(trial.genome), lab.config))
        trial = replace(trial, cost=_cost(lab, tflite, program, watch, trial.genome))
        _require_within(lab, trial.cost or Cost())
    except CandidateError as error:
        trial = _refused(lab, trial, error)
    names = [*trial.seconds, *(name for name in watch.seconds if name not in trial.seconds)]
    return replace(trial, seconds={name: trial.seconds.get(name, 0) + watch.seconds.get(name, 0) for name in names})


def measure_program(lab: Lab, tflite: bytes, program: Program, watch: Stopwatch, label: str) -> Measured:
    """Build, flash and measure a compiled network, and compare its outputs with tflite-micro's. `label` is what
    `device.ladder.verify` calls the result if its board turns out to have drifted.

    Raises:
        LimitError: it does not fit the board.
        WrongOutputError: an output byte differs.
    """
    settings = lab.config.board
    with watch.stage("reference"):
        vectors = _in_child(
            lab,
            "tflite-micro",
            work.reference_vectors,
            lab.config.task,
            lab.config.search.seed,
            tflite,
            settings.samples,
        )
    with watch.stage("build"), held_desk() as desk:
        image = build(lab.board, program, desk)
    with watch.stage("measure"):
        order = Order(
            image=image,
            inputs=vectors.inputs,
            repeats=settings.repeats,
            accept=lambda found: require_equal(found.outputs, vectors.outputs, lab.board.name),
            label=label,
        )
        measurement = lab.gathering.measure(order)
    return Measured(cost=to_cost(measurement, image, lab.board), vectors=vectors)


def require_equal(outputs: Any, expected: Any, board: str) -> None:
    """Compare int8 arrays of shape (n, ...), byte for byte.

    Raises:
        WrongOutputError: a byte differs; the message says how many and where the first one is.
    """
    flat, wanted = outputs.reshape(len(expected), -1), expected.reshape(len(expected), -1)
    differing = (flat != wanted).nonzero()
    if len(differing[0]):
        sample, element = int(differing[0][0]), int(differing[1][0])
        raise WrongOutputError(
            f"{len(differing[0]):,} of {wanted.size:,} output bytes differ between {board} and tflite-micro, first "
            f"input {sample}, element {element}: {int(flat[sample, element])} on the board, "
            f"{int(wanted[sample, element])} on the host"
        )


def describe_layers(program: Program) -> tuple[Mapping[str, Any], ...]:
    """The compiled layers as JSON objects, for the store."""
    return tuple({**asdict(layer), "output_shape": list(layer.output_shape)} for layer in program.layers)


def _compile(lab: Lab, tflite: bytes, deployment: Deployment) -> Program:
    """For the lab's board, under a name of its own, because an image may hold several candidates."""
    name = f"network_{hashlib.sha256(tflite).hexdigest()[:16]}"
    board, options = lab.board, search_options(deployment)
    return compile_network(tflite, name=name, target=board.target, constants=board.constants, **options.arguments)


def finish(lab: Lab, trial: Trial, notify: Callable[[str], None]) -> tuple[Finalist, dict[str, bytes]]:
    """Train a trial of the front for longer, measure it again. Raises as `judge`, and CandidateError."""
    watch = Stopwatch(notify)
    genome = Genome.parse(trial.genome)
    architecture = lab.space.decode(genome, lab.task.input_shape, len(lab.task.class_names))
    candidate = _candidate(lab, genome, architecture)
    settings = (lab.config.train, lab.config.final)
    trained = _trained(lab, watch, work.finish_candidate, candidate, work.Course(), *settings)
    with watch.stage("compile"):
        program = _compile(lab, trained.tflite, deployed(lab.space, genome, lab.config))
    measured = measure_program(lab, trained.tflite, program, watch, trial.genome)
    _require_within(lab, measured.cost)
    finalist = Finalist(
        trial=trial.number,
        method=trained.method,
        accuracy_float_val=trained.accuracy_float_val,
        accuracy_ptq_val=trained.accuracy_ptq_val,
        accuracy_int8_val=trained.accuracy_int8_val,
        epochs=trained.epochs,
        cost=measured.cost,
        seconds={**watch.seconds, **trained.seconds},
    )
    return finalist, _artifacts("final", trained.tflite, measured.vectors)


def _artifacts(name: str, tflite: bytes, vectors: work.Vectors) -> dict[str, bytes]:
    return {
        f"{name}.tflite": tflite,
        f"{name}.inputs": vectors.inputs.tobytes(),
        f"{name}.outputs": vectors.outputs.tobytes(),
    }
