"""A search that is killed or interrupted and resumed ends with what an undisturbed one gives.

`tests/nightly/check_kills.py` does so at random moments of several studies.
"""

import re

import lives
import pytest

from tinynas.study.store import Store

CONFIG = """
[task]
name = "digits"
[space]
name = "mlp"
[limits]
latency = "10 ms"
sram = "16 KB"
flash = "64 KB"
[search]
budget = 6
population = 3
seed = 1
workers = 1
ahead = 2
[train]
epochs = 3
samples = 200
val_samples = 100
inherit = true
[stop]
rule = "halving"
first_epochs = 1
[final]
count = 2
epochs = 2
qat_points = 100
distill = 0.5
prune = 0.5
prune_epochs = 1
prune_points = 100
"""


def macs(layers):
    return sum(layer["macs"] for layer in layers)


def require_lower_bounds(path):
    """The estimate refuses candidates unseen, so no measured figure may be below it."""
    with Store.open_to_read(path) as store:
        measured = [trial for trial in store.trials() if trial.cost is not None]
    assert measured
    for trial in measured:
        for figure in ("latency_us", "sram_bytes", "flash_bytes", "energy_uj"):
            assert trial.cost.figure(figure) >= trial.estimate.figure(figure)


def stop_after_the_candidates_under_way(config, path):
    search = lives.OnTerminal("search", "--config", str(config), "--study", str(path))
    lives.wait_for(search.process, path, 1)
    search.press_ctrl_c()
    search.wait_until("stopping after the candidates that are under way; Ctrl-C again stops at once")
    before = lives.judged(path)
    assert search.end() == 130
    assert f"tinynas resume {path}" in search.shown
    assert "Traceback" not in search.shown
    # What was shown of it until then: the front, how long it will take, and what is done at the moment.
    assert re.search(r"the front moves: \d joins; networks on it: 1", search.shown)
    assert re.search(r"about \d+:\d\d left", search.shown)
    assert before <= lives.judged(path) < 5


def stop_at_once(path):
    search, count = lives.OnTerminal("resume", str(path)), lives.judged(path)
    lives.wait_for(search.process, path, count + 1)
    search.press_ctrl_c()
    search.wait_until("stopping after")
    search.press_ctrl_c()
    assert search.end() == 130
    assert "stopped at once, nothing that was finished is lost" in search.shown
    assert f"tinynas resume {path}" in search.shown
    assert "Traceback" not in search.shown
    assert count < lives.judged(path) < 6


def kill_among_the_finalists(path):
    search = lives.tinynas("resume", str(path))
    lives.wait_for(search, path, 7)
    lives.kill(search)
    assert lives.judged(path) == 7


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_neither_ctrl_c_nor_a_kill_changes_what_is_found(tmp_path):
    config = tmp_path / "study.toml"
    config.write_text(CONFIG)
    undisturbed, disturbed = tmp_path / "undisturbed.db", tmp_path / "disturbed.db"
    lives.finish(lives.tinynas("search", "--config", str(config), "--study", str(undisturbed)))

    stop_after_the_candidates_under_way(config, disturbed)
    stop_at_once(disturbed)
    kill_among_the_finalists(disturbed)
    lives.finish(lives.tinynas("resume", str(disturbed)))

    assert lives.judged(undisturbed) == 8
    require_lower_bounds(undisturbed)
    with Store.open_to_read(undisturbed) as store:
        assert any(trial.state == "complete" and trial.reason for trial in store.trials()), "nothing was stopped early"
        assert {finalist.method for finalist in store.finalists()} == {"pruned"}
        layers = {trial.number: trial.layers for trial in store.trials()}
        less = [macs(layers[finalist.trial]) - macs(finalist.layers) for finalist in store.finalists()]
        # A network without hidden layers has no channels to lose.
        assert min(less) >= 0
        assert max(less) > 0
    assert lives.found(disturbed) == lives.found(undisturbed)
    assert lives.repeated(disturbed.with_suffix(".log")) == []
