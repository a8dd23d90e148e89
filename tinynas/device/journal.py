"""What happened on a lab's boards, in one SQLite file under tinynas' home: holds, failures, flash time, wear."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinynas.errors import StoreError

Kind = Literal["lease", "flash", "measurement", "fault", "power_cycle", "quarantine", "reserve", "release"]
_WAIT_S = 30.0
_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    board TEXT NOT NULL,
    kind TEXT NOT NULL,
    seconds REAL NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_board ON events (board, kind, id);
"""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Why a board is not leased, until it is released."""

    kind: Literal["quarantine", "reserve"]
    reason: str
    since: float


@dataclass(frozen=True, kw_only=True)
class Record:
    """A board's life so far: how often and for how long [s] it was flashed and leased, what it failed and measured.

    uptime_s: since it was heard of first, without the time that it was held; faults: since it was last released; last:
    what was measured last, at `last_at` [s since 1970].
    """

    flashes: int
    flash_s: float
    leased_s: float
    uptime_s: float
    power_cycles: int
    measurements: int
    faults: int
    last: str | None
    last_at: float | None


class Journal:
    """Events, only ever added to, by any number of processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, board: str, kind: Kind, *, seconds: float = 0.0, detail: str = "") -> None:
        """Add what happened to `board` just now, and how long it took.

        Raises:
            StoreError: the file cannot be written.
        """
        row = (time.time(), board, kind, seconds, detail)
        with self._open() as db, db:
            db.execute("INSERT INTO events (at, board, kind, seconds, detail) VALUES (?, ?, ?, ?, ?)", row)

    def holds(self) -> dict[str, Hold]:
        """The boards that are not to be leased, by name, and why. Raises StoreError."""
        with self._open() as db:
            rows = db.execute(
                "SELECT board, kind, detail, at FROM events WHERE id IN "
                "(SELECT max(id) FROM events WHERE kind IN ('quarantine', 'reserve', 'release') GROUP BY board) "
                "AND kind != 'release'"
            ).fetchall()
        return {board: Hold(kind=kind, reason=reason, since=since) for board, kind, reason, since in rows}

    def record(self, board: str) -> Record:
        """What is known of `board`. Raises StoreError."""
        with self._open() as db:
            sums = {
                kind: (count, seconds)
                for kind, count, seconds in db.execute(
                    "SELECT kind, count(*), sum(seconds) FROM events WHERE board = ? GROUP BY kind", (board,)
                )
            }
            faults = db.execute(
                "SELECT count(*) FROM events WHERE board = ?1 AND kind = 'fault' AND id > coalesce("
                "(SELECT max(id) FROM events WHERE board = ?1 AND kind = 'release'), 0)",
                (board,),
            ).fetchone()[0]
            last = db.execute(
                "SELECT detail, at FROM events WHERE board = ? AND kind = 'measurement' ORDER BY id DESC LIMIT 1",
                (board,),
            ).fetchone()
            marks = db.execute(
                "SELECT at, kind FROM events WHERE board = ?1 AND (kind IN ('quarantine', 'reserve', 'release') "
                "OR id = (SELECT min(id) FROM events WHERE board = ?1)) ORDER BY id",
                (board,),
            ).fetchall()
        flashes, flash_s = sums.get("flash", (0, 0.0))
        return Record(
            flashes=flashes,
            flash_s=flash_s,
            leased_s=sums.get("lease", (0, 0.0))[1],
            uptime_s=_uptime_s(marks, time.time()),
            power_cycles=sums.get("power_cycle", (0, 0.0))[0],
            measurements=sums.get("measurement", (0, 0.0))[0],
            faults=faults,
            last=last[0] if last else None,
            last_at=last[1] if last else None,
        )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # A connection for each call: any thread may ask, and a day has few enough events.
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as db:
                db.executescript(_SCHEMA)
                yield db
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the bench's journal {self.path} cannot be used: {error}") from error


def _uptime_s(marks: Sequence[tuple[float, str]], now: float) -> float:
    """How long a board was not held up to `now`, where its first event and all holds and releases were at `marks`."""
    uptime_s, since = 0.0, marks[0][0] if marks else None
    for at, kind in marks:
        if kind in {"quarantine", "reserve"}:
            # A clock that was set back takes nothing away.
            uptime_s += max(0.0, at - since) if since is not None else 0.0
            since = None
        elif since is None:
            since = at
    return uptime_s + (max(0.0, now - since) if since is not None else 0.0)
