"""The end of a search: the best of the front are trained for longer and measured again."""

from collections.abc import Sequence
from dataclasses import replace

from tinynas.config import Config, SearchSection
from tinynas.errors import CandidateError, ConfigError, NothingFeasibleError
from tinynas.search.scalar import weighted_product
from tinynas.study import work
from tinynas.study.evaluate import finish
from tinynas.study.origin import leader, teacher_of
from tinynas.study.session import Event, Session
from tinynas.study.store import Finalist, Store, Trial
from tinynas.study.summary import FrontPoint, search_front


def choose_finalists(trials: Sequence[Trial], config: Config) -> list[Trial]:
    """At most `final.count` trials: of the front the most accurate one, then evenly along it. Where one number is
    looked for, those that are best by it.
    """
    settings = config.search
    if len(settings.objectives) == 1 or settings.formulation == "weighted_product":
        return _best(trials, settings)[: config.final.count]
    points = search_front(trials, settings.objectives)
    count = min(config.final.count, len(points))
    if count <= 1:
        return [point.trial for point in points[:count]]
    chosen = {round(index * (len(points) - 1) / (count - 1)) for index in range(count)}
    return [points[index].trial for index in sorted(chosen)]


def _best(trials: Sequence[Trial], settings: SearchSection) -> list[Trial]:
    """All complete trials, best first."""

    def worth(point: FrontPoint) -> float:
        values = point.values(settings.objectives)
        if settings.formulation == "weighted_product":
            return weighted_product(settings.objectives, values, settings.exponents)
        return -values[0]

    points = [FrontPoint(trial=trial, finalist=None) for trial in trials if trial.state == "complete"]
    return [point.trial for point in sorted(points, key=lambda point: (-worth(point), point.trial.number))]


def finish_front(session: Session) -> None:
    store = session.store
    chosen = choose_finalists(store.trials(), session.lab.config)
    if not chosen:
        raise NothingFeasibleError(_why_nothing(store))
    known = {finalist.trial for finalist in store.finalists()}
    session.notify(Event(kind="finishing", judged=len(known), budget=len(chosen)))
    waiting = [trial for trial in chosen if trial.number not in known]
    failures: dict[str, str] = {}
    while waiting:
        failures |= _train_finalists(session, waiting, chosen)
        suspects = session.suspects()
        waiting = [trial for trial in waiting if trial.genome in suspects]
        for trial in waiting:
            store.forget_finalist(trial.number)
            failures.pop(str(trial.number), None)
        session.go_on()
    store.set_fact("finalist_failures", failures)
    finalists = store.finalists()
    for finalist in finalists:
        if finalist.accuracy_int8_test is None:
            session.go_on()
            _score_test(session, finalist)
    session.clock.save()
    if not finalists:
        raise NothingFeasibleError(f"no finalist could be finished: {'; '.join(failures.values())}")
    store.set_fact("finished", True)


def _train_finalists(session: Session, waiting: Sequence[Trial], chosen: Sequence[Trial]) -> dict[str, str]:
    """Train and measure those of the `chosen` that are `waiting`, with [final] distill the leader first, who then
    teaches. Returns trial number -> reason for those that failed.
    """
    if session.lab.config.final.distill is None:
        return _finish_all(session, waiting, None)
    first = leader(chosen)
    failures = _finish_all(session, [trial for trial in waiting if trial.number == first.number], None)
    if session.interruption.asked:
        return failures
    others = [trial for trial in waiting if trial.number != first.number]
    return failures | _finish_all(session, others, teacher_of(session.store, session.lab, first))


def _finish_all(session: Session, trials: Sequence[Trial], teacher: work.Origin | None) -> dict[str, str]:
    """Train and measure finalists, recording each at once. Returns trial number -> reason for those that failed."""
    failures = {}
    futures = {
        session.threads.submit(finish, session.lab, trial, session.stages(trial.number, trial.genome), teacher): trial
        for trial in trials
    }
    while futures:
        for future in session.completed(futures):
            trial = futures.pop(future)
            if future.cancelled():
                continue
            try:
                finalist, artifacts = future.result()
            except CandidateError as error:
                failures[str(trial.number)] = str(error)
                session.notify(Event(kind="finalist", number=trial.number, genome=trial.genome))
                continue
            session.store.put_finalist(finalist, artifacts)
            session.clock.save()
            session.notify(Event(kind="finalist", number=trial.number, genome=trial.genome, finalist=finalist))
    return failures


def _score_test(session: Session, finalist: Finalist) -> None:
    store, lab = session.store, session.lab
    tflite = store.artifact(finalist.trial, "final.tflite")
    if tflite is None:
        raise ConfigError(f"study {store.path}: finalist {finalist.trial} has no network")
    config = lab.config
    accuracy = lab.crew.call(
        "scoring the test split", config.train.timeout, work.score_test, lab.data, config.search.seed, tflite
    )
    scored = replace(finalist, accuracy_int8_test=accuracy)
    store.put_finalist(scored, {})
    session.notify(Event(kind="scored", number=finalist.trial, finalist=scored))


def _why_nothing(store: Store) -> str:
    trials = store.trials()
    reasons = [trial.reason for trial in sorted(trials, key=lambda trial: trial.violation or float("inf"))]
    nearest = f"; the nearest miss: {reasons[0]}" if reasons else ""
    return f"none of {len(trials)} candidates meets the limits{nearest}: raise a limit or the budget"
