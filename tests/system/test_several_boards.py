"""One network for two boards: a search on two emulated ones, of which the second has a limit of its own."""

import pytest

from tinynas.api import search
from tinynas.study.store import Store
from tinynas.study.summary import search_front

MAIN, FURTHER = "netduinoplus2", "mps2_an386"


@pytest.mark.slow
def test_what_is_found_serves_both_boards_and_each_boards_limits_hold(tmp_path):
    study = search(
        tmp_path / "s.db",
        task={"name": "digits"},
        space={"name": "mlp"},
        board={"samples": 2, "repeats": 1},
        # Of the four networks that seed 0 draws, one takes longer there, and a fifth of it on the main board.
        also={FURTHER: {"latency": "1 ms"}},
        train={"epochs": 1, "samples": 200, "val_samples": 50},
        final={"count": 1, "epochs": 1},
        search={"budget": 4, "strategy": "random", "workers": 1},
    )
    with Store.open_to_read(study.path) as store:
        trials, (finalist,) = store.trials(), store.finalists()
    complete = [trial for trial in trials if trial.state == "complete"]
    refused = [trial for trial in trials if trial.state == "infeasible"]
    assert len(complete) + len(refused) == 4
    assert refused
    for trial in refused:
        assert f"us on {FURTHER}, at most 1,000 allowed" in trial.reason
        assert trial.cost.latency_us < 1000 < trial.also_cost[FURTHER].latency_us
        assert trial.violation == pytest.approx(trial.also_cost[FURTHER].latency_us / 1000 - 1)
    for each in (*complete, finalist):
        further = each.also_cost[FURTHER]
        assert (each.cost.validity.board, further.validity.board) == (MAIN, FURTHER)
        assert each.cost.latency_us < further.latency_us <= 1000
        assert each.cost.latency_source == further.latency_source == "emulated"
    for point in search_front(complete, ("error", "latency_us")):
        assert point.values(("latency_us",)) == (point.trial.also_cost[FURTHER].latency_us,)
    (shown,) = study.front()
    assert shown["also"][FURTHER]["latency_us"] == finalist.also_cost[FURTHER].latency_us
