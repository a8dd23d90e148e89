"""Strategy `gradient` in a study: what it refuses, and that what it learned is learned once."""

import pytest

from tinynas.config import load_config
from tinynas.errors import ConfigError
from tinynas.study import gradient, run
from tinynas.study.store import Store

# Blocks of one kernel on a quarter of the image: seconds for all of it.
SETTINGS = {
    "task": {"name": "digits"},
    "space": {
        "name": "mobilenet",
        "fix": {"reduce": 2, "width": 25, "depth_3": 0, "depth_4": 0, "depth_5": 0, "head": 0},
        "drop": {"depth": [2, 3], "kernel": [5, 7], "expansion": [4, 6]},
    },
    "estimate": {"latency": "analytic"},
    "search": {"strategy": "gradient", "budget": 2, "seed": 3, "workers": 1},
    "train": {"epochs": 1, "samples": 128, "val_samples": 64, "batch_size": 32},
    "supernet": {"epochs": 1, "networks": 50},
    "final": {"count": 1, "epochs": 1, "qat_points": 100.0},
}


class Killed(BaseException):
    pass


def test_a_resumed_study_asks_by_what_it_learned_before(tmp_path, monkeypatch):
    monkeypatch.setattr(gradient, "_NETWORKS", 3)
    path, events = tmp_path / "s.db", []

    def killed_after(count):
        def notify(event):
            events.append(event.kind)
            if events.count("judged") == count:
                raise Killed

        return notify

    def left():
        with Store.open_to_read(path) as store:
            return store.fact(gradient.DISTRIBUTIONS), [trial.genome for trial in store.trials()]

    with pytest.raises(Killed):
        run.search(load_config(None, SETTINGS), path, killed_after(2))
    learned, asked = left()
    with pytest.raises(Killed):
        run.resume(path, killed_after(3), budget=3)
    assert events.count("sharing") == 1
    assert left()[0] == learned
    assert left()[1][:2] == asked
    assert len(set(left()[1])) == 3
    assert all(abs(sum(row) - 1) < 1e-9 for distribution in learned for row in distribution)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"space": {"name": "mlp"}}, "is for spaces image and mobilenet, not for mlp"),
        ({"search": {"objectives": ["error", "flash_bytes"]}}, "weighs the error against the latency"),
        ({"board": {"name": "microbit"}, "estimate": {}}, "instruction models for cortex-m4 alone"),
    ],
)
def test_what_it_cannot_learn_from_is_refused_before_any_work(changes, word):
    merged = {name: {**values, **changes.get(name, {})} for name, values in SETTINGS.items()}
    settings = merged | {name: values for name, values in changes.items() if name not in ("search",)}
    with pytest.raises(ConfigError, match=word):
        run.check(load_config(None, settings))
