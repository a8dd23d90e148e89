"""A study's lives: searches as real processes, ended in any way, and what must be the same however they ended."""

import contextlib
import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinynas.study.store import Store

# A shell that starts the tests in the background makes them deaf to Ctrl-C; the search must not inherit that.
_HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import tinynas.__main__"
# The terminal that is standard input sends Ctrl-C to this session's processes.
_WITH_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
_END_S = 3600.0
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


class OnTerminal:
    """A tinynas command on a terminal of its own, whose foreground processes all are."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{_WITH_TERMINAL}; {_HEARING}", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm"},
        )
        os.close(slave)
        self._shown: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        # It ends with an error once nobody has the terminal any more.
        with contextlib.suppress(OSError):
            while shown := os.read(self._master, 65536):
                self._shown.append(shown)

    @property
    def shown(self) -> str:
        """All that the terminal was sent, without what moves the cursor and sets colours."""
        text = b"".join(self._shown).decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)

    def press_ctrl_c(self) -> None:
        os.write(self._master, b"\x03")

    def wait_until(self, text: str) -> None:
        """Wait until the terminal shows a text."""
        deadline = time.monotonic() + _END_S
        while text not in self.shown:
            assert self.process.poll() is None and time.monotonic() < deadline, self.shown
            time.sleep(0.05)

    def end(self) -> int:
        """Wait for the command's end. Returns its exit status."""
        code = self.process.wait(_END_S)
        self._reader.join()
        os.close(self._master)
        return code


def finish(process: subprocess.Popen[str]) -> str:
    """What a command said until its end, which must be a good one."""
    try:
        _, errors = process.communicate(timeout=_END_S)
    finally:
        process.kill()
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


def wait_for(process: subprocess.Popen[Any], path: Path, count: int) -> None:
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


def repeated(log: Path) -> list[int]:
    """The candidates that were begun again after their verdict was there, by the log of all runs of a study."""
    done, found = set(), []
    for line in map(json.loads, log.read_text().splitlines()):
        if line["event"] in ("measuring", "finishing"):
            # Trials come again, in another part.
            done.clear()
        elif line["event"] in ("judged", "measured", "finalist"):
            done.add(line["candidate"])
        elif line["event"] == "begin" and line["candidate"] in done:
            found.append(line["candidate"])
    return found


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
