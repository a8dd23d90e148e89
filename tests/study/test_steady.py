"""A search's loop, with verdicts that are made up."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tinynas.config import load_config
from tinynas.cost import Cost
from tinynas.errors import ConfigError
from tinynas.search.fitness import Fitness
from tinynas.space.genome import Genome
from tinynas.study import steady
from tinynas.study.session import Clock, Session
from tinynas.study.store import Store, Trial

GENOMES = [Genome.parse(f"mlp:{number}") for number in range(12)]


class Script:
    """Asks for the genomes in their order, and writes down what happens."""

    def __init__(self, count=12):
        self.left = GENOMES[:count]
        self.log = []

    def ask(self):
        if not self.left:
            return None
        self.log.append(f"ask {self.left[0].values[0]}")
        return self.left.pop(0)

    def tell(self, genome, fitness):
        assert fitness == Fitness((0.25, 100.0)) or fitness.objectives[1] > 100
        self.log.append(f"tell {genome.values[0]}")


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "s.db", {"elapsed_s": 0.0}) as store:
        yield store


@pytest.fixture
def open_session(store, monkeypatch):
    """A function of what `ahead` is and how long each candidate takes [s]. They take 100 us on their board the first
    time that they are judged, and one more every time after."""
    judged: dict[int, int] = {}
    pools = []

    def open_it(ahead, seconds=(), *, suspects=None, time_s=None):
        def judge(lab, number, genome, notify, before):
            time.sleep(seconds[number] if number < len(seconds) else 0)
            judged[number] = judged.get(number, 0) + 1
            return complete(number, 99.0 + judged[number]), {"model": bytes([judged[number]])}

        monkeypatch.setattr(steady, "judge", judge)
        config = load_config(None, {"search": {"budget": 12}})
        pool = SimpleNamespace(drifts=suspects is not None, suspects=suspects or set)
        lab = SimpleNamespace(config=config, bounds={}, testbeds=[SimpleNamespace(pool=pool)])
        pools.append(ThreadPoolExecutor(4))
        return Session(
            store=store,
            lab=lab,
            clock=Clock(store, time_s),
            threads=pools[-1],
            notify=lambda event: None,
            ahead=ahead,
        )

    yield open_it
    for pool in pools:
        pool.shutdown()


def latencies(store):
    return {trial.number: trial.cost.latency_us for trial in store.trials()}


def test_what_is_asked_does_not_depend_on_who_is_slow(open_session, store):
    logs = []
    for slow in (0, 3):
        script = Script()
        steady.Steady(open_session(3, [0.05 * (number == slow) for number in range(4)]), script, {}).run()
        logs.append(script.log)
        for trial in store.trials():
            store.forget(trial.number)
    assert logs[0] == logs[1]
    assert logs[0][:6] == ["ask 0", "ask 1", "ask 2", "tell 0", "ask 3", "tell 1"]
    assert logs[0][-3:] == ["tell 9", "tell 10", "tell 11"]


def test_a_slow_candidate_leaves_the_others_of_the_window_going(open_session):
    session, judged = open_session(4, [0.5]), []
    steady.Steady(replace(session, notify=lambda event: judged.append(event.number)), Script(6), {}).run()
    assert sorted(judged[:3]) == [1, 2, 3]
    assert sorted(judged) == [0, 1, 2, 3, 4, 5]


def complete(number, latency_us=100.0):
    cost = Cost(latency_us=latency_us)
    return Trial(
        number=number, genome=GENOMES[number].key, state="complete", violation=0.0, accuracy_int8_val=0.75, cost=cost
    )


@pytest.mark.parametrize("known", [range(12), range(5), (0, 1, 3, 6), (4,)])
def test_a_resumed_search_asks_as_an_undisturbed_one(open_session, store, known):
    logs = []
    for names in ((), known):
        script = Script()
        steady.Steady(open_session(3), script, {GENOMES[name].key: complete(name) for name in names}).run()
        logs.append(script.log)
        for trial in store.trials():
            store.forget(trial.number)
    assert logs[0] == logs[1]


def test_a_study_that_was_asked_otherwise_is_refused_by_its_first_such_trial(open_session, store):
    known = {GENOMES[7].key: replace(complete(7), number=1)}
    with pytest.raises(ConfigError, match=r"its trial 1 is mlp:7, and this tinynas asks for mlp:1 there.*--start"):
        steady.Steady(open_session(3), Script(), known).run()


def test_when_time_is_up_nothing_more_is_asked_and_what_has_begun_is_recorded(open_session, store):
    script = Script()
    steady.Steady(open_session(2, [0.4, 0.4, 0.4], time_s=0.2), script, {}).run()
    assert sorted(latencies(store)) == [0, 1]
    assert [line for line in script.log if line.startswith("ask")] == ["ask 0", "ask 1"]


def test_what_a_drifted_board_measured_is_judged_again_before_anything_is_told(open_session, store):
    answers = [{GENOMES[1].key, "mlp:99"}, {GENOMES[1].key}, set()]
    script, known = Script(3), {}
    steady.Steady(open_session(3, suspects=lambda: answers.pop(0)), script, known).run()
    assert answers == []
    assert latencies(store) == {0: 100.0, 1: 102.0, 2: 100.0}
    assert known[GENOMES[1].key].cost.latency_us == 102.0
    assert store.artifact(1, "model") == b"\x03"
    assert store.fact("unchecked") == []
    assert script.log[3:] == ["tell 0", "tell 1", "tell 2"]


def test_verdicts_are_marked_until_their_boards_were_checked(open_session, store):
    marked = []

    def suspects():
        marked.extend(store.fact("unchecked"))
        return set()

    steady.Steady(open_session(3, suspects=suspects), Script(3), {}).run()
    assert sorted(marked) == [0, 1, 2]


def test_a_forgotten_trial_leaves_nothing_and_may_come_again(store):
    trial = Trial(number=7, genome="mlp:7", state="complete")
    for _ in range(2):
        store.add_trial(trial, {"model": b"x"})
        store.forget(7)
        assert store.trials() == []
        assert store.artifact(7, "model") is None
