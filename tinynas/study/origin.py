"""Which trained network a candidate begins with, and which one teaches the finalists."""

from collections.abc import Sequence

from tinynas.space.genome import Genome
from tinynas.study.evaluate import FINAL_WEIGHTS, WEIGHTS
from tinynas.study.store import Store, Trial
from tinynas.study.testbed import Lab
from tinynas.study.work import Origin


def nearest(genome: Genome, earlier: Sequence[Trial]) -> Trial | None:
    """Of the trials that were trained the one whose genome differs in the fewest axes; of equal ones the most accurate,
    then the first.
    """

    def rank(trial: Trial) -> tuple[int, float, int]:
        values = Genome.parse(trial.genome).values
        differing = sum(one != other for one, other in zip(values, genome.values, strict=True))
        return differing, -(trial.accuracy_int8_val or 0.0), trial.number

    return min((trial for trial in earlier if trial.state == "complete"), key=rank, default=None)


def origin_of(store: Store, lab: Lab, genome: Genome, earlier: Sequence[Trial]) -> Origin | None:
    """The weights that a candidate begins with; None where it begins anew, as the first ones do."""
    if not lab.config.train.inherit or (trial := nearest(genome, earlier)) is None:
        return None
    return _network(store, lab, trial, WEIGHTS)


def leader(chosen: Sequence[Trial]) -> Trial:
    """Of the finalists-to-be the most accurate, the first of equal ones: who teaches the others."""
    return max(chosen, key=lambda trial: (trial.accuracy_int8_val or 0.0, -trial.number))


def teacher_of(store: Store, lab: Lab, trial: Trial) -> Origin | None:
    """The leader `trial` as it was finished; None where it could not be."""
    return _network(store, lab, trial, FINAL_WEIGHTS)


def _network(store: Store, lab: Lab, trial: Trial, artifact: str) -> Origin | None:
    weights = store.artifact(trial.number, artifact)
    if weights is None:
        return None
    shape, classes = lab.task.input_shape, len(lab.task.class_names)
    return Origin(architecture=lab.space.decode(Genome.parse(trial.genome), shape, classes), weights=weights)
