"""What a running search says of itself to whoever is outside: a small file beside its study, which ends with it.

The store holds verdicts alone. What is under way stands here: replaced by renaming, so that a reader sees it whole, and
renewed as long as the search lives, so that one that was killed is seen to be silent.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_log = logging.getLogger(__name__)

RENEWED_S = 2.0
# A search that has said nothing for so long was killed or stopped, or cannot write.
SILENT_S = 10.0
_LEAST_APART_S = 0.5
_MOST_BYTES = 1 << 20

_Seconds = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class UnderWay(_Part):
    """A candidate on its way through the gates, and for how long it has been in its stage [s]."""

    number: int
    genome: str
    stage: str
    seconds: _Seconds


class BoardStatus(_Part):
    """One board. `work`: what it measures, None while it is free; held: why it is not used."""

    name: str
    kind: str
    work: str | None = None
    seconds: _Seconds = 0.0
    held: str | None = None


class Status(_Part):
    """What a search does. `judged` of `budget` in this `phase` are done; `left_s`: until its time is up."""

    pid: int
    host: str
    phase: str
    judged: int = 0
    budget: int = 0
    left_s: _Seconds | None = None
    under_way: tuple[UnderWay, ...] = ()
    boards: tuple[BoardStatus, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A status, and how long ago it was written [s]."""

    status: Status
    age_s: float

    @property
    def silent(self) -> bool:
        """Whether the search that wrote it seems to be gone."""
        return self.age_s > SILENT_S


def status_path(study: Path) -> Path:
    return study.with_name(f"{study.name}.status")


def read_status(study: Path) -> Heard | None:
    """What the search of `study` says; None where none runs, or what stands there is no status."""
    try:
        with status_path(study).open("rb") as file:
            written = os.fstat(file.fileno()).st_mtime
            text = file.read(_MOST_BYTES)
        return Heard(status=Status.model_validate_json(text), age_s=max(0.0, time.time() - written))
    except (OSError, ValidationError):
        return None


class StatusFile:
    """Keeps a study's status up to date from a thread of its own, which no candidate waits for, and never fails."""

    def __init__(self, study: Path, current: Callable[[], Status]) -> None:
        self._path = status_path(study)
        # A study has one writer, so that a draft of a killed one is simply replaced.
        self._draft = self._path.with_name(f".{self._path.name}")
        self._current = current
        self._changed, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def change(self) -> None:
        """Say soon what has changed; returns at once."""
        self._changed.set()

    def end(self) -> None:
        """Remove the file."""
        self._ended.set()
        self._changed.set()
        self._thread.join()
        for path in (self._path, self._draft):
            with suppress(OSError):
                path.unlink()

    def _run(self) -> None:
        told = ""
        while not self._ended.is_set():
            try:
                self._draft.write_text(self._current().model_dump_json(), encoding="utf-8")
                self._draft.replace(self._path)
            # Whatever it is, the search goes on: nobody outside sees it, that is all.
            except Exception as error:
                if str(error) != told:
                    _log.warning("status %s is not written: %s", self._path, error)
                told = str(error)
            if self._ended.wait(_LEAST_APART_S):
                return
            self._changed.wait(RENEWED_S - _LEAST_APART_S)
            self._changed.clear()
