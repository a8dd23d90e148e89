"""One genome through the stages, cheapest gate first: estimate, compile, build, flash and measure, train.

Latency, SRAM, flash and energy of a dense int8 network do not depend on its weights, so the untrained network is
measured and only what fits is trained. A study that searches on estimates leaves the board to what survives.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tinynas.compiler import Program
from tinynas.config import Config, FinalSection, TrainSection
from tinynas.cost import Costs
from tinynas.errors import CandidateError, LimitError
from tinynas.estimate.analytic import infeasible_reason
from tinynas.search.fitness import non_dominated, objective_values, violation
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Genome
from tinynas.space.hardware import network_of
from tinynas.study import training, work
from tinynas.study.cache import TRAINED, training_key
from tinynas.study.deployment import deployed, lower_bound
from tinynas.study.stopping import least_accuracies
from tinynas.study.store import Finalist, Trial
from tinynas.study.testbed import (
    Lab,
    Stopwatch,
    compile_for_all,
    estimated_cost,
    measure,
    measured_cost,
    planned,
    reference,
)

# The artifacts that others begin with, and learn from.
WEIGHTS, FINAL_WEIGHTS = "weights.npz", "final.weights.npz"

_log = logging.getLogger(__name__)


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
            bounds = lab.costs(lambda board: lower_bound(architecture, deployment, board))
            trial = replace(trial.estimated(bounds), network=network, deployment=deployment.to_json())
        _require_within(lab, bounds)
        candidate = _candidate(lab, genome, architecture)
        with watch.stage("convert"):
            samples = lab.config.board.samples
            untrained = lab.in_child("converting", work.convert_untrained, candidate, samples)
        networks = compile_for_all(lab, untrained, deployment, genome.key, watch)
        plans = lab.costs(lambda board: planned(bounds.on(board.name), networks[board.name].program, board))
        trial = replace(trial.estimated(plans), layers=describe_layers(networks[lab.main.board.name].program))
        _require_within(lab, plans)
        for compiled in networks.values():
            cost = estimated_cost(lab, compiled, watch) or measured_cost(lab, compiled, watch)
            trial = trial.costing(cost, compiled.testbed.also)
            _require_within(lab, trial.costs)
        needs = _needs(lab, trial.costs or plans, before)
        course = work.Course(origin=before.origin, supernet=lab.supernet, needs=needs)
        function = training.train_candidate if lab.supernet is None else training.score_candidate
        trained = _trained(lab, watch, function, candidate, course, lab.config.train)
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
            reason=_why_short(trained, needs),
        )
    except CandidateError as error:
        trial = _refused(lab, trial, error)
    return replace(trial, seconds=dict(watch.seconds), finished_at=time.time()), artifacts


def _candidate(lab: Lab, genome: Genome, architecture: Architecture) -> work.Candidate:
    """What is trained: the same for genomes that differ in hardware genes alone, but for what it is quantized to."""
    return work.Candidate(
        task=lab.data,
        study_seed=lab.config.search.seed,
        architecture=architecture,
        key=network_of(lab.space, genome).key,
        activation_bits=deployed(lab.space, genome, lab.config).activation_bits,
    )


def _refused(lab: Lab, trial: Trial, error: CandidateError) -> Trial:
    limit, cost = isinstance(error, LimitError), trial.costs
    return replace(
        trial,
        state="infeasible" if limit else "failed",
        stage=error.stage,
        reason=str(error),
        violation=violation(cost, lab.bounds) if limit and cost is not None else None,
    )


def _require_within(lab: Lab, costs: Costs | None) -> None:
    reason = None if costs is None else infeasible_reason(costs, lab.bounds)
    if reason is not None:
        raise LimitError(reason)


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
        course = replace(course, state=work.STATES / f"{key}.npz")
        trained: work.Trained = lab.in_child("training", function, candidate, course, samples, *settings)
    if lab.cache is not None:
        lab.cache.put(key, TRAINED.pack(trained))
    return trained


def _needs(lab: Lab, costs: Costs, before: Before) -> dict[int, float]:
    config = lab.config
    return least_accuracies(config.stop, config.search, config.train.epochs, costs, before.trials)


def _why_short(trained: work.Trained, needs: Mapping[int, float]) -> str | None:
    """Why it was trained for less than all epochs, where rules ended it or it has a supernet's weights."""
    if trained.epochs == 0:
        return "scored with the supernet's weights, without training"
    if not trained.stopped:
        return None
    return (
        f"stopped after {trained.epochs} epochs: {max(trained.curve):.2%} on validation, "
        f"{needs[trained.epochs]:.2%} were needed to go on"
    )


