"""A search from ask to front: ask -> evaluate -> store -> tell, then the finalists. Killed at any moment, it resumes.

Nothing of a strategy is saved. It is deterministic, so a resumed run asks it the same questions again, answers from
the store what was judged before, and goes on where the store ends.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tinynas.config import Config, with_search
from tinynas.device.ladder import verify
from tinynas.errors import CandidateError, ConfigError, NothingFeasibleError
from tinynas.estimate.analytic import estimate_architecture, infeasible_reason, smallest_cost
from tinynas.search.fitness import Fitness, fitness
from tinynas.search.registry import make_strategy
from tinynas.search.strategy import Strategy
from tinynas.space.genome import Genome
from tinynas.study import work
from tinynas.study.evaluate import Lab, finish, judge
from tinynas.study.lab import facts_of, open_lab
from tinynas.study.store import Finalist, Store, Trial
from tinynas.study.summary import config_of, search_front

_POLL_S = 0.2
# The fact that lists trials whose boards have not been checked since.
_UNCHECKED = "unchecked"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that whoever watches a run may want to show.

    "opened": the study is ready, `judged` of `budget` are `known` already. "stage": a candidate has entered `stage`.
    "judged": a trial has its verdict. "finishing": the finalists are known (`judged` of `budget` are done).
    "finalist": one is trained and measured. "scored": one has its test accuracy.
    """

    kind: Literal["opened", "stage", "judged", "finishing", "finalist", "scored"]
    number: int = -1
    genome: str = ""
    stage: str = ""
    trial: Trial | None = None
    finalist: Finalist | None = None
    judged: int = 0
    budget: int = 0
    deadline_s: float | None = None
    known: tuple[Trial, ...] = ()
    lab: Lab | None = None


Notify = Callable[[Event], None]
Judged = tuple[Trial, dict[str, bytes]]


def search(config: Config, path: Path, notify: Notify) -> None:
    """Start a new study at `path` and run it to its end.

    Raises:
        ConfigError: settings or data are wrong, or the study exists.
        NothingFeasibleError: no candidate can meet the limits, or none of those evaluated did.
        BenchError, InfrastructureError: the run cannot go on; `resume` continues it.
    """
    if path.exists():
        _refuse_existing(path, config)
    with open_lab(config) as lab:
        refuse_hopeless(lab)
        with Store.create(path, facts_of(lab)) as store:
            _run(store, lab, notify)


def check(config: Config) -> dict[str, Any]:
    """What a search would work with, all parts opened and checked, nothing searched. Raises as `search`."""
    with open_lab(config) as lab:
        refuse_hopeless(lab)
        return {name: fact for name, fact in facts_of(lab).items() if name != "elapsed_s"}


def resume(path: Path, notify: Notify, budget: int | None = None, time_limit: float | str | None = None) -> None:
    """Continue a study, with a larger `budget` or `time_limit` (seconds, or text as "30m"). Raises as `search`, and

    Raises:
        ConfigError: the data, the space, the toolchain or the firmware differ from those the study was made with.
    """
    with Store.open_to_write(path) as store:
        changes = {name: value for name, value in (("budget", budget), ("time", time_limit)) if value is not None}
        config = with_search(config_of(store), changes)
        with open_lab(config) as lab:
            _require_same(store, facts_of(lab))
            store.set_fact("config", config.model_dump(mode="json"))
            _run(store, lab, notify)


def _refuse_existing(path: Path, config: Config) -> None:
    with Store.open_to_read(path) as store:
        old, new = store.fact("config"), config.model_dump(mode="json")
    differing = [
        f"{section}.{key} is {old[section].get(key)!r} there, {value!r} here"
        for section, values in new.items()
        for key, value in values.items()
        if old.get(section, {}).get(key) != value
    ]
    if differing:
        raise ConfigError(
            f"study {path} was made with other settings ({'; '.join(differing[:3])}): name another --study, "
            f"or continue that one with tinynas resume {path}"
        )
    raise ConfigError(f"study {path} exists: continue it with tinynas resume {path}, or name another --study")


def _require_same(store: Store, now: dict[str, Any]) -> None:
    """Costs are compared only when board, clock, toolchain, flags and firmware are the same."""
    for name in ("board", "task", "space", "validity", "bounds"):
        then = store.fact(name)
        if name == "task":
            # The folder may have moved; the digest says whether the data is the same.
            then, now = ({**then, "source": ""}, {**now, "task": {**now["task"], "source": ""}})
        if then == now[name]:
            continue
        old, new = _difference(then, now[name])
        raise ConfigError(
            f"study {store.path} cannot go on: its {name} is {old} and is now {new}; "
            "restore what it was made with, or start another --study"
        )


