"""What becomes of a study, its status and a board's lease when the wall clock is moved while they are in use:
`LD_PRELOAD=moved_clock.so python tests/study/clock_moves.py FOLDER SECONDS` prints the findings as JSON.
"""

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import short_study

from tinynas.device.lease import Lease
from tinynas.errors import LeaseLostError
from tinynas.study.session import Clock
from tinynas.study.status import Status, StatusFile, read_status
from tinynas.study.store import Store

LAYER = ctypes.CDLL(os.environ["LD_PRELOAD"])
LAYER.move_clock.argtypes = (ctypes.c_long,)


def study(folder: Path, seconds: int) -> dict[str, Any]:
    """A study during which the clock is moved, and which is gone on with afterwards, beside an undisturbed one."""
    undisturbed, path = folder / "undisturbed.db", folder / "s.db"
    short_study.search(undisturbed, lambda number: None)
    wall, acknowledged = time.time(), list[int]()

    def acknowledge(number: int) -> None:
        acknowledged.append(number)
        if len(acknowledged) == 1:
            LAYER.move_clock(seconds)

    short_study.search(path, acknowledge)
    again: list[int] = []
    short_study.search(path, again.append)
    return {
        "moved_s": time.time() - wall,
        "same": short_study.contents(path) == short_study.contents(undisturbed),
        "repeated": again,
    }


def time_budget(folder: Path, seconds: int) -> dict[str, float]:
    """What is left of a minute, before and after."""
    with Store.create(folder / "timed.db", {"elapsed_s": 0.0}) as store:
        clock = Clock(store, 60.0)
        before = clock.left()
        LAYER.move_clock(seconds)
        after = clock.left()
        clock.save()
        return {"before_s": before or 0.0, "after_s": after or 0.0, "elapsed_s": store.fact("elapsed_s")}


def status(folder: Path, seconds: int) -> dict[str, Any]:
    """Whether a search is heard that goes on saying what it does."""
    path = folder / "told.db"
    file = StatusFile(path, lambda: Status(pid=os.getpid(), host="here", phase="searching"))
    file.start()
    LAYER.move_clock(seconds)
    time.sleep(0.5)
    file.change()
    time.sleep(1.5)
    heard = read_status(path)
    file.end()
    return {"heard": heard is not None, "left": read_status(path) is not None}


def lease(folder: Path, seconds: int) -> dict[str, Any]:
    """Who has a board that another one waits for: its holder, until that one has been silent for long enough."""
    path = folder / "board.lock"
    holder, waiting = Lease(path, "board"), Lease(path, "board", stale_s=0.5)
    found: dict[str, Any] = {"taken": holder.acquire(), "given at once": waiting.acquire()}
    LAYER.move_clock(seconds)
    found["given after the move"] = waiting.acquire()
    found["epoch"] = holder.epoch
    time.sleep(0.7)
    found["given after its silence"] = waiting.acquire()
    try:
        found["the silent one"] = holder.epoch
    except LeaseLostError:
        found["the silent one"] = "is refused"
    waiting.release()
    return found


if __name__ == "__main__":
    folder, seconds = Path(sys.argv[1]), int(sys.argv[2])
    print(json.dumps({each.__name__: each(folder, seconds) for each in (study, time_budget, status, lease)}))
