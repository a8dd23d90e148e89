"""A study as one of Optuna's, which its dashboard, its plots and its importances then read.

Genes are categorical parameters, objectives are values to be minimised. What was trained is complete; what broke a
limit was never trained, has no error and is pruned; what went wrong is failed. Each bound is a constraint: by how much
of it the figure is above it. All of a trial is among its user attributes, under the names of the table's columns.
"""

import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynas.search.fitness import objective_values
from tinynas.study.reading import Facts
from tinynas.study.store import Trial
from tinynas.study.trial_table import GENE, Row, TrialTable

if TYPE_CHECKING:
    import optuna

_STATES = {"complete": "COMPLETE", "infeasible": "PRUNED", "failed": "FAIL"}


def optuna_study(table: TrialTable, name: str, path: Path) -> None:
    """Write an SQLite storage of Optuna with one study, called `name`, to `path`.

    Raises:
        ValueError: Optuna refuses a value.
        OSError: the file cannot be written.
    """
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # Optuna commits after every trial; in memory that waits for no disk.
    memory = sqlite3.connect(":memory:", check_same_thread=False)
    storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": lambda: memory})
    try:
        directions = [optuna.study.StudyDirection.MINIMIZE] * len(table.objectives)
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(table.objectives))
        for key, value in _attributes(table.study.facts).items():
            study.set_user_attr(key, value)
        study.add_trials(
            [_trial(table, *each) for each in zip(table.study.trials, table.genes, table.rows, strict=True)]
        )
        path.touch()
        with closing(sqlite3.connect(path)) as file:
            memory.backup(file)
    finally:
        storage.remove_session()
        storage.engine.dispose()
        optuna.logging.set_verbosity(verbosity)


def _attributes(facts: Facts) -> Mapping[str, Any]:
    return {
        "task": facts.task.name,
        "boards": list(facts.boards),
        "space": facts.space.name,
        "seed": facts.seed,
        "bounds": dict(facts.bounds),
        "tinynas": facts.tinynas,
    }


def _trial(table: TrialTable, trial: Trial, genes: Sequence[int], row: Row) -> "optuna.trial.FrozenTrial":
    import optuna

    axes, bounds = table.study.facts.space.axes, table.study.facts.bounds
    frozen = optuna.trial.create_trial(
        state=optuna.trial.TrialState[_STATES[trial.state]],
        values=_values(table.objectives, trial),
        params={axis.name: value for axis, value in zip(axes, genes, strict=True)},
        distributions={axis.name: optuna.distributions.CategoricalDistribution(axis.choices) for axis in axes},
        user_attrs=_cells(row),
        intermediate_values={epoch: 1.0 - accuracy for epoch, accuracy in enumerate(trial.curve, start=1)},
        constraints=_constraints(bounds, trial),
    )
    frozen.datetime_complete = datetime.fromtimestamp(trial.finished_at)
    frozen.datetime_start = frozen.datetime_complete - timedelta(seconds=sum(trial.seconds.values()))
    return frozen


def _cells(row: Row) -> Row:
    """What Optuna does not know of a trial otherwise. It takes a millisecond for each."""
    known = {name: cell for name, cell in row.items() if cell is not None and not name.startswith(GENE)}
    measured = known.get("latency_us") is not None
    return {name: cell for name, cell in known.items() if not (measured and name.startswith("estimate_"))}


def _values(objectives: Sequence[str], trial: Trial) -> tuple[float, ...] | None:
    if trial.costs is None or trial.error is None:
        return None
    return objective_values(objectives, trial.costs, trial.error)


def _constraints(bounds: Mapping[str, float], trial: Trial) -> dict[str, float] | None:
    """Of the bounds on what is known of the trial; at most 0 is kept."""
    if trial.costs is None:
        return None
    figures = {name: trial.costs.figure(name) for name in bounds}
    return {name: figure / bounds[name] - 1.0 for name, figure in figures.items() if figure is not None}
