"""Small promises of the study: byte comparison, choice of finalists, the front before and after."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tinynas.config import load_config
from tinynas.cost import Cost, Flash, Sram
from tinynas.device.measure import require_equal
from tinynas.errors import ConfigError, StoreError, WrongOutputError
from tinynas.study import finalists, run
from tinynas.study.evaluate import FINAL_WEIGHTS, takes_the_place
from tinynas.study.session import Clock, Session
from tinynas.study.store import Finalist, Store, Trial
from tinynas.study.summary import describe_trial, front, list_studies, search_front, summary


def trial(number, accuracy, latency_us, state="complete"):
    cost = Cost(
        latency_us=latency_us,
        latency_source="emulated",
        sram=Sram(static=0, arena=100, stack=10),
        flash=Flash(code=100, constants=100),
    )
    return Trial(number=number, genome=f"mlp:{number}", state=state, accuracy_int8_val=accuracy, cost=cost)


TRIALS = [
    trial(0, 0.9, 100.0),
    trial(1, 0.8, 50.0),
    trial(2, 0.7, 80.0),
    trial(3, 0.6, 20.0),
    trial(4, None, 1.0, state="infeasible"),
    trial(5, 0.85, 70.0),
]


@pytest.fixture
def store(tmp_path):
    config = load_config(None, {"final": {"count": 2}})
    facts = {"config": config.model_dump(mode="json"), "board": "netduinoplus2", "seed": 0, "task": {"name": "digits"}}
    with Store.create(tmp_path / "s.db", facts) as store:
        for each in TRIALS:
            store.add_trial(each, {})
        yield store


def finalist(number, accuracy, latency_us):
    return Finalist(
        trial=number,
        method="ptq",
        accuracy_float_val=accuracy,
        accuracy_ptq_val=accuracy,
        accuracy_int8_val=accuracy,
        accuracy_int8_test=accuracy - 0.01,
        epochs=3,
        cost=replace(TRIALS[number].cost, latency_us=latency_us),
    )


def test_equal_outputs_pass_and_a_single_byte_is_told_with_its_place():
    expected = np.arange(12, dtype=np.int8).reshape(3, 4)
    require_equal(expected.copy(), expected, "b")
    wrong = expected.copy()
    wrong[1, 2] += 1
    with pytest.raises(WrongOutputError, match=r"1 of 12 output bytes .* input 1, element 2: 7 on the board, 6 on"):
        require_equal(wrong, expected, "b")


def test_the_search_front_holds_what_nothing_dominates_most_accurate_first():
    assert [point.trial.number for point in search_front(TRIALS, ("error", "latency_us"))] == [0, 5, 1, 3]


@pytest.mark.parametrize(("count", "chosen"), [(1, [0]), (2, [0, 3]), (3, [0, 1, 3]), (9, [0, 5, 1, 3])])
def test_finalists_are_the_most_accurate_and_others_along_the_front(count, chosen):
    config = load_config(None, {"final": {"count": count}})
    found = [each.number for each in finalists.choose_finalists(TRIALS, config)]
    assert found[0] == 0
    assert len(found) == len(set(found)) == min(count, 4)
    assert found == chosen


@pytest.mark.parametrize(
    ("search", "chosen"),
    [
        ({"objectives": ["error"]}, [0, 5, 1]),
        ({"objectives": ["latency_us"]}, [3, 1, 5]),
        ({"formulation": "weighted_product", "exponents": {"latency_us": -0.2}}, [1, 5, 0]),
    ],
)
def test_where_one_number_is_looked_for_the_finalists_are_the_best_by_it(search, chosen):
    config = load_config(None, {"search": search, "final": {"count": 3}})
    assert [each.number for each in finalists.choose_finalists(TRIALS, config)] == chosen


@pytest.mark.parametrize(
    ("accuracy", "latency_us", "points", "takes"),
    [
        (0.9, 90.0, 0.0, True),
        (0.91, 100.0, 0.0, True),
        (0.9, 100.0, 0.0, False),
        (0.95, 101.0, 0.0, False),
        (0.89, 50.0, 0.0, False),
        (0.89, 50.0, 1.5, True),
        (0.89, 50.0, 0.5, False),
    ],
)
def test_a_pruned_network_takes_the_place_of_one_that_it_dominates(accuracy, latency_us, points, takes):
    config = load_config(None, {"final": {"prune_points": points}})
    whole, smaller = finalist(0, 0.9, 100.0), finalist(0, accuracy, latency_us)
    assert takes_the_place(smaller, whole, config) is takes


@pytest.mark.parametrize(("distill", "order"), [(None, {(0, None), (3, None)}), (0.5, [(0, None), (3, b"of 0")])])
def test_only_with_distillation_the_most_accurate_is_finished_first_and_teaches(store, monkeypatch, distill, order):
    finished = []

    def finish(lab, trial, notify, teacher):
        finished.append((trial.number, None if teacher is None else teacher.weights))
        return finalist(trial.number, 0.9, 9.0), {FINAL_WEIGHTS: f"of {trial.number}".encode()}

    monkeypatch.setattr(finalists, "finish", finish)
    monkeypatch.setattr(finalists, "_score_test", lambda session, finalist: None)
    lab = SimpleNamespace(
        config=load_config(None, {"final": {"count": 2, "distill": distill}}),
        testbeds=[SimpleNamespace(pool=SimpleNamespace(drifts=False, suspects=set))],
        space=SimpleNamespace(decode=lambda genome, shape, classes: genome),
        task=SimpleNamespace(input_shape=(8, 8, 1), class_names=("a", "b")),
    )
    with ThreadPoolExecutor(2) as threads:
        session = Session(
            store=store, lab=lab, clock=Clock(store, None), threads=threads, notify=lambda event: None, ahead=2
        )
        finalists.finish_front(session)
    assert type(order)(finished) == order


def test_no_complete_trial_means_no_finalist():
    assert finalists.choose_finalists([TRIALS[4]], load_config(None)) == []


def test_the_front_is_the_finalists_once_all_are_scored(store):
    assert [point.trial.number for point in front(store)] == [0, 5, 1, 3]
    store.put_finalist(finalist(0, 0.95, 100.0), {})
    store.put_finalist(finalist(3, 0.96, 20.0), {})
    store.set_fact("finished", True)
    # Trained longer, the quicker one became the more accurate one too.
    assert [point.trial.number for point in front(store)] == [3]
    found = summary(store)
    assert (found["evaluated"], found["trained"], found["infeasible"], found["failed"]) == (6, 5, 1, 0)
    assert found["front"][0]["accuracy_int8_test"] == pytest.approx(0.95)
    assert found["front"][0]["latency_source"] == "emulated"


def test_a_trial_is_described_with_its_final_form(store):
    store.put_finalist(finalist(0, 0.95, 100.0), {})
    assert describe_trial(store, 0)["finalist"]["accuracy_int8_val"] == 0.95
    assert describe_trial(store, 1)["finalist"] is None
    with pytest.raises(ConfigError, match="has no trial 99: it has 6"):
        describe_trial(store, 99)


def test_studies_are_listed_and_what_is_none_with_its_error(store, tmp_path):
    (tmp_path / "broken.db").write_bytes(b"x" * 5000)
    broken, good = list_studies(tmp_path)
    assert "damaged or no study" in broken["error"]
    assert (good["task"], good["evaluated"], good["accuracy_int8_val"]) == ("digits", 6, 0.9)
    store.set_fact("also", {"mps2_an386": {}})
    _, several = list_studies(tmp_path)
    assert (several["board"], several["also"]) == (good["board"], ["mps2_an386"])


def test_a_study_made_with_other_settings_is_named_with_the_difference(store):
    with pytest.raises(ConfigError, match=r"search\.seed is 0 there, 4 here"):
        run.search(load_config(None, {"final": {"count": 2}, "search": {"seed": 4}}), store.path, lambda event: None)
    with pytest.raises(ConfigError, match="tinynas resume"):
        run.search(load_config(None, {"final": {"count": 2}}), store.path, lambda event: None)


def test_a_store_with_settings_of_another_version_is_refused(store):
    store.set_fact("config", {"search": {"magic": 1}})
    with pytest.raises(ConfigError, match="does not know"):
        summary(store)
    store.close()
    with pytest.raises(StoreError):
        store.trials()
