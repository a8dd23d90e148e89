"""A study's lives: searches as real processes, ended in any way, and what must be the same however they ended."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinynas.study.store import Store

# A shell that starts the tests in the background makes them deaf to Ctrl-C; the search must not inherit that.
_HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import tinynas.__main__"
_END_S = 600.0
_ORPHANS_S = 20.0


def tinynas(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A tinynas command as a process of its own, whose messages are its `stderr`."""
    return subprocess.Popen(
        [sys.executable, "-c", _HEARING, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What a command said until its end, which must be a good one."""
    _, errors = process.communicate(timeout=_END_S)
    assert process.returncode == 0, errors
    return errors


def kill(process: subprocess.Popen[str]) -> str:
    """End a command by SIGKILL. Returns what it had said."""
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=_END_S)
    return errors


def judged(path: Path) -> int:
    """How many trials and finalists a study has; 0 before it is there."""
    if not path.exists():
        return 0
    with Store.open_to_read(path) as store:
        return len(store.trials()) + len(store.finalists())


def wait_for(process: subprocess.Popen[str], path: Path, count: int) -> None:
    """Wait until a search that goes on has judged so many."""
    deadline = time.monotonic() + _END_S
    while judged(path) < count:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Everything in a study that must not depend on how often it was interrupted: no times."""

    facts: dict[str, Any]
    trials: list[dict[str, Any]]
    finalists: list[dict[str, Any]]
    artifacts: dict[str, str]
    front: list[dict[str, Any]]

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        parts = (self.facts, self.trials, self.finalists, self.artifacts, self.front)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def found(path: Path) -> Found:
    """What a finished study holds."""
    shown = subprocess.run(
        [sys.executable, "-m", "tinynas", "show", str(path), "--json"], capture_output=True, text=True, check=True
    )
    with Store.open_to_read(path) as store:
        connection = store._connection
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        facts = {name: json.loads(value) for name, value in connection.execute("SELECT name, value FROM facts")}
        blobs = connection.execute("SELECT trial, name, content FROM artifacts")
        return Found(
            facts={name: value for name, value in facts.items() if name != "elapsed_s"},
            trials=[{**trial.to_json(), "seconds": None, "finished_at": None} for trial in store.trials()],
            finalists=[{**finalist.to_json(), "seconds": None} for finalist in store.finalists()],
            artifacts={f"{trial}/{name}": hashlib.sha256(content).hexdigest() for trial, name, content in blobs},
            front=json.loads(shown.stdout)["front"],
        )


def orphans(home: Path) -> list[str]:
    """The processes that still work in a home of tinynas' some time after the command that started them was killed."""
    deadline = time.monotonic() + _ORPHANS_S
    while (left := _at_work(home)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _at_work(home: Path) -> list[str]:
    setting, found = f"TINYNAS_HOME={home}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and setting in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            # It has ended meanwhile, or is another user's.
            continue
    return found
