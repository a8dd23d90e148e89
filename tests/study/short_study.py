"""A short study whose file layer fails at each of its calls in turn, one process for each:
`LD_PRELOAD=failing_files.so python tests/study/short_study.py FOLDER STEP FAULT...` prints what came of it as JSON. A
FAULT is ENOSPC, EIO or SIGKILL; of the calls every STEPth is taken. Whatever fails, the study must be readable, hold
each trial that was acknowledged, and end as the undisturbed one when it is gone on with.

Verdicts are made up, everything else is real: the store, the loop of a search and its strategy. The processes are
forked from here, where everything is imported already.
"""

import ctypes
import errno
import gc
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tinynas.config import load_config
from tinynas.cost import Cost
from tinynas.errors import StoreError
from tinynas.search.registry import make_strategy
from tinynas.space.genome import Genome
from tinynas.space.registry import load_space
from tinynas.study import steady
from tinynas.study.interruption import Interruption
from tinynas.study.session import Clock, Event, Session
from tinynas.study.store import Finalist, Store, Trial

SETTINGS = {"space": {"name": "mlp"}, "search": {"budget": 3, "population": 3, "predictor": False, "seed": 3}}
FAULTS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "SIGKILL": 0}


def judge(lab: Any, number: int, genome: Genome, *_: Any) -> tuple[Trial, dict[str, bytes]]:
    """A verdict that depends on the genome alone, with artifacts of several pages."""
    drawn = hashlib.sha256(genome.key.encode()).digest()
    cost = Cost(latency_us=100.0 + drawn[0], latency_source="emulated")
    trial = Trial(number=number, genome=genome.key, state="complete", accuracy_int8_val=drawn[1] / 256, cost=cost)
    return trial, {"model.tflite": drawn * 300}


def search(path: Path, acknowledge: Callable[[int], None], interruption: Interruption | None = None) -> None:
    """Begin the study or go on with it, to its end. `acknowledge` is called with each trial that is recorded."""
    interruption = interruption or Interruption()
    config = load_config(None, SETTINGS)
    settings = config.search
    steady.judge = judge  # type: ignore[assignment]
    pool = SimpleNamespace(drifts=False, suspects=set)
    lab: Any = SimpleNamespace(config=config, bounds={}, testbeds=[SimpleNamespace(pool=pool)])

    def notify(event: Event) -> None:
        if event.kind == "judged":
            acknowledge(event.number)

    facts = {"config": config.model_dump(mode="json"), "elapsed_s": 0.0}
    with (
        Store.open_to_write(path) if path.exists() else Store.create(path, facts) as store,
        ThreadPoolExecutor(1) as threads,
    ):
        session = Session(
            store=store,
            lab=lab,
            clock=Clock(store, None),
            threads=threads,
            notify=notify,
            ahead=settings.budget // 2,
            interruption=interruption,
        )
        strategy = make_strategy(
            "nsga2",
            load_space("mlp", None),
            seed=settings.seed,
            population=settings.population,
            objectives=settings.objectives,
            predictor=settings.predictor,
        )
        store.set_fact("finished", False)
        interruption.wait_for_candidates()
        steady.Steady(session, strategy, {trial.genome: trial for trial in store.trials()}).run()
        session.go_on()
        finish(store)
        store.set_fact("finished", True)


def finish(store: Store) -> None:
    """Two finalists, which are recorded once trained and again once scored on the test split."""
    known = {finalist.trial for finalist in store.finalists()}
    for number in {0, 2} - known:
        cost = Cost(latency_us=1.0, latency_source="emulated")
        accuracies = dict.fromkeys(("accuracy_float_val", "accuracy_ptq_val", "accuracy_int8_val"), 0.5)
        finalist = Finalist(trial=number, method="ptq", epochs=9, cost=cost, **accuracies)
        store.put_finalist(finalist, {"final.tflite": bytes(9000)})
    for finalist in store.finalists():
        if finalist.accuracy_int8_test is None:
            store.put_finalist(replace(finalist, accuracy_int8_test=0.25), {})


