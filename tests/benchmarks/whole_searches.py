"""What accelerations buy in whole searches: `python tests/benchmarks/whole_searches.py [--seeds N]`.

Every search is a process of its own, space `mobilenet` at half the resolution and width, on 4,000
samples of Fashion-MNIST, with latencies estimated for the emulated default board. Accuracies while searching are not
comparable: an heir's depends on its ancestors, and with shared weights it is no network's own. So each search ends with
four finalists of its front, trained anew by one recipe, and what is compared is the hypervolume of these, error on
validation against latency, in parts of the box from 0 to 50 % and 10 ms. Times are those of the whole run with its
finalists: CPU time, user and system, with all children, and by the clock. The last column is the CPU time that the
first search takes to the same hypervolume, on straight lines between its rows; nan beyond these, or without it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinynas.api import search
from tinynas.config import TaskSection
from tinynas.model.data import load_task
from tinynas.search.fitness import hypervolume
from tinynas.study.store import Store

Sections = dict[str, dict[str, Any]]
SAMPLES = 4000
WORST = (0.5, 10_000.0)
INHERITING = {"train": {"inherit": True, "epochs": 2}}
SUPERNET = {"supernet": {"enabled": True, "epochs": 10, "networks": 512}}
# Name -> what differs from a search that trains each candidate anew.
SETTINGS: dict[str, Sections] = {
    "anew, 8 epochs": {},
    "anew, 2 epochs": {"train": {"epochs": 2}},
    "inherited, 2 epochs": INHERITING,
    "supernet": SUPERNET,
}


@dataclass(frozen=True, kw_only=True)
class Found:
    hypervolume: float
    cpu_s: float
    wall_s: float


def write_samples(path: Path) -> None:
    """A part of the data, so that finalists take seconds."""
    train = load_task(TaskSection(name="fashion_mnist"), 0).train
    raw = np.clip(np.round((train.x[:SAMPLES] - train.x.min()) / np.ptp(train.x) * 255), 0, 255).astype(np.uint8)
    np.savez(path, x=raw, y=train.y[:SAMPLES])


def settings(data: Path, seed: int, budget: int, changes: Sections) -> Sections:
    sections: Sections = {
        "task": {"kind": "npz", "path": str(data)},
        "space": {"name": "mobilenet", "fix": {"reduce": 2, "width": 50}},
        "estimate": {"latency": "analytic"},
        "search": {"budget": budget, "seed": seed, "workers": 1},
        "train": {"epochs": 8, "samples": None, "val_samples": None, "patience": 8},
        "final": {"count": 4, "epochs": 8, "patience": 8},
    }
    return {name: {**sections.get(name, {}), **changes.get(name, {})} for name in {**sections, **changes}}


def run(folder: Path, data: Path, seed: int, budget: int, changes: Sections) -> Found:
    study = folder / "study.db"
    sections = json.dumps(settings(data, seed, budget, changes))
    command = [sys.executable, __file__, "--one", str(study), sections]
    started = time.monotonic()
    # A home of its own: no cache, no supernet of another search.
    process = subprocess.Popen(command, env={**os.environ, "TINYNAS_HOME": str(folder)}, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"a search ended with status {os.waitstatus_to_exitcode(status)}; its settings: {sections}")
    with Store.open_to_read(study) as store:
        points = [(1 - each.accuracy_int8_val, float(each.cost.latency_us or 0)) for each in store.finalists()]
    inside = [point for point in points if all(value < worst for value, worst in zip(point, WORST, strict=True))]
    return Found(
        hypervolume=hypervolume(inside, WORST) / (WORST[0] * WORST[1]),
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=time.monotonic() - started,
    )


def fresh(data: Path, seed: int, budget: int, changes: Sections) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), data, seed, budget, changes)


def row(title: str, budget: int, runs: list[Found], plain: list[tuple[float, float]]) -> str:
    """`plain`: mean hypervolumes and CPU times [s] of the first search so far; its own are added to them."""
    volumes = [each.hypervolume for each in runs]
    spread = statistics.stdev(volumes) / len(volumes) ** 0.5 if len(volumes) > 1 else float("nan")
    cpu_s, wall_s = statistics.mean(each.cpu_s for each in runs), statistics.mean(each.wall_s for each in runs)
    volume = statistics.mean(volumes)
    if title == next(iter(SETTINGS)):
        plain.append((volume, cpu_s))
    same_s = np.interp(volume, *np.array(sorted(plain)).T, left=np.nan, right=np.nan) if plain else np.nan
    return f"{title:<22} {budget:>10} {volume:>7.4f} ± {spread:.4f} {cpu_s:>12.0f} {wall_s:>9.0f} {same_s:>15.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--budgets", type=int, nargs="+", default=[12, 24, 48])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        search(given.one[0], **json.loads(given.one[1]))
        return
    columns = f"{'candidates':>10} {'hypervolume':>16} {'CPU time [s]':>12} {'wall [s]':>9} {'first, same [s]':>15}"
    print(f"{'search':<22} {columns}", flush=True)
    plain: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "part.npz"
        write_samples(data)
        for title in given.only:
            for budget in given.budgets:
                runs = [fresh(data, seed, budget, SETTINGS[title]) for seed in range(given.seeds)]
                print(row(title, budget, runs, plain), flush=True)


if __name__ == "__main__":
    main()
