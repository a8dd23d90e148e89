"""The loop of a search: steady, so that a slow candidate holds nobody up, and the same whenever it is run.

Question n is asked once the answers 0 to n - ahead have been told, in their order, whatever else is known by then. So
what is asked depends on the answers alone, never on which came first, and while one candidate is slow the others of
the window go on.
"""

from collections.abc import Iterator
from concurrent.futures import Future

from tinynas.errors import ConfigError
from tinynas.search.fitness import Fitness, fitness
from tinynas.search.strategy import Strategy
from tinynas.space.genome import Genome
from tinynas.study.evaluate import Before, judge
from tinynas.study.origin import origin_of
from tinynas.study.session import Event, Session, call_off
from tinynas.study.store import Trial
from tinynas.study.testbed import Lab

# The fact that lists trials whose boards have not been checked since.
UNCHECKED = "unchecked"

Judged = tuple[Trial, dict[str, bytes]]


class Steady:
    """A search's questions and answers. `known`: trials by the key of their genome, to which verdicts are added."""

    def __init__(self, session: Session, strategy: Strategy, known: dict[str, Trial]) -> None:
        self._session, self._strategy, self._known = session, strategy, known
        self._asked: list[Genome] = []
        self._running: dict[Future[Judged], int] = {}
        self._unchecked: dict[int, Genome] = {}
        self._numbers = {trial.number: trial.genome for trial in known.values()}

    def run(self) -> None:
        """Until the budget, the time or the space is used up, or a person wants it to end."""
        told = 0
        while True:
            self._ask(told)
            if told == len(self._asked) or not self._await(self._asked[told]):
                self._drain()
                return
            genome = self._asked[told]
            self._strategy.tell(genome, _fitness(self._session.lab, self._known[genome.key]))
            told += 1

    def _ask(self, told: int) -> None:
        budget = self._session.lab.config.search.budget
        while len(self._asked) < min(budget, told + self._session.ahead) and not self._session.ends():
            genome = self._strategy.ask()
            if genome is None:
                return
            self._asked.append(genome)
            if genome.key not in self._known:
                self._judge(len(self._asked) - 1)

    def _judge(self, number: int) -> None:
        session, genome = self._session, self._asked[number]
        self._require_same_question(number, genome)
        # Those that were told before it was asked for, and no others that happen to be known.
        earlier = [self._known[each.key] for each in self._asked[: max(0, number - session.ahead + 1)]]
        before = Before(trials=earlier, origin=origin_of(session.store, session.lab, genome, earlier))
        notify = session.stages(number, genome.key)
        future = session.threads.submit(judge, session.lab, number, genome, notify, before)
        self._running[future] = number

    def _require_same_question(self, number: int, genome: Genome) -> None:
        """What the study was asked first it must be asked again.

        Raises:
            ConfigError: the study was made by a version whose strategy asked otherwise.
        """
        known = self._numbers.get(number, genome.key)
        if known != genome.key:
            path = self._session.store.path
            raise ConfigError(
                f"study {path} cannot go on: its trial {number} is {known}, and this tinynas asks for {genome.key} "
                f"there, its strategies are others: use the version that made it, or search anew with --start {path}"
            )

    def _await(self, genome: Genome) -> bool:
        """Wait for a verdict that can be told; False when time is up and there will be none.

        Where boards may drift, nothing is told before the boards have shown that they measured rightly. That takes
        all of them, so it waits for all that is under way, which is then checked at once.
        """
        while genome.key not in self._known and self._running:
            self._collect()
        if any(genome == other for other in self._unchecked.values()):
            self._drain()
        return genome.key in self._known

    def _drain(self) -> None:
        """Wait for all that is under way; what a board measured that turns out to have drifted is judged again."""
        while self._running or self._unchecked:
            while self._running:
                self._collect()
            suspects = self._session.suspects()
            again = [number for number, genome in self._unchecked.items() if genome.key in suspects]
            for number in again:
                self._session.store.forget(number)
                del self._known[self._asked[number].key]
                self._judge(number)
            self._unchecked.clear()
            self._session.store.set_fact(UNCHECKED, [])

    def _collect(self) -> None:
        """Record the verdicts that are there. When time is up, what has not begun is called off."""
        for trial, artifacts in self._completed():
            session = self._session
            if any(testbed.pool.drifts for testbed in session.lab.testbeds):
                self._unchecked[trial.number] = self._asked[trial.number]
                session.store.set_fact(UNCHECKED, sorted(self._unchecked))
            session.store.add_trial(trial, artifacts)
            session.clock.save()
            self._known[trial.genome] = trial
            budget = session.lab.config.search.budget
            session.notify(
                Event(kind="judged", number=trial.number, trial=trial, judged=len(self._known), budget=budget)
            )

    def _completed(self) -> Iterator[Judged]:
        for future in self._session.completed(self._running):
            del self._running[future]
            if not future.cancelled():
                yield future.result()
        if self._session.ends():
            call_off(self._running)


def _fitness(lab: Lab, trial: Trial) -> Fitness:
    return fitness(lab.config.search.objectives, lab.bounds, trial.judged_on, trial.error)
