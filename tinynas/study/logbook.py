"""A run's events as lines of a log: see `tinynas.events`, and docs/logs.md for the fields."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinynas.errors import StoppedError, TinynasError
from tinynas.events import event, logged
from tinynas.study.session import Event, Notify
from tinynas.study.store import Trial

_log = logging.getLogger(__name__)


@contextmanager
def logbook(study: Path, file: Path | None, notify: Notify) -> Iterator[Notify]:
    """Log a run's events as long as the block lasts, and how it ends: to `file`, or beside the study. One that is
    refused before anything happens leaves no file.
    """
    with logged(file or study.with_suffix(".log"), study=str(study)):
        stages, started, begun, refused = _Stages(), time.monotonic(), False, False

        def tell(happened: Event) -> None:
            nonlocal begun
            begun = True
            stages.take(happened)
            _write(happened)
            notify(happened)

        outcome: dict[str, Any] = {"outcome": "failed"}
        try:
            yield tell
            outcome = {"outcome": "finished"}
        except (StoppedError, KeyboardInterrupt):
            outcome = {"outcome": "stopped"}
            raise
        except BaseException as error:
            refused = isinstance(error, TinynasError) and not begun
            outcome["reason"] = f"{type(error).__name__}: {error}"
            raise
        finally:
            if not refused:
                _log.info("the run ends", extra=event("end", **outcome, seconds=_rounded(time.monotonic() - started)))


class _Stages:
    """The stage that each candidate is in, and since when; events come from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, tuple[str, str, float]] = {}

    def take(self, happened: Event) -> None:
        """Log a stage that has ended, and candidates that begin."""
        if happened.kind not in ("stage", "judged", "measured", "finalist"):
            return
        now = time.monotonic()
        with self._lock:
            left = self._running.pop(happened.number, None)
            if happened.kind == "stage":
                self._running[happened.number] = happened.genome, happened.stage, now
        if left is None and happened.kind == "stage":
            _log.info("begun", extra=event("begin", candidate=happened.number, genome=happened.genome))
        elif left is not None:
            genome, stage, since = left
            took = {"stage": stage, "seconds": _rounded(now - since)}
            _log.info("a stage is over", extra=event("stage", candidate=happened.number, genome=genome, **took))


def _write(happened: Event) -> None:
    fields: dict[str, Any] | None = None
    match happened.kind:
        case "opened" if happened.lab is not None:
            lab = happened.lab
            fields = {
                "task": lab.task.name,
                "space": lab.space.name,
                "boards": [testbed.board.name for testbed in lab.testbeds],
                "judged": happened.judged,
                "budget": happened.budget,
                "pid": os.getpid(),
                "host": socket.gethostname(),
            }
        case "judged" | "measured" if happened.trial is not None:
            fields = _verdict(happened.trial)
        case "finalist" | "scored":
            finalist = happened.finalist
            fields = {"candidate": happened.number, "genome": happened.genome or None}
            if finalist is not None:
                fields |= {
                    "method": finalist.method,
                    "accuracy_int8_val": finalist.accuracy_int8_val,
                    "accuracy_int8_test": finalist.accuracy_int8_test,
                    "seconds": _rounded(sum(finalist.seconds.values())),
                }
        case "sharing" | "measuring" | "finishing":
            fields = {"judged": happened.judged, "budget": happened.budget}
        case "stopping":
            fields = {}
    if fields is not None:
        _log.info("%s", happened.kind, extra=event(happened.kind, **fields))


def _verdict(trial: Trial) -> dict[str, Any]:
    cost = trial.cost or trial.estimate
    return {
        "candidate": trial.number,
        "genome": trial.genome,
        "state": trial.state,
        "stage": trial.stage,
        "reason": trial.reason,
        "accuracy_int8_val": trial.accuracy_int8_val,
        "latency_us": None if cost is None else cost.latency_us,
        "latency_source": None if cost is None else cost.latency_source,
        "seconds": _rounded(sum(trial.seconds.values())),
    }


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