def measure_survivor(lab: Lab, trial: Trial, tflite: bytes, notify: Callable[[str], None]) -> Trial:
    """The trial with its cost measured instead of estimated; infeasible or failed if that is what the board says.

    Raises as `judge`.
    """
    watch = Stopwatch(notify)
    known = trial.costs
    try:
        deployment = deployed(lab.space, Genome.parse(trial.genome), lab.config)
        network = work.Quantized(tflite=tflite, vectors=reference(lab, tflite, watch))
        for board, compiled in compile_for_all(lab, network, deployment, trial.genome, watch).items():
            if known is not None and known.on(board).latency_source == "estimated":
                trial = trial.costing(measured_cost(lab, compiled, watch), compiled.testbed.also)
                _require_within(lab, trial.costs)
    except CandidateError as error:
        trial = _refused(lab, trial, error)
    names = [*trial.seconds, *(name for name in watch.seconds if name not in trial.seconds)]
    return replace(trial, seconds={name: trial.seconds.get(name, 0) + watch.seconds.get(name, 0) for name in names})


def describe_layers(program: Program) -> tuple[Mapping[str, Any], ...]:
    """The compiled layers as JSON objects, for the store."""
    return tuple({**asdict(layer), "output_shape": list(layer.output_shape)} for layer in program.layers)


def finish(
    lab: Lab, trial: Trial, notify: Callable[[str], None], teacher: work.Origin | None = None
) -> tuple[Finalist, dict[str, bytes]]:
    """Train a trial of the front for longer, measure it again; so, too, without some of its channels where the settings
    ask for that, which gives the better of both. Raises as `judge`, and CandidateError.
    """
    watch = Stopwatch(notify)
    genome = Genome.parse(trial.genome)
    architecture = lab.space.decode(genome, lab.task.input_shape, len(lab.task.class_names))
    candidate = _candidate(lab, genome, architecture)
    settings = (lab.config.train, lab.config.final)
    course = work.Course(supernet=lab.supernet if lab.config.supernet.tune else None, teacher=teacher)
    trained = _trained(lab, watch, training.finish_candidate, candidate, course, *settings)
    finalist, artifacts = _finalist(lab, trial, trained, watch)
    weights = trained.weights
    if lab.config.final.prune is not None and weights is not None:
        course = work.Course(origin=work.Origin(architecture=architecture, weights=weights))
        try:
            pruned = _trained(lab, watch, training.prune_candidate, candidate, course, *settings)
            smaller, others = _finalist(lab, trial, pruned, watch)
            if takes_the_place(smaller, finalist, lab.config):
                finalist, artifacts = smaller, others
        except CandidateError as error:
            _log.warning("trial %d stays whole: %s", trial.number, error)
        # Of both trainings and measurements, whichever stays.
        finalist = replace(finalist, seconds=dict(watch.seconds))
    if lab.config.final.distill is not None and weights is not None:
        artifacts[FINAL_WEIGHTS] = weights
    return finalist, artifacts


def takes_the_place(smaller: Finalist, whole: Finalist, config: Config) -> bool:
    """Whether a pruned network dominates the whole one, `final.prune_points` of accuracy forgiven."""
    forgiven = (0.0, config.final.prune_points / 100)
    points = [
        objective_values(config.search.objectives, each.costs, 1 - each.accuracy_int8_val - less)
        for each, less in zip((whole, smaller), forgiven, strict=True)
    ]
    return non_dominated(points) == [1]


def _finalist(lab: Lab, trial: Trial, trained: work.Trained, watch: Stopwatch) -> tuple[Finalist, dict[str, bytes]]:
    deployment = deployed(lab.space, Genome.parse(trial.genome), lab.config)
    network = work.Quantized(tflite=trained.tflite, vectors=trained.vectors)
    networks = compile_for_all(lab, network, deployment, trial.genome, watch)
    costs = lab.costs(lambda board: measure(lab, networks[board.name], watch))
    _require_within(lab, costs)
    finalist = Finalist(
        trial=trial.number,
        method=trained.method,
        accuracy_float_val=trained.accuracy_float_val,
        accuracy_ptq_val=trained.accuracy_ptq_val,
        accuracy_int8_val=trained.accuracy_int8_val,
        epochs=trained.epochs,
        cost=costs.main,
        also_cost=costs.also,
        layers=describe_layers(networks[lab.main.board.name].program),
        seconds={**watch.seconds, **trained.seconds},
    )
    return finalist, _artifacts("final", trained.tflite, trained.vectors)


def _artifacts(name: str, tflite: bytes, vectors: work.Vectors) -> dict[str, bytes]:
    return {
        f"{name}.tflite": tflite,
        f"{name}.inputs": vectors.inputs.tobytes(),
        f"{name}.outputs": vectors.outputs.tobytes(),
    }
