"""A search that is killed at any moment and resumed ends with what an undisturbed one gives."""

import json
import signal
import subprocess
import sys
import time

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
budget = 12
population = 4
seed = 5
[train]
epochs = 3
samples = 400
val_samples = 100
inherit = true
[stop]
rule = "halving"
first_epochs = 1
[final]
count = 2
epochs = 4
distill = 0.5
prune = 0.5
prune_epochs = 1
prune_points = 100
"""


# A shell that starts the tests in the background makes them deaf to Ctrl-C; the search must not inherit that.
HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import tinynas.__main__"


def tinynas(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", HEARING, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def judged(path):
    if not path.exists():
        return 0
    with Store.open_to_read(path) as store:
        return len(store.trials()) + len(store.finalists())


def found(path):
    """Everything that must not depend on kills: verdicts, figures, accuracies, networks; not wall times."""
    with Store.open_to_read(path) as store:
        trials = [{**trial.to_json(), "seconds": None, "finished_at": None} for trial in store.trials()]
        finalists = [{**finalist.to_json(), "seconds": None} for finalist in store.finalists()]
        models = [store.artifact(finalist.trial, "final.tflite") for finalist in store.finalists()]
    shown = subprocess.run(
        [sys.executable, "-m", "tinynas", "show", str(path), "--json"], capture_output=True, text=True, check=True
    )
    return trials, finalists, models, json.loads(shown.stdout)["front"]


def require_lower_bounds(path):
    """The estimate refuses candidates unseen, so no measured figure may be below it."""
    with Store.open_to_read(path) as store:
        measured = [trial for trial in store.trials() if trial.cost is not None]
    assert measured
    for trial in measured:
        for figure in ("latency_us", "sram_bytes", "flash_bytes", "energy_uj"):
            assert trial.cost.figure(figure) >= trial.estimate.figure(figure)


@pytest.mark.slow
def test_three_kills_change_nothing(tmp_path):
    config = tmp_path / "study.toml"
    config.write_text(CONFIG)
    undisturbed, killed = tmp_path / "undisturbed.db", tmp_path / "killed.db"
    finish(tinynas("search", "--config", str(config), "--study", str(undisturbed)))

    command = ("search", "--config", str(config), "--study", str(killed))
    for kill_at in (2, 7, 13):
        process = tinynas(*command)
        deadline = time.monotonic() + 120
        while judged(killed) < kill_at and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        command = ("resume", str(killed))
    finish(tinynas(*command))

    assert judged(undisturbed) == 14
    require_lower_bounds(undisturbed)
    with Store.open_to_read(undisturbed) as store:
        assert any(trial.state == "complete" and trial.reason for trial in store.trials()), "nothing was stopped early"
        assert {finalist.method for finalist in store.finalists()} == {"pruned"}
    assert found(killed) == found(undisturbed)


@pytest.mark.slow
def test_an_interrupted_search_says_how_to_go_on(tmp_path):
    config, path = tmp_path / "study.toml", tmp_path / "interrupted.db"
    config.write_text(CONFIG)
    process = tinynas("search", "--config", str(config), "--study", str(path))
    while judged(path) < 1 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "tinynas resume" in errors
    assert "Traceback" not in errors
    assert judged(path) >= 1
