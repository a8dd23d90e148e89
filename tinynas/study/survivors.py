"""Two stages: where a study searches on estimates, the board measures what survives, and the front is ranked anew.

A trial of the front that turns out worse than was estimated may leave it, and another takes its place, which is then
measured as well, until the whole front is.
"""

from collections.abc import Sequence
from concurrent.futures import Future

from tinynas.config import Config
from tinynas.errors import ConfigError
from tinynas.study.evaluate import measure_survivor
from tinynas.study.finalists import choose_finalists
from tinynas.study.session import Event, Session
from tinynas.study.store import Trial
from tinynas.study.summary import search_front


def measure_front(session: Session) -> None:
    """Measure each trial of the front, or among those to be finalists, whose cost is estimated, and again until no such
    trial is left there.

    Raises:
        BenchError, InfrastructureError, StoppedError: the run cannot go on; a later one measures the rest.
    """
    store, config = session.store, session.lab.config
    while waiting := [trial for trial in _surviving(store.trials(), config) if trial.unmeasured]:
        session.notify(Event(kind="measuring", judged=0, budget=len(waiting)))
        measured = _measure(session, waiting)
        # What a board measured that turns out to have drifted stays an estimate, and is measured again.
        suspects = session.suspects()
        for trial in measured:
            if trial.genome not in suspects:
                store.replace_trial(trial)
                session.notify(Event(kind="measured", number=trial.number, genome=trial.genome, trial=trial))
        session.clock.save()
        session.go_on()


def _surviving(trials: Sequence[Trial], config: Config) -> list[Trial]:
    """The front, and where one number is looked for, the best by it, which need not all be on the front."""
    front = [point.trial for point in search_front(trials, config.search.objectives)]
    return list({trial.number: trial for trial in (*front, *choose_finalists(trials, config))}.values())


def _measure(session: Session, trials: list[Trial]) -> list[Trial]:
    """The trials as the board has measured them."""
    running: set[Future[Trial]] = set()
    for trial in trials:
        tflite = session.store.artifact(trial.number, "model.tflite")
        if tflite is None:
            raise ConfigError(f"study {session.store.path}: trial {trial.number} has no network")
        stages = session.stages(trial.number, trial.genome)
        running.add(session.threads.submit(measure_survivor, session.lab, trial, tflite, stages))
    found = []
    while running:
        done = session.completed(running)
        running -= done
        found += [future.result() for future in done if not future.cancelled()]
    return sorted(found, key=lambda trial: trial.number)
