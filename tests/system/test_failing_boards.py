"""A search whose boards fail, or are slow to flash, ends with the front of an undisturbed one."""

import os
import signal
import time
from collections import Counter

import pytest

from tinynas.config import load_config
from tinynas.device.station import EmulatedStation
from tinynas.errors import FlashError
from tinynas.study.run import search
from tinynas.study.store import Store
from tinynas.study.summary import summary

SETTINGS = {
    "task": {"name": "digits"},
    "space": {"name": "mlp"},
    "board": {"count": 4, "samples": 4},
    "limits": {"latency": "10 ms", "sram": "16 KB", "flash": "64 KB"},
    "search": {"budget": 8, "population": 4, "seed": 5, "ahead": 6},
    "train": {"epochs": 1, "samples": 200, "val_samples": 50},
    "final": {"count": 1, "epochs": 1},
}


def found(path, **board):
    """Everything that must not depend on boards: verdicts, figures, accuracies; not wall times."""
    settings = {**SETTINGS, "board": {**SETTINGS["board"], **board}}
    search(load_config(None, settings), path, lambda event: None)
    with Store.open_to_read(path) as store:
        trials = [{**trial.to_json(), "seconds": None, "finished_at": None} for trial in store.trials()]
        finalists = [{**finalist.to_json(), "seconds": None} for finalist in store.finalists()]
        return trials, finalists, summary(store)["front"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return found(tmp_path_factory.mktemp("study") / "undisturbed.db")


@pytest.mark.slow
def test_of_four_boards_one_dies_and_one_is_flaky_and_the_front_is_the_same(undisturbed, tmp_path, monkeypatch):
    real = EmulatedStation.flash
    names, flashes, failures = [], Counter(), Counter()

    def flash(station, image):
        if station.name not in names:
            names.append(station.name)
        flashes[station.name] += 1
        number = names.index(station.name)
        if number == 0 and flashes[station.name] > 1:
            failures["dead"] += 1
            raise FlashError(f"{station.name} is dead")
        real(station, image)
        if number == 1 and flashes[station.name] % 2:
            failures["flaky"] += 1
            os.kill(station._emulated.pid, signal.SIGKILL)

    monkeypatch.setattr(EmulatedStation, "flash", flash)
    assert found(tmp_path / "disturbed.db") == undisturbed
    assert len(undisturbed[0]) == 8
    assert failures["dead"] >= 2
    assert failures["flaky"] >= 2


@pytest.mark.slow
def test_candidates_share_the_images_of_a_board_that_is_slow_to_flash(undisturbed, tmp_path, monkeypatch):
    real = EmulatedStation.flash
    networks = []

    def flash(station, image):
        networks.append(len(image.networks) or 1)
        # Long enough for the others under way to be built meanwhile.
        time.sleep(5)
        real(station, image)

    monkeypatch.setattr(EmulatedStation, "flash", flash)
    assert found(tmp_path / "slow.db", count=1, batch=8) == undisturbed
    measured = sum(trial["cost"] is not None for trial in undisturbed[0]) + len(undisturbed[1])
    assert sum(networks) == measured
    assert max(networks) > 1
