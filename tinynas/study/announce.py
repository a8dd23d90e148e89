"""From a run's events to the status that outsiders read."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tinynas.study.session import Event, Notify
from tinynas.study.status import BoardStatus, Status, StatusFile, UnderWay
from tinynas.study.testbed import Lab

_PHASES = {
    "opened": "searching",
    "sharing": "training the supernet",
    "measuring": "measuring what survived",
    "finishing": "training finalists",
    "scored": "scoring the test split",
}


@contextmanager
def announced(study: Path, lab: Lab, notify: Notify) -> Iterator[Notify]:
    """Tell whoever is outside of a run's events, too, as long as the block lasts."""
    doings = _Doings(lab)
    file = StatusFile(study, doings.status)

    def tell(event: Event) -> None:
        doings.take(event)
        file.change()
        notify(event)

    file.start()
    try:
        yield tell
    finally:
        file.end()


class _Doings:
    """What is under way; events come from several threads."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.Lock()
        self._phase = "opening"
        self._judged = self._budget = 0
        self._deadline: float | None = None
        self._running: dict[int, tuple[str, str, float]] = {}

    def take(self, event: Event) -> None:
        with self._lock:
            self._phase = _PHASES.get(event.kind, self._phase)
            match event.kind:
                case "opened":
                    self._judged, self._budget = event.judged, event.budget
                    self._deadline = None if event.deadline_s is None else time.monotonic() + event.deadline_s
                case "stage":
                    self._running[event.number] = event.genome, event.stage, time.monotonic()
                    if self._phase == _PHASES["sharing"]:
                        self._phase = _PHASES["opened"]
                case "judged":
                    self._running.pop(event.number, None)
                    self._judged = event.judged
                case "measuring" | "finishing":
                    self._judged, self._budget, self._deadline = event.judged, event.budget, None
                    self._running.clear()
                case "measured" | "finalist":
                    self._running.pop(event.number, None)
                    self._judged += 1

    def status(self) -> Status:
        boards = [board for testbed in self._lab.testbeds for board in testbed.pool.now()]
        with self._lock:
            now = time.monotonic()
            return Status(
                pid=os.getpid(),
                host=socket.gethostname(),
                phase=self._phase,
                judged=self._judged,
                budget=self._budget,
                left_s=None if self._deadline is None else max(0.0, self._deadline - now),
                under_way=tuple(
                    UnderWay(number=number, genome=genome, stage=stage, seconds=now - since)
                    for number, (genome, stage, since) in sorted(self._running.items())
                ),
                boards=tuple(BoardStatus(**asdict(board)) for board in boards),
            )
