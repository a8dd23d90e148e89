"""What a study has found: its front, and the object that `tinynas show --json` prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinynas.config import Config
from tinynas.cost import Cost, Costs
from tinynas.errors import ConfigError, TinynasError
from tinynas.search.fitness import non_dominated, objective_values
from tinynas.study.store import Finalist, Store, Trial


@dataclass(frozen=True, kw_only=True)
class FrontPoint:
    """A trial that no other dominates. `finalist` is there once it was trained longer and measured again."""

    trial: Trial
    finalist: Finalist | None

    @property
    def costs(self) -> Costs:
        costs = self.trial.costs if self.finalist is None else self.finalist.costs
        if costs is None or self.trial.cost is None:
            raise ValueError(f"trial {self.trial.number} is complete but has no cost")
        return costs

    @property
    def cost(self) -> Cost:
        """On the main board."""
        return self.costs.main

    @property
    def accuracy_int8_val(self) -> float:
        accuracy = self.trial.accuracy_int8_val if self.finalist is None else self.finalist.accuracy_int8_val
        if accuracy is None:
            raise ValueError(f"trial {self.trial.number} is complete but has no accuracy")
        return accuracy

    @property
    def accuracy_int8_test(self) -> float | None:
        return None if self.finalist is None else self.finalist.accuracy_int8_test

    def values(self, objectives: Sequence[str]) -> tuple[float, ...]:
        """The point's objectives, each to be minimised."""
        return objective_values(objectives, self.costs, 1.0 - self.accuracy_int8_val)


def search_front(trials: Sequence[Trial], objectives: Sequence[str]) -> list[FrontPoint]:
    """The non-dominated complete trials as the search saw them, lowest error first."""
    return _front([FrontPoint(trial=trial, finalist=None) for trial in trials if trial.state == "complete"], objectives)


def front(store: Store) -> list[FrontPoint]:
    """The final front once every finalist has its test accuracy; until then the front of the search."""
    trials, finalists, objectives = store.trials(), store.finalists(), config_of(store).search.objectives
    return final_front(trials, finalists, objectives) if store.fact("finished") else search_front(trials, objectives)


def final_front(trials: Sequence[Trial], finalists: Sequence[Finalist], objectives: Sequence[str]) -> list[FrontPoint]:
    """The non-dominated finalists, lowest error first."""
    by_number = {trial.number: trial for trial in trials}
    return _front([FrontPoint(trial=by_number[each.trial], finalist=each) for each in finalists], objectives)


def _front(points: list[FrontPoint], objectives: Sequence[str]) -> list[FrontPoint]:
    values = [point.values(objectives) for point in points]
    chosen = [points[index] for index in non_dominated(values)]
    return sorted(chosen, key=lambda point: (-point.accuracy_int8_val, point.values(objectives), point.trial.number))


def config_of(store: Store) -> Config:
    """The study's settings, checked again: a store is untrusted."""
    try:
        return Config.model_validate(store.fact("config"))
    except ValueError as error:
        raise ConfigError(f"study {store.path} holds settings that this tinynas does not know: {error}") from error


def summary(store: Store) -> dict[str, Any]:
    """A study in one object of plain JSON values.

    evaluated: judged trials, of which `trained` are complete, `infeasible` break a limit and `failed` went wrong.
    front: one object per point with `trial`, `genome`, `deployment`, `accuracy_int8_val`, `accuracy_int8_test` and the
    cost's fields, those of the main board; `also` has each further board's by name.
    """
    trials = store.trials()
    states = [trial.state for trial in trials]
    return {
        "study": str(store.path),
        "board": store.fact("board"),
        "also": store.fact("also") or {},
        "task": store.fact("task"),
        "space": store.fact("space"),
        "seed": store.fact("seed"),
        "objectives": list(config_of(store).search.objectives),
        "bounds": store.fact("bounds"),
        "validity": store.fact("validity"),
        "finished": bool(store.fact("finished")),
        "elapsed_s": store.fact("elapsed_s"),
        "evaluated": len(trials),
        "trained": states.count("complete"),
        "infeasible": states.count("infeasible"),
        "failed": states.count("failed"),
        "finalist_failures": store.fact("finalist_failures") or {},
        "front": [describe_point(point) for point in front(store)],
    }


def describe_point(point: FrontPoint) -> dict[str, Any]:
    """One point of the front as JSON values; accuracies are fractions."""
    return {
        "trial": point.trial.number,
        "genome": point.trial.genome,
        "deployment": dict(point.trial.deployment),
        "method": None if point.finalist is None else point.finalist.method,
        "accuracy_int8_val": point.accuracy_int8_val,
        "accuracy_int8_test": point.accuracy_int8_test,
        **point.cost.to_json(),
        "also": {board: cost.to_json() for board, cost in point.costs.also.items()},
    }


def describe_trial(store: Store, number: int) -> dict[str, Any]:
    """One trial as JSON values, with its final form if it is a finalist.

    Raises:
        ConfigError: the study has no such trial.
    """
    trials = {trial.number: trial for trial in store.trials()}
    if number not in trials:
        raise ConfigError(
            f"study {store.path} has no trial {number}: it has {len(trials)}, tinynas show lists the front"
        )
    finalists = {finalist.trial: finalist for finalist in store.finalists()}
    finalist = finalists.get(number)
    return {**trials[number].to_json(), "finalist": None if finalist is None else finalist.to_json()}


def list_studies(folder: Path) -> list[dict[str, Any]]:
    """A short object for every study in `folder`, by name. A file that is no study is listed with its error."""
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.db")):
        try:
            with Store.open_to_read(path) as store:
                found = summary(store)
        except TinynasError as error:
            rows.append({"study": str(path), "error": str(error)})
            continue
        task = found["task"]["name"] if found["task"] else None
        best = max((point["accuracy_int8_val"] for point in found["front"]), default=None)
        kept = {name: found[name] for name in ("board", "seed", "finished", "evaluated", "trained", "failed")}
        rows.append({"study": str(path), "task": task, **kept, "also": list(found["also"]), "accuracy_int8_val": best})
    return rows
