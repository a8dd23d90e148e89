"""Two stages: what survives on estimates is measured, and the front ranked anew."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tinynas.config import load_config
from tinynas.cost import Cost, Costs, Validity
from tinynas.search.fitness import fitness
from tinynas.study import survivors
from tinynas.study.session import Clock, Session
from tinynas.study.store import Store, Trial
from tinynas.study.summary import search_front

VALIDITY = Validity(board="b", clock_hz=1, toolchain="", flags="", firmware="")
OBJECTIVES = ("error", "latency_us")
# By trial: accuracy, estimated latency, measured latency [us].
TRIALS = {
    0: (0.9, 100.0, 105.0),
    1: (0.8, 50.0, 90.0),
    2: (0.79, 55.0, 60.0),
    3: (0.5, 70.0, 71.0),
    4: (0.6, 20.0, 20.5),
}


def estimated(number):
    accuracy, latency_us, _ = TRIALS[number]
    cost = Cost(latency_us=latency_us, latency_source="estimated", validity=VALIDITY)
    return Trial(
        number=number,
        genome=f"mlp:{number}",
        state="complete",
        violation=0.0,
        accuracy_int8_val=accuracy,
        estimate=cost,
        cost=cost,
    )


def measured(lab, trial, tflite, notify):
    assert tflite == bytes([trial.number])
    cost = replace(trial.cost, latency_us=TRIALS[trial.number][2], latency_source="emulated")
    if cost.latency_us > lab.bounds.get("latency_us", 1e9):
        return replace(trial, cost=cost, state="infeasible", reason="too slow", violation=0.1)
    return replace(trial, cost=cost)


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr(survivors, "measure_survivor", measured)
    testbeds = [SimpleNamespace(pool=SimpleNamespace(drifts=False, suspects=set))]
    lab = SimpleNamespace(config=load_config(None), bounds={}, testbeds=testbeds)
    facts = {"elapsed_s": 0.0}
    with Store.create(tmp_path / "s.db", facts) as store, ThreadPoolExecutor(2) as threads:
        for number in TRIALS:
            store.add_trial(estimated(number), {"model.tflite": bytes([number])})
        yield Session(
            store=store, lab=lab, clock=Clock(store, None), threads=threads, notify=lambda event: None, ahead=2
        )


def sources(store):
    return {trial.number: trial.cost.latency_source for trial in store.trials()}


def test_only_what_is_on_the_front_is_measured_and_what_comes_up_behind_it(session):
    survivors.measure_front(session)
    front = search_front(session.store.trials(), OBJECTIVES)
    # Trial 1 was estimated to dominate trial 2, but is slower; trial 3 never was on the front.
    assert [point.trial.number for point in front] == [0, 1, 2, 4]
    assert all(point.cost.latency_source == "emulated" for point in front)
    assert sources(session.store) == {0: "emulated", 1: "emulated", 2: "emulated", 3: "estimated", 4: "emulated"}


def test_finalists_that_are_not_on_the_front_are_measured_as_well(session):
    settings = {"search": {"formulation": "weighted_product"}, "final": {"count": 5}}
    session.lab.config = load_config(None, settings)
    survivors.measure_front(session)
    assert set(sources(session.store).values()) == {"emulated"}


def test_what_turns_out_to_break_a_limit_leaves_the_front(session):
    session.lab.bounds["latency_us"] = 100.0
    survivors.measure_front(session)
    states = {trial.number: trial.state for trial in session.store.trials()}
    assert states[0] == "infeasible"
    assert [point.trial.number for point in search_front(session.store.trials(), OBJECTIVES)] == [1, 2, 4]


def test_the_strategy_is_told_of_the_estimate_whatever_was_measured_since(session):
    before = {trial.number: told(session, trial) for trial in session.store.trials()}
    session.lab.bounds["latency_us"] = 100.0
    survivors.measure_front(session)
    assert {trial.number: told(session, trial) for trial in session.store.trials()} == before


def told(session, trial):
    return fitness(OBJECTIVES, session.lab.bounds, trial.judged_on, trial.error)


def test_a_lower_bound_is_nothing_that_a_trial_was_judged_on():
    bound, cost = Cost(latency_us=1.0, latency_source="estimated"), Cost(latency_us=2.0, latency_source="emulated")
    trial = replace(estimated(0), estimate=bound, cost=cost)
    assert trial.judged_on == Costs(main=cost)
    assert not trial.unmeasured
    assert replace(trial, cost=None).judged_on == Costs(main=bound)


def test_what_a_drifted_board_measured_stays_an_estimate_until_it_is_measured_again(session):
    answers = [{"mlp:0"}, set(), set()]
    session.lab.testbeds[0].pool.suspects = lambda: answers.pop(0)
    seen = []
    watched = replace(session, notify=lambda event: seen.append(event.number) if event.kind == "measured" else None)
    survivors.measure_front(watched)
    assert sources(session.store)[0] == "emulated"
    assert sorted(seen) == [0, 1, 2, 4]


def test_where_all_was_measured_nothing_is_left_to_do(session):
    survivors.measure_front(session)
    seen = []
    survivors.measure_front(replace(session, notify=seen.append))
    assert seen == []
