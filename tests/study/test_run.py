"""A run's bookkeeping, with verdicts that are made up."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tinynas.config import load_config
from tinynas.cost import Cost
from tinynas.space.genome import Genome
from tinynas.study import run
from tinynas.study.store import Store, Trial

GENOMES = {number: Genome.parse(f"mlp:{number}") for number in range(3)}


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "s.db", {"elapsed_s": 0.0}) as store:
        yield store


@pytest.fixture
def session(store, monkeypatch):
    """Candidates take 100 us the first time that they are judged, and one more every time after."""
    judged: dict[int, int] = {}

    def judge(lab, number, genome, notify):
        judged[number] = judged.get(number, 0) + 1
        cost = Cost(latency_us=99.0 + judged[number])
        return Trial(number=number, genome=genome.key, state="complete", cost=cost), {"model": bytes([judged[number]])}

    monkeypatch.setattr(run, "judge", judge)
    lab = SimpleNamespace(config=load_config(None), bench=SimpleNamespace(drift=object()))
    with ThreadPoolExecutor(2) as threads:
        yield run._Session(
            store=store, lab=lab, clock=run._Clock(store, None), threads=threads, notify=lambda event: None
        )


def latencies(store):
    return {trial.number: trial.cost.latency_us for trial in store.trials()}


def test_what_a_drifted_board_measured_is_judged_again_before_anything_is_concluded(session, store, monkeypatch):
    answers = [{GENOMES[1].key, "mlp:99"}, {GENOMES[1].key}, set()]
    monkeypatch.setattr(run, "verify", lambda bench: answers.pop(0))
    known = {}
    run._judge_all(session, GENOMES, known)
    assert answers == []
    assert latencies(store) == {0: 100.0, 1: 102.0, 2: 100.0}
    assert known[GENOMES[1].key].cost.latency_us == 102.0
    assert store.artifact(1, "model") == b"\x03"
    assert store.fact("unchecked") == []


def test_verdicts_are_marked_until_their_boards_were_checked(session, store, monkeypatch):
    marked = []

    def verify(bench):
        marked.extend(store.fact("unchecked"))
        return set()

    monkeypatch.setattr(run, "verify", verify)
    run._judge_all(session, GENOMES, {})
    assert sorted(marked) == [0, 1, 2]


def test_a_forgotten_trial_leaves_nothing_and_may_come_again(store):
    trial = Trial(number=7, genome="mlp:7", state="complete")
    for _ in range(2):
        store.add_trial(trial, {"model": b"x"})
        store.forget(7)
        assert store.trials() == []
        assert store.artifact(7, "model") is None
