"""A search whose candidates are scored with weights that they share, on the emulated default board."""

import pytest

from tinynas import paths
from tinynas.api import search
from tinynas.study import run
from tinynas.study.store import Store

FIXED = {"reduce": 1, "width": 50, "stem_stride": 1, "depth_1": 1, "depth_3": 0, "depth_4": 0, "depth_5": 0, "head": 0}


@pytest.mark.slow
def test_candidates_are_scored_untrained_and_finalists_trained_on(tmp_path):
    study = search(
        tmp_path / "s.db",
        task={"name": "digits"},
        space={"name": "mobilenet", "fix": FIXED, "hardware": ["optimize"]},
        supernet={"enabled": True, "epochs": 2, "networks": 12, "tune": True},
        train={"samples": 640, "val_samples": 100},
        final={"count": 1, "epochs": 2},
        search={"budget": 3, "strategy": "random", "seed": 3, "workers": 1},
        board={"samples": 2, "repeats": 1},
    )
    with Store.open_to_read(study.path) as store:
        trials = store.trials()
        (finalist,) = store.finalists()
    assert [(trial.state, trial.epochs, trial.curve) for trial in trials] == [("complete", 0, ())] * 3
    assert {trial.reason for trial in trials} == {"scored with the supernet's weights, without training"}
    assert max(trial.accuracy_int8_val for trial in trials) > 0.3
    assert finalist.epochs == 2
    assert finalist.accuracy_float_val > trials[finalist.trial].accuracy_float_val
    shared = set((paths.home() / "training").glob("*.supernet.npz"))
    assert shared
    run.resume(study.path, lambda event: None, budget=4)
    with Store.open_to_read(study.path) as store:
        assert [trial.to_json() for trial in store.trials()[:3]] == [trial.to_json() for trial in trials]
        assert len(store.trials()) == 4
    assert set((paths.home() / "training").glob("*.supernet.npz")) == shared
