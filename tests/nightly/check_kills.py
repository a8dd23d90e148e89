"""Searches and writers killed at random: `python tests/nightly/check_kills.py`, and `--help` for smaller numbers.

Each study is first searched undisturbed. Then it is searched again and again, killed by SIGKILL at moments drawn from
the time that it took undisturbed, and resumed until it is done. Ends with 1 if the front or anything else in the store
but times differs from the undisturbed one's, if what was judged before a kill was judged again or changed after it, or
if a process outlived the search that had started it. Writers of a store are killed as `tests/study/killed_writer.py`
says.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
sys.path.insert(0, str(Path(__file__).parents[1] / "system"))
import killed_writer
import lives

from tinynas.study.store import Store

COMMON = """
[task]
name = "digits"
[limits]
latency = "10 ms"
sram = "32 KB"
flash = "64 KB"
"""
TRAIN = """
[train]
epochs = 2
samples = 200
val_samples = 100
"""
FINAL = """
[final]
count = 2
epochs = 2
qat_points = 100
"""
STUDIES = {
    "nsga2 with heirs, halving, finalists taught and pruned": COMMON
    + TRAIN
    + "inherit = true"
    + FINAL
    + "distill = 0.5\nprune = 0.5\nprune_epochs = 1\nprune_points = 100"
    + """
[space]
name = "mlp"
[stop]
rule = "halving"
first_epochs = 1
[search]
budget = 6
population = 3
seed = 1
predictor = false
ahead = 2
workers = 2
""",
    "aging with a predictor and a hardware gene": COMMON
    + TRAIN
    + FINAL
    + """
[space]
name = "mlp"
hardware = ["optimize"]
[search]
strategy = "aging"
budget = 8
population = 4
seed = 6
predictor = true
workers = 1
""",
    "local on estimates for two boards": COMMON
    + TRAIN
    + FINAL
    + """
[space]
name = "mlp"
[estimate]
latency = "analytic"
[also.mps2_an386]
[search]
strategy = "local"
budget = 6
population = 4
seed = 7
workers = 1
""",
    "random in space image with a cache": COMMON
    + TRAIN
    + FINAL
    + """
[space]
name = "image"
[cache]
enabled = true
[search]
strategy = "random"
budget = 4
seed = 8
workers = 1
""",
    "bayesian by Chebyshev distances": COMMON
    + TRAIN
    + FINAL
    + """
[space]
name = "mlp"
[search]
strategy = "bayesian"
formulation = "chebyshev"
budget = 6
population = 4
seed = 9
workers = 1
""",
}


@dataclass
class Outcome:
    """What the kills of one study came to. `moments`: how many hit it while so many verdicts were there."""

    kills: int = 0
    finished: int = 0
    different: int = 0
    repeated: int = 0
    orphans: int = 0
    moments: Counter[int] = field(default_factory=Counter)


def verdicts(path: Path) -> dict[str, object]:
    """What was judged, with its times, which would be others had it been judged again. What a later stage adds to a
    verdict is left out: a measured cost, the accuracy on the test split.
    """
    if not path.exists():
        return {}
    with Store.open_to_read(path) as store:
        trials = {f"trial {each.number}": (each.genome, each.finished_at, each.curve) for each in store.trials()}
        return trials | {f"finalist {each.trial}": tuple(each.seconds.items()) for each in store.finalists()}


def live(config: Path, path: Path, source: random.Random, longest_s: float, most: int, outcome: Outcome) -> None:
    """Search a study to its end, killed at most so many times."""
    command, before = ("search", "--config", str(config), "--study", str(path)), {}
    for _ in range(most):
        if path.exists():
            command = ("resume", str(path))
        process = lives.tinynas(*command)
        end = time.monotonic() + source.uniform(0, longest_s)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        if process.poll() is not None:
            break
        lives.kill(process)
        now = verdicts(path)
        outcome.kills += 1
        outcome.moments[len(now)] += 1
        outcome.repeated += sum(now.get(name) != verdict for name, verdict in before.items())
        outcome.orphans += len(lives.orphans(Path(os.environ["TINYNAS_HOME"])))
        before = now
    else:
        command = ("resume", str(path)) if path.exists() else command
        process = lives.tinynas(*command)
    lives.finish(process)
    outcome.repeated += sum(verdicts(path).get(name) != verdict for name, verdict in before.items())
    outcome.repeated += len(lives.repeated(path.with_suffix(".log")))
    outcome.finished += 1


def check_study(folder: Path, name: str, kills: int, source: random.Random) -> bool:
    """Whether a study that is killed so often ends each time as an undisturbed one."""
    config, undisturbed = folder / "study.toml", folder / "undisturbed.db"
    config.write_text(STUDIES[name])
    command = ("search", "--config", str(config), "--study", str(undisturbed))
    started = time.monotonic()
    lives.finish(lives.tinynas(*command))
    took_s, expected, outcome = time.monotonic() - started, lives.found(undisturbed), Outcome()
    while outcome.kills < kills:
        path = folder / f"{outcome.finished}.db"
        live(config, path, source, took_s, kills - outcome.kills, outcome)
        outcome.different += lives.found(path) != expected
    print(
        f"{name}: {outcome.kills} kills within {took_s:.0f} s, {outcome.finished} studies finished, "
        f"{outcome.different} of them different from {expected.digest[:16]}, {outcome.repeated} verdicts repeated, "
        f"{outcome.orphans} processes left behind\n"
        f"  verdicts at a kill: {', '.join(f'{at} x{count}' for at, count in sorted(outcome.moments.items()))}",
        flush=True,
    )
    return not (outcome.different or outcome.repeated or outcome.orphans)


def main() -> int:
    """Run all checks and print their counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="of searches, over all studies")
    parser.add_argument("--only", default="", help="studies with this in their names")
    parser.add_argument("--writers", type=int, default=1000, help="kills of writers")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    fine = True
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.writers:
            counts = killed_writer.check(Path(scratch), arguments.writers, arguments.seed)
            print(f"writers: {json.dumps(counts)}", flush=True)
            fine = not counts["unreadable"] and not counts["lost"]
        os.environ["TINYNAS_HOME"] = str(Path(scratch) / "home")
        chosen = [name for name in STUDIES if arguments.kills and arguments.only in name]
        for index, name in enumerate(chosen):
            folder = Path(scratch) / str(index)
            folder.mkdir()
            source = random.Random(f"{arguments.seed}/{name}")
            fine = check_study(folder, name, arguments.kills // len(chosen), source) and fine
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
