"""A study as a page that is looked at again and again sees it: read without waiting, and only what has changed is told.

Answers are plain JSON values. Whoever asks names the version that it knows, and is told what has changed since.
"""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tinynas.config import Config
from tinynas.cost import Costs
from tinynas.errors import StoreError, TinynasError
from tinynas.study.pages import stage_shares
from tinynas.study.progress import progress
from tinynas.study.quantities import QUANTITIES, figures_on, source_of
from tinynas.study.reading import Reading, Study, read_on
from tinynas.study.reasons import grouped_reasons
from tinynas.study.status import Heard, read_status
from tinynas.study.store import Finalist, Store, Trial
from tinynas.study.summary import FrontPoint, config_of, final_front, search_front

# Several pages that ask at once are answered from one reading.
_FRESH_S = 0.5
_SHOWN_TRIALS = 200

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was read of a study at one moment, and what follows from it."""

    reading: Reading
    points: Sequence[FrontPoint]
    summary: Json

    @property
    def study(self) -> Study:
        return self.reading.study


@dataclass
class Mirror:
    """Reads the study at `path`, which may not be there yet, or not any more. Threads share it."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: Seen | None = None
    _there: bool = False
    _problem: str | None = None
    _read_at: float = float("-inf")
    # A page that knows another mirror's versions begins anew.
    _name: str = field(default_factory=lambda: secrets.token_hex(8))
    _version: int = 0
    _changed_in: dict[int, int] = field(default_factory=dict)

    def seen(self) -> Seen:
        """The study as it is now.

        Raises:
            StoreError: it is not there, is damaged, or is of another version of tinynas.
        """
        with self._lock:
            self._read()
            if self._seen is None or self._problem is not None or not self._there:
                raise StoreError(self._problem or f"study {self.path} does not exist")
            return self._seen

    def state(self, known: str) -> Json:
        """What has changed since the version that is called `known`, "" being none; and what the search does now."""
        with self._lock:
            self._read()
            heard = read_status(self.path)
            answer: Json = {"problem": self._problem, "now": _told(heard), "there": self._there}
            if self._seen is None:
                return {**answer, "version": "", "whole": True}
            since = self._version_of(known)
            numbers = [number for number, changed in self._changed_in.items() if changed > since]
            answer |= {"version": f"{self._name}.{self._version}", "whole": since < 0}
            if since == self._version:
                return answer
            return {**answer, **self._seen.summary, "trials": _rows(self._seen.study, numbers)}

    def _version_of(self, known: str) -> int:
        """-1 for what this mirror never called a version of its own."""
        name, _, version = known.partition(".")
        is_ours = name == self._name and version.isdecimal() and len(version) < 16
        return min(int(version), self._version) if is_ours else -1

    def _read(self) -> None:
        if time.monotonic() - self._read_at < _FRESH_S:
            return
        self._there = self.path.is_file()
        if not self._there:
            self._problem = None
            return
        try:
            with Store.open_to_read(self.path) as store:
                reading = read_on(store, self._seen.reading if self._seen else None)
                if self._seen is None or self._differs(reading):
                    self._take(reading, config_of(store))
            self._problem = None
        except TinynasError as error:
            self._problem = str(error)
        self._read_at = time.monotonic()

    def _differs(self, reading: Reading) -> bool:
        earlier = self._seen.study if self._seen else None
        return (
            earlier is None
            or bool(reading.changed)
            or reading.study.facts != earlier.facts
            or reading.study.finalists != earlier.finalists
            or len(reading.study.trials) != len(earlier.trials)
        )

    def _take(self, reading: Reading, config: Config) -> None:
        study, objectives = reading.study, config.search.objectives
        try:
            points = (
                final_front(study.trials, list(study.finalists.values()), objectives)
                if study.facts.finished
                else search_front(study.trials, objectives)
            )
            summary = _summary(study, config, points)
        except ValueError as error:
            raise StoreError(f"study {self.path} is damaged: {error}") from error
        self._version += 1
        finals = study.finalists.keys()
        earlier = self._seen.study.finalists if self._seen else {}
        touched = reading.changed | {each for each in finals if study.finalists[each] != earlier.get(each)}
        self._changed_in = {number: self._changed_in.get(number, 0) for number in reading.hashes}
        self._changed_in |= dict.fromkeys(touched & self._changed_in.keys(), self._version)
        self._seen = Seen(reading=reading, points=points, summary=summary)


def _told(heard: Heard | None) -> Json | None:
    return None if heard is None else {**heard.status.model_dump(), "age_s": heard.age_s, "silent": heard.silent}


def _summary(study: Study, config: Config, points: Sequence[FrontPoint]) -> Json:
    facts = study.facts
    shares = progress(study.trials, config.search.objectives, facts.bounds)
    return {
        "task": facts.task.name,
        "boards": list(facts.boards),
        "finished": facts.finished,
        "elapsed_s": facts.elapsed_s,
        "budget": config.search.budget,
        "objectives": list(config.search.objectives),
        "bounds": dict(facts.bounds),
        "figures": _figures(study),
        "counts": Counter(trial.state for trial in study.trials),
        "numbers": [trial.number for trial in study.trials],
        "front": [_point(point, study) for point in points],
        "hypervolume": _steps(shares),
        "stages": stage_shares(study),
        "reasons": [
            {**asdict(reason), "count": len(reason.trials), "trials": reason.trials[:_SHOWN_TRIALS]}
            for reason in grouped_reasons(study.trials)
        ],
        "finalist_failures": dict(facts.finalist_failures),
    }


def _figures(study: Study) -> list[str]:
    """Those that a row has costs of: the worst over the boards, then on several boards those of each."""
    return [*QUANTITIES, *(figures_on(study.facts.boards) if study.facts.also else ())]


def _point(point: FrontPoint, study: Study) -> Json:
    return {
        "number": point.trial.number,
        "accuracy": point.accuracy_int8_val,
        "test": point.accuracy_int8_test,
        "costs": _costs(study, point.costs),
        "method": "ptq" if point.finalist is None else point.finalist.method,
    }


def _steps(shares: Sequence[float]) -> list[tuple[int, float]]:
    """After how many evaluations the hypervolume became what; where it stays, nothing is said but at the end."""
    steps = [(0, 0.0)]
    for count, share in enumerate(shares, start=1):
        if share != steps[-1][1] or count == len(shares):
            steps.append((count, share))
    return steps


def _rows(study: Study, numbers: Sequence[int]) -> list[Json]:
    wanted = set(numbers)
    return [_row(study, trial, study.finalists.get(trial.number)) for trial in study.trials if trial.number in wanted]


def _row(study: Study, trial: Trial, finalist: Finalist | None) -> Json:
    costs = trial.costs
    return {
        "number": trial.number,
        "genome": trial.genome,
        "state": trial.state,
        "stage": trial.stage,
        "reason": trial.reason,
        "accuracy": trial.accuracy_int8_val,
        "costs": None if costs is None else _costs(study, costs),
        "sources": None if costs is None else [source_of(costs, figure) for figure in QUANTITIES],
        "built": trial.cost is not None,
        "seconds": round(sum(trial.seconds.values()), 3),
        "final": None if finalist is None else [finalist.accuracy_int8_val, finalist.accuracy_int8_test],
    }


def _costs(study: Study, costs: Costs) -> list[float | None]:
    return [costs.figure(figure) for figure in _figures(study)]