def _difference(old: Any, new: Any) -> tuple[str, str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                first, second = _difference(old.get(key), new.get(key))
                return f"{key} {first}", f"{key} {second}"
    return str(old)[:120], str(new)[:120]


def refuse_hopeless(lab: Lab) -> None:
    """Say so before hours pass when even the least that the space can need breaks a limit.

    Raises:
        NothingFeasibleError: no candidate can meet the limits.
    """
    least = smallest_cost(lab.space, lab.task.input_shape, len(lab.task.class_names), lab.board)
    reason = infeasible_reason(least, lab.bounds)
    if reason is not None:
        raise NothingFeasibleError(
            f"no candidate of space {lab.space.name} can meet the limits: the smallest {reason}; "
            "raise the limit, or choose another space or board"
        )


@dataclass(frozen=True, kw_only=True)
class _Session:
    """One process's work on a study."""

    store: Store
    lab: Lab
    clock: "_Clock"
    threads: ThreadPoolExecutor
    notify: Notify


def _run(store: Store, lab: Lab, notify: Notify) -> None:
    settings = lab.config.search
    clock = _Clock(store, settings.time)
    strategy = make_strategy(
        settings.strategy,
        lab.space,
        seed=settings.seed,
        population=settings.population,
        admissible=lambda genome: _admissible(lab, genome),
    )
    store.set_fact("finished", False)
    for number in store.fact(_UNCHECKED) or []:
        # The run ended before their boards had shown that they measured rightly.
        store.forget(number)
    store.set_fact(_UNCHECKED, [])
    known = {trial.genome: trial for trial in store.trials()}
    notify(
        Event(
            kind="opened",
            judged=len(known),
            budget=settings.budget,
            deadline_s=clock.left(),
            known=tuple(known.values()),
            lab=lab,
        )
    )
    with _threads(lab) as threads:
        session = _Session(store=store, lab=lab, clock=clock, threads=threads, notify=notify)
        _search(session, strategy, known)
        _finish(session)


class _Clock:
    """The study's running time over all its runs, against its limit."""

    def __init__(self, store: Store, limit_s: float | None) -> None:
        self._store = store
        self._before = float(store.fact("elapsed_s") or 0.0)
        self._started = time.monotonic()
        self._limit_s = limit_s

    def elapsed(self) -> float:
        return self._before + time.monotonic() - self._started

    def left(self) -> float | None:
        return None if self._limit_s is None else max(0.0, self._limit_s - self.elapsed())

    def save(self) -> None:
        self._store.set_fact("elapsed_s", round(self.elapsed(), 3))


def _admissible(lab: Lab, genome: Genome) -> bool:
    """Whether the estimate, a lower bound, leaves the genome a chance: sampling need not waste budget on the rest."""
    try:
        architecture = lab.space.decode(genome, lab.task.input_shape, len(lab.task.class_names))
    except CandidateError:
        return False
    return infeasible_reason(estimate_architecture(architecture, lab.board), lab.bounds) is None


@contextmanager
def _threads(lab: Lab) -> Iterator[ThreadPoolExecutor]:
    """One thread per child, and one for each network in an image of each board: while all children train, the boards
    still have work.
    """
    count = lab.config.search.workers + lab.bench.size * lab.gathering.most
    threads = ThreadPoolExecutor(count, thread_name_prefix="candidate")
    try:
        yield threads
    finally:
        # After an error or Ctrl-C nobody waits for training that would be lost anyway.
        lab.children.stop()
        threads.shutdown(wait=True, cancel_futures=True)


def _search(session: _Session, strategy: Strategy, known: dict[str, Trial]) -> None:
    settings, asked = session.lab.config.search, 0
    while asked < settings.budget and session.clock.left() != 0.0:
        batch = strategy.ask()
        chosen = batch[: settings.budget - asked]
        _judge_all(session, {asked + index: genome for index, genome in enumerate(chosen)}, known)
        asked += len(chosen)
        if not batch or len(chosen) < len(batch) or any(genome.key not in known for genome in batch):
            return
        strategy.tell([(genome, _fitness(session.lab, known[genome.key])) for genome in batch])


def _fitness(lab: Lab, trial: Trial) -> Fitness:
    return fitness(lab.config.search.objectives, lab.bounds, trial.cost or trial.estimate, trial.error)


def _judge_all(session: _Session, genomes: dict[int, Genome], known: dict[str, Trial]) -> None:
    """Judge what is not known yet, and record each verdict as soon as it is there. What a board measured that turns out
    to have drifted is judged again, before anything is concluded from it.
    """
    waiting = {number: genome for number, genome in genomes.items() if genome.key not in known}
    while waiting:
        _judge_once(session, waiting, known)
        suspects = verify(session.lab.bench)
        waiting = {
            number: genome for number, genome in waiting.items() if genome.key in suspects and genome.key in known
        }
        for genome in waiting.values():
            session.store.forget(known.pop(genome.key).number)
        session.store.set_fact(_UNCHECKED, [])


def _judge_once(session: _Session, genomes: dict[int, Genome], known: dict[str, Trial]) -> None:
    futures = {
        session.threads.submit(judge, session.lab, number, genome, _stage_notifier(session.notify, number, genome.key))
        for number, genome in genomes.items()
    }
    unchecked = []
    for trial, artifacts in _completed(futures, session.clock):
        if session.lab.bench.drift is not None:
            unchecked.append(trial.number)
            session.store.set_fact(_UNCHECKED, unchecked)
        session.store.add_trial(trial, artifacts)
        session.clock.save()
        known[trial.genome] = trial
        budget = session.lab.config.search.budget
        session.notify(Event(kind="judged", number=trial.number, trial=trial, judged=len(known), budget=budget))


def _stage_notifier(notify: Notify, number: int, genome: str) -> Callable[[str], None]:
    return lambda stage: notify(Event(kind="stage", number=number, genome=genome, stage=stage))


def _completed(futures: "set[Future[Judged]]", clock: _Clock) -> Iterator[Judged]:
    """Verdicts as they come. When time is up, what has not begun is called off and what has begun is awaited."""
    while futures:
        done, futures = wait(futures, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        for future in done:
            if not future.cancelled():
                yield future.result()
        if clock.left() == 0.0:
            for future in futures:
                future.cancel()


def choose_finalists(trials: Sequence[Trial], config: Config) -> list[Trial]:
    """At most `final.count` trials of the front: the most accurate one, then evenly along the front."""
    points = search_front(trials, config.search.objectives)
    count = min(config.final.count, len(points))
    if count <= 1:
        return [point.trial for point in points[:count]]
    chosen = {round(index * (len(points) - 1) / (count - 1)) for index in range(count)}
    return [points[index].trial for index in sorted(chosen)]


def _finish(session: _Session) -> None:
    store = session.store
    chosen = choose_finalists(store.trials(), session.lab.config)
    if not chosen:
        raise NothingFeasibleError(_why_nothing(store))
    known = {finalist.trial for finalist in store.finalists()}
    session.notify(Event(kind="finishing", judged=len(known), budget=len(chosen)))
    waiting = [trial for trial in chosen if trial.number not in known]
    failures: dict[str, str] = {}
    while waiting:
        failures |= _train_finalists(session, waiting)
        suspects = verify(session.lab.bench)
        waiting = [trial for trial in waiting if trial.genome in suspects]
        for trial in waiting:
            store.forget_finalist(trial.number)
            failures.pop(str(trial.number), None)
    store.set_fact("finalist_failures", failures)
    finalists = store.finalists()
    for finalist in finalists:
        if finalist.accuracy_int8_test is None:
            _score_test(session, finalist)
    session.clock.save()
    if not finalists:
        raise NothingFeasibleError(f"no finalist could be finished: {'; '.join(failures.values())}")
    store.set_fact("finished", True)


def _train_finalists(session: _Session, trials: Sequence[Trial]) -> dict[str, str]:
    """Train and measure the finalists, recording each at once. Returns trial number -> reason for those that failed."""
    failures = {}
    futures = {
        session.threads.submit(
            finish, session.lab, trial, _stage_notifier(session.notify, trial.number, trial.genome)
        ): trial
        for trial in trials
    }
    while futures:
        for future in wait(futures, timeout=_POLL_S, return_when=FIRST_COMPLETED).done:
            trial = futures.pop(future)
            try:
                finalist, artifacts = future.result()
            except CandidateError as error:
                failures[str(trial.number)] = str(error)
                continue
            session.store.put_finalist(finalist, artifacts)
            session.clock.save()
            session.notify(Event(kind="finalist", number=trial.number, genome=trial.genome, finalist=finalist))
    return failures


def _score_test(session: _Session, finalist: Finalist) -> None:
    store, lab = session.store, session.lab
    tflite = store.artifact(finalist.trial, "final.tflite")
    if tflite is None:
        raise ConfigError(f"study {store.path}: finalist {finalist.trial} has no network")
    config = lab.config
    accuracy = lab.children.call(
        "scoring the test split", config.train.timeout, work.score_test, config.task, config.search.seed, tflite
    )
    scored = replace(finalist, accuracy_int8_test=accuracy)
    store.put_finalist(scored, {})
    session.notify(Event(kind="scored", number=finalist.trial, finalist=scored))


def _why_nothing(store: Store) -> str:
    trials = store.trials()
    reasons = [trial.reason for trial in sorted(trials, key=lambda trial: trial.violation or float("inf"))]
    nearest = f"; the nearest miss: {reasons[0]}" if reasons else ""
    return f"none of {len(trials)} candidates meets the limits{nearest}: raise a limit or the budget"
