"""A search that is killed or interrupted and resumed ends with what an undisturbed one gives.

`tests/nightly/check_kills.py` does so at random moments of several studies.
"""

import signal

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


@pytest.mark.slow
def test_neither_ctrl_c_nor_a_kill_changes_what_is_found(tmp_path):
    config = tmp_path / "study.toml"
    config.write_text(CONFIG)
    undisturbed, disturbed = tmp_path / "undisturbed.db", tmp_path / "disturbed.db"
    lives.finish(lives.tinynas("search", "--config", str(config), "--study", str(undisturbed)))

    interrupted = lives.tinynas("search", "--config", str(config), "--study", str(disturbed))
    lives.wait_for(interrupted, disturbed, 1)
    interrupted.send_signal(signal.SIGINT)
    _, errors = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert "tinynas resume" in errors
    assert "Traceback" not in errors
    assert 1 <= lives.judged(disturbed) < 6

    killed = lives.tinynas("resume", str(disturbed))
    # Among the finalists, the second of which is not finished yet.
    lives.wait_for(killed, disturbed, 7)
    lives.kill(killed)
    lives.finish(lives.tinynas("resume", str(disturbed)))

    assert lives.judged(undisturbed) == 8
    require_lower_bounds(undisturbed)
    with Store.open_to_read(undisturbed) as store:
        assert any(trial.state == "complete" and trial.reason for trial in store.trials()), "nothing was stopped early"
        assert {finalist.method for finalist in store.finalists()} == {"pruned"}
        layers = {trial.number: trial.layers for trial in store.trials()}
        assert all(macs(finalist.layers) < macs(layers[finalist.trial]) for finalist in store.finalists())
    assert lives.found(disturbed) == lives.found(undisturbed)
