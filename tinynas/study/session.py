"""One process's work on a study: what it works with, its clock, and whom it tells of what happens."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from tinynas.errors import StoppedError
from tinynas.study.interruption import Interruption
from tinynas.study.store import Finalist, Store, Trial
from tinynas.study.testbed import Lab

# How often the main thread looks at the clock, and hears Ctrl-C, while it waits for candidates.
POLL_S = 0.2
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that whoever watches a run may want to show.

    "opened": the study is ready, `judged` of `budget` are `known` already. "sharing": a supernet
    is trained, for `budget` epochs. "stage": a candidate has entered `stage`.
    "judged": a trial has its verdict. "measuring": `budget` trials of the front are measured that were estimated.
    "measured": one is. "finishing": the finalists are known (`judged` of `budget` are done).
    "finalist": one is trained and measured, or without `finalist` could not be. "scored": one has its test accuracy.
    "stopping": a person wants the run to end, which waits for what is under way.
    """

    kind: Literal[
        "opened",
        "sharing",
        "stage",
        "judged",
        "measuring",
        "measured",
        "finishing",
        "finalist",
        "scored",
        "stopping",
    ]
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


class Clock:
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


@dataclass(frozen=True, kw_only=True)
class Session:
    """See the module. `ahead`: how many candidates may be under way at once."""

    store: Store
    lab: Lab
    clock: Clock
    threads: ThreadPoolExecutor
    notify: Notify
    ahead: int
    interruption: Interruption = field(default_factory=Interruption)

    def ends(self) -> bool:
        """Whether no further candidate may begin, because time is up or a person wants it so."""
        return self.clock.left() == 0.0 or self.interruption.asked

    def go_on(self) -> None:
        """Begin a further part of the run.

        Raises:
            StoppedError: a person wants it to end, and nothing is under way.
        """
        if self.interruption.asked:
            raise StoppedError(
                f"stopped after the candidates that were under way, {len(self.store.trials())} of "
                f"{self.lab.config.search.budget} are evaluated: tinynas resume {self.store.path} goes on"
            )

    def completed(self, running: Iterable[Future[T]]) -> set[Future[T]]:
        """Those of the candidates at work that have ended within POLL_S. When a person wants the run to end, this is
        said, and those that have not begun are called off.
        """
        done = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED).done
        if self.interruption.is_news():
            self.notify(Event(kind="stopping"))
        if self.interruption.asked:
            call_off(running)
        return done

    def stages(self, number: int, genome: str) -> Callable[[str], None]:
        """What evaluation calls with the name of the stage that the candidate enters."""
        return lambda stage: self.notify(Event(kind="stage", number=number, genome=genome, stage=stage))

    def suspects(self) -> set[str]:
        """The genomes that boards measured which turn out to have drifted, after a check of all boards."""
        return set().union(*(testbed.pool.suspects() for testbed in self.lab.testbeds))


def call_off(running: Iterable[Future[T]]) -> None:
    """Cancel those that have not begun."""
    for future in running:
        future.cancel()


@contextmanager
def threads(lab: Lab, ahead: int) -> Iterator[ThreadPoolExecutor]:
    """One thread per child, and one for each network in an image of each board: while all children train, the boards
    still have work. On a cluster, whose workers come and go, each candidate under way has one.
    """
    count = lab.threads or ahead
    threads = ThreadPoolExecutor(count, thread_name_prefix="candidate")
    try:
        yield threads
    finally:
        # After an error or Ctrl-C nobody waits for training that would be lost anyway.
        lab.crew.stop()
        threads.shutdown(wait=True, cancel_futures=True)