def in_child(work: Callable[[Callable[[int], None]], None]) -> tuple[int, list[int], str]:
    """Run it in a process of its own: how it ended, what it acknowledged, and the StoreError that it ended with."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            work(lambda number: os.write(writing, f"{number}\n".encode()) and None)
            code = 0
        except StoreError as error:
            code = error.exit_code
            os.write(writing, f"{error}\n".encode())
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as lines:
        said = lines.read().splitlines()
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return code, [int(line) for line in said if line.isdigit()], "".join(line for line in said if not line.isdigit())


def contents(path: Path) -> list[Any]:
    """All that a study holds but times, checked by SQLite. Raises StoreError: it cannot be read."""
    with Store.open_to_read(path) as store:
        if store._connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise StoreError(f"{path} is damaged")
        artifacts = [(trial.number, store.artifact(trial.number, "model.tflite")) for trial in store.trials()]
        finals = [store.artifact(finalist.trial, "final.tflite") for finalist in store.finalists()]
        return [store.trials(), store.finalists(), artifacts, finals, store.fact("finished")]


def undisturbed(layer: Any, folder: Path) -> tuple[list[Any], int]:
    """What the study ends with, and how many calls it takes."""
    path, count = folder / "undisturbed" / "a study.db", folder / "calls"
    path.parent.mkdir()

    def work(acknowledge: Callable[[int], None]) -> None:
        layer.fail_at(os.fsencode(path.parent), 0, 0)
        search(path, acknowledge)
        count.write_text(str(layer.calls_so_far()))

    code, acknowledged, message = in_child(work)
    if code or len(acknowledged) != SETTINGS["search"]["budget"]:
        raise RuntimeError(f"the undisturbed study ended with {code}: {message}")
    return contents(path), int(count.read_text())


class NotDurableError(Exception):
    """What a fault did that it must not."""


def try_fault(layer: Any, path: Path, call: int, error: int, expected: list[Any]) -> str:
    """Let one call fail and go on with the study. Returns the message that it ended with, "" if it went on by itself.

    Raises:
        NotDurableError: something was lost or done twice, or it ends in no orderly way.
    """
    path.parent.mkdir()

    def failing(acknowledge: Callable[[int], None]) -> None:
        layer.fail_at(os.fsencode(path.parent), call, error)
        search(path, acknowledge)

    code, acknowledged, message = in_child(failing)
    if code not in ((0, StoreError.exit_code) if error else (0, -signal.SIGKILL)):
        raise NotDurableError(f"ended with {code}: {message}")
    try:
        kept = {trial.number for trial in contents(path)[0]} if path.exists() else set()
    except StoreError as unreadable:
        raise NotDurableError(f"unreadable: {unreadable}") from unreadable
    if lost := set(acknowledged) - kept:
        raise NotDurableError(f"lost trials {lost}")
    again: list[int] = []
    layer.fail_at(os.fsencode(path.parent), 0, 0)
    search(path, again.append)
    if repeated := kept & set(again):
        raise NotDurableError(f"judged trials {repeated} again")
    if contents(path) != expected:
        raise NotDurableError("ends otherwise than the undisturbed one")
    return message


def check(layer: Any, folder: Path, fault: str, step: int) -> dict[str, Any]:
    """Try every `step`th call."""
    folder.mkdir()
    expected, calls = undisturbed(layer, folder)
    wrong, messages = {}, set[str]()
    for call in range(1, calls + 1, step):
        path = folder / str(call) / "a study.db"
        try:
            message = try_fault(layer, path, call, FAULTS[fault], expected)
            messages |= {message.replace(str(path), "PATH")} - {""}
        except NotDurableError as error:
            wrong[call] = str(error)
    return {"calls": calls, "tried": len(range(1, calls + 1, step)), "wrong": wrong, "messages": sorted(messages)}


def main(folder: Path, step: int, *faults: str) -> dict[str, Any]:
    """What came of each fault."""
    layer = ctypes.CDLL(os.environ["LD_PRELOAD"])
    layer.calls_so_far.restype = ctypes.c_long
    layer.fail_at.argtypes = (ctypes.c_char_p, ctypes.c_long, ctypes.c_int)
    gc.freeze()
    return {fault: check(layer, folder / fault, fault, step) for fault in faults}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]), indent=1))
