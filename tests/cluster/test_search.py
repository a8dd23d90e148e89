"""A study on a cluster, whoever is killed meanwhile, ends as the same study on one machine, undisturbed."""

import json
import subprocess
import threading
import time

import psutil
import pytest
from cluster_processes import tinynas
from lives import judged

from tinynas.config import load_config
from tinynas.study.run import resume, search
from tinynas.study.store import Store
from tinynas.study.summary import summary

SETTINGS = {
    "task": {"name": "digits"},
    "space": {"name": "mlp"},
    "board": {"samples": 4},
    "limits": {"latency": "10 ms", "sram": "16 KB", "flash": "64 KB"},
    "search": {"budget": 3, "population": 2, "seed": 5, "ahead": 3, "workers": 1},
    "train": {"epochs": 2, "samples": 400, "val_samples": 50},
    "final": {"count": 1, "epochs": 1},
}


def found(path):
    """Everything but wall times."""
    with Store.open_to_read(path) as store:
        trials = [{**trial.to_json(), "seconds": None, "finished_at": None} for trial in store.trials()]
        finalists = [{**finalist.to_json(), "seconds": None} for finalist in store.finalists()]
        artifacts = {
            (number, name): store.artifact(number, name)
            for number in range(3)
            for name in ("model.tflite", "model.inputs", "model.outputs", "final.tflite")
        }
        return trials, finalists, summary(store)["front"], artifacts


def written(settings):
    """The settings as TOML; their values are written as in JSON."""
    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in section.items())
        for name, section in settings.items()
    )


class Chaos:
    """Kills workers at what they do, and counts the flashers of each board meanwhile."""

    def __init__(self, machines):
        self.machines, self.workers, self.done = machines, {}, []
        self.most_flashers, self.stages = 0, {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def add(self, *offer):
        name = f"worker-{len(self.workers)}"
        process, facts = self.machines.worker(name, *offer)
        self.workers[facts["host"]] = process, offer

    def notify(self, event):
        self.stages[event.number] = event.stage if event.kind == "stage" else event.kind
        if event.kind == "judged" and "scheduler" not in self.done:
            self.done.append("scheduler")
            self.scheduler.kill()
            self.scheduler.wait()
            time.sleep(1)
            self.scheduler, _ = self.machines.scheduler()

    def __enter__(self):
        self.scheduler, _ = self.machines.scheduler()
        for offer in (("--train", 2), ("--board", "netduinoplus2"), ("--board", "netduinoplus2")):
            self.add(*offer)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _run(self):
        while not self._ended.wait(0.1):
            stages = set(self.stages.values())
            # To look at all processes takes its time, too.
            for process, offer in list(self.workers.values()):
                if process.poll() is None and (what := self._at(process, offer[0], stages)):
                    process.kill()
                    self.done.append(what)
                    self.add(*offer)
                    break

    def _at(self, process, offer, stages):
        """What the worker is at that none was killed at yet."""
        if offer == "--board" and "measure" in stages:
            return self._on_board(process)
        if offer == "--train" and "train" not in self.done and "train" in stages:
            return "train"
        return None

    def _on_board(self, process):
        flashers, emulators = 0, 0
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                line = " ".join(child.cmdline())
            except psutil.Error:
                continue
            # Of PlatformIO, SCons and the guard, which all stand for one flasher, the guard is the one that lasts.
            flashers += "guard.py" in line and "upload" in line
            emulators += "qemu-system-arm" in line
        self.most_flashers = max(self.most_flashers, flashers)
        if flashers and "flash" not in self.done:
            return "flash"
        return "measure" if emulators and not flashers and "flash" in self.done and "measure" not in self.done else None


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYNAS_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def undisturbed(home):
    path = home / "alone.db"
    search(load_config(None, SETTINGS), path, lambda event: None)
    return found(path)


# What goes to a cluster's hosts beside the data: weights that candidates share, here of the smallest of spaces.
SHARING = {
    **SETTINGS,
    "space": {
        "name": "mobilenet",
        "fix": {"reduce": 2, "width": 25, "depth_3": 0, "depth_4": 0, "depth_5": 0, "head": 0},
        "drop": {"depth": [2, 3], "kernel": [5, 7], "expansion": [4, 6]},
    },
    "limits": {},
    "estimate": {"latency": "analytic"},
    "train": {"epochs": 1, "samples": 128, "val_samples": 64, "batch_size": 32},
    "supernet": {"enabled": True, "epochs": 1, "networks": 50},
}
LEARNING = {
    **SHARING,
    "search": {**SETTINGS["search"], "strategy": "gradient"},
    "supernet": {"epochs": 1, "networks": 50},
}


@pytest.mark.slow
def test_a_search_whose_workers_and_scheduler_are_killed_finds_what_one_machine_finds(undisturbed, own_machines, home):
    with Chaos(own_machines) as chaos:
        search(load_config(None, SETTINGS), home / "cluster.db", chaos.notify, own_machines.place)
    assert found(home / "cluster.db") == undisturbed
    assert sorted(chaos.done) == ["flash", "measure", "scheduler", "train"]
    assert chaos.most_flashers == 1


def a_worker_for_all(machines):
    machines.scheduler()
    machines.worker("worker", "--train", 1, "--board", "netduinoplus2")


@pytest.mark.slow
def test_a_search_that_is_killed_at_work_goes_on_where_it_was(undisturbed, own_machines, home, tmp_path):
    a_worker_for_all(own_machines)
    config, study = tmp_path / "study.toml", home / "killed.db"
    config.write_text(written(SETTINGS))
    command = tinynas("search", "--cluster", own_machines.file, "--config", config, "--study", study)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        # The first one is recorded, and the two others are under way.
        while not judged(study):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    assert judged(study) < SETTINGS["search"]["budget"]
    resume(study, lambda event: None, place=own_machines.place)
    assert found(study) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("settings", [SHARING, LEARNING], ids=["supernet", "gradient"])
def test_weights_that_candidates_share_are_the_same_on_a_cluster(settings, own_machines, home, tmp_path, breadth):
    if not breadth(0, 1):
        pytest.skip("every night, with TINYNAS_NIGHTLY=1")
    a_worker_for_all(own_machines)
    alone, elsewhere = tmp_path / "alone.db", tmp_path / "cluster.db"
    search(load_config(None, settings), alone, lambda event: None)
    search(load_config(None, settings), elsewhere, lambda event: None, own_machines.place)
    assert found(elsewhere) == found(alone)
