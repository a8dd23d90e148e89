"""A process that adds trials to a store and says so after each commit, killed again and again:
`python tests/study/killed_writer.py FOLDER KILLS SEED` prints the counts as JSON, and ends with 1 if anything is lost.

The writers are forked from here, where everything is imported already, so that a kill costs milliseconds.
"""

import json
import os
import random
import signal
import sqlite3
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from test_store import TRIAL

from tinynas.errors import StoreError
from tinynas.study.store import Store

# Stores are begun anew now and then: also making one is interrupted, and reading all of one stays quick.
_KILLS_PER_STORE = 20
_LONGEST_S = 0.3


def write(path: Path, acknowledge: int) -> None:
    """Add trials for ever, each with artifacts and a fact beside it, and write the number of each that is kept."""
    with Store.open_to_write(path) if path.exists() else Store.create(path, {"elapsed_s": 0}) as store:
        for number in range(len(store.trials()), 1_000_000):
            blob = random.Random(number).randbytes(3000)
            store.add_trial(replace(TRIAL, number=number, genome=f"g:{number}"), {"model.tflite": blob})
            os.write(acknowledge, f"{number}\n".encode())
            store.set_fact("elapsed_s", number)


def kill_once(path: Path, after_s: float) -> int:
    """Start a writer and kill it after a time. Returns the last trial that it acknowledged, -1: none."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        try:
            write(path, writing)
        finally:
            os._exit(1)
    os.close(writing)
    time.sleep(after_s)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    with os.fdopen(reading) as lines:
        numbers = [int(line) for line in lines if line.endswith("\n")]
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"the writer of {path} ended by itself")
    return numbers[-1] if numbers else -1


def lost(path: Path, acknowledged: int) -> int:
    """How many of the trials up to `acknowledged` a store has not whole. Raises StoreError: it is unreadable."""
    if not path.exists():
        return acknowledged + 1
    with Store.open_to_read(path) as store:
        if store._connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise StoreError(f"{path} is damaged")
        kept = {
            trial.number
            for trial in store.trials()
            if store.artifact(trial.number, "model.tflite") == random.Random(trial.number).randbytes(3000)
        }
        if kept != set(range(len(kept))):
            raise StoreError(f"{path} has trials without their artifacts")
    return len(set(range(acknowledged + 1)) - kept)


def check(folder: Path, kills: int, seed: int) -> dict[str, int]:
    """Kill writers at random moments and count what came of it."""
    source = random.Random(seed)
    counts = {"kills": 0, "acknowledged": 0, "unreadable": 0, "lost": 0, "stores": 0}
    path, acknowledged = folder / "none.db", -1
    for kill in range(kills):
        if kill % _KILLS_PER_STORE == 0:
            path, acknowledged = folder / f"{kill}.db", -1
            counts["stores"] += 1
        before, latest = acknowledged, kill_once(path, source.uniform(0, _LONGEST_S))
        acknowledged = max(before, latest)
        counts["kills"] += 1
        counts["acknowledged"] += acknowledged - before
        try:
            counts["lost"] += lost(path, acknowledged)
        except (StoreError, sqlite3.Error) as error:
            print(error, file=sys.stderr)
            counts["unreadable"] += 1
    return counts


if __name__ == "__main__":
    outcome = check(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(outcome))
    sys.exit(bool(outcome["unreadable"] or outcome["lost"]))
