"""A study's SQLite file: settings, one row per judged trial, finalists, artifacts.

Invariants, kept by the schema and by transactions:

* A trial is written once, when its verdict is final; a half-evaluated trial leaves no row. Only what a board measured
  wrongly is forgotten, to be judged again, and an estimated cost gives way to a measured one.
* A genome has at most one trial.
* A trial and its artifacts appear together or not at all.
* One process writes at a time; readers never wait for it (WAL).
"""

import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self, TypeVar

from tinynas.cost import Cost, Costs
from tinynas.errors import ConfigError, StoreError

SCHEMA_VERSION = 1

_SCHEMA = f"""
BEGIN;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE trials (
    number INTEGER PRIMARY KEY CHECK (number >= 0),
    genome TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('complete', 'infeasible', 'failed')),
    record TEXT NOT NULL
) STRICT;
CREATE TABLE finalists (trial INTEGER PRIMARY KEY REFERENCES trials, record TEXT NOT NULL) STRICT;
CREATE TABLE artifacts (
    trial INTEGER NOT NULL REFERENCES trials, name TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (trial, name)
) STRICT;
PRAGMA user_version = {SCHEMA_VERSION};
"""

State = Literal["complete", "infeasible", "failed"]
Record = TypeVar("Record", "Trial", "Finalist")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One judged candidate.

    state: "complete" (within the limits, trained, scored), "infeasible" (breaks a limit) or "failed" (with `stage`).
    violation: sum of relative excesses over the limits; 0 when complete, None when it could not be measured.
    accuracy_*: fractions in [0, 1] on the validation split. seconds: wall time per stage [s].
    deployment: how it was put onto the board, the fields of `space.hardware.Deployment`.
    curve: the float network's accuracy on the validation split after each epoch; `reason` says why a training was
    stopped early. network: one object per layer of the decoded network; layers: one per layer of the compiled network,
    as the main board has it.
    estimate: a lower bound, or where a study searches on estimates what the trial was judged on, which has a validity;
    cost is the same then until the board has measured it.
    also_estimate, also_cost: the same on each further board of the study, by name.
    """

    number: int
    genome: str
    state: State
    stage: str | None = None
    reason: str | None = None
    violation: float | None = None
    accuracy_int8_val: float | None = None
    accuracy_float_val: float | None = None
    epochs: int | None = None
    curve: tuple[float, ...] = ()
    estimate: Cost | None = None
    cost: Cost | None = None
    also_estimate: Mapping[str, Cost] = field(default_factory=dict)
    also_cost: Mapping[str, Cost] = field(default_factory=dict)
    deployment: Mapping[str, str | int | None] = field(default_factory=dict)
    network: tuple[Mapping[str, Any], ...] = ()
    layers: tuple[Mapping[str, Any], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    finished_at: float = 0.0

    @property
    def error(self) -> float | None:
        """Share of the validation split that the int8 network gets wrong, in [0, 1]."""
        return None if self.accuracy_int8_val is None else 1.0 - self.accuracy_int8_val

    @property
    def costs(self) -> Costs | None:
        """What is known on each board: the cost, or the estimate where there is no cost yet."""
        main = self.cost or self.estimate
        return None if main is None else Costs(main=main, also={**self.also_estimate, **self.also_cost})

    @property
    def judged_on(self) -> Costs | None:
        """What the strategy was told of, whatever was measured since."""
        if (known := self.costs) is None:
            return None
        also = {board: _told(self.also_estimate.get(board), cost) for board, cost in known.also.items()}
        return Costs(main=_told(self.estimate, known.main), also=also)

    @property
    def unmeasured(self) -> bool:
        """Whether the trial's cost is an estimate yet, on any board."""
        costs = (self.cost, *self.also_cost.values())
        return any(cost is not None and cost.latency_source == "estimated" for cost in costs)

    def estimated(self, costs: Costs) -> "Trial":
        """The trial with an estimate on each board."""
        return replace(self, estimate=costs.main, also_estimate=costs.also)

    def costing(self, cost: Cost, board: str | None) -> "Trial":
        """The trial with its cost on a further board, None: on the main one. An estimated cost is its estimate as well,
        for that is what it is judged on.
        """
        estimated = cost.latency_source == "estimated"
        if board is None:
            return replace(self, cost=cost, estimate=cost if estimated else self.estimate)
        also_estimate = {**self.also_estimate, board: cost} if estimated else self.also_estimate
        return replace(self, also_cost={**self.also_cost, board: cost}, also_estimate=also_estimate)

    def to_json(self) -> dict[str, Any]:
        """The trial as plain JSON values."""
        return _to_json(self)


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A trial of the front, trained longer and measured again. `method` says how it was quantized; "pruned" means
    without some of its channels, and PTQ.

    accuracy_int8_test stays None until all finalists are trained: the test split is read once, at the end.
    layers: as the main board has it, one object per compiled layer; trained weights have other constant channels than
    the trial's initial ones, and a pruned network fewer.
    """

    trial: int
    method: Literal["ptq", "qat", "pruned"]
    accuracy_float_val: float
    accuracy_ptq_val: float
    accuracy_int8_val: float
    accuracy_int8_test: float | None = None
    epochs: int
    cost: Cost
    also_cost: Mapping[str, Cost] = field(default_factory=dict)
    layers: tuple[Mapping[str, Any], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def costs(self) -> Costs:
        """What it costs on each board."""
        return Costs(main=self.cost, also=self.also_cost)

    def to_json(self) -> dict[str, Any]:
        """The finalist as plain JSON values."""
        return _to_json(self)


def _told(estimate: Cost | None, known: Cost) -> Cost:
    """Of an estimate and what is known by now what a strategy was told: lower bounds have no validity."""
    return known if estimate is None or estimate.validity is None else estimate


def _to_json(record: "Trial | Finalist") -> dict[str, Any]:
    plain = asdict(record)
    for name in {"cost", "estimate"} & plain.keys():
        cost = getattr(record, name)
        plain[name] = None if cost is None else cost.to_json()
    for name in {"also_cost", "also_estimate"} & plain.keys():
        plain[name] = {board: cost.to_json() for board, cost in getattr(record, name).items()}
    return plain


def _dump(record: Trial | Finalist) -> str:
    return json.dumps(record.to_json(), sort_keys=True, allow_nan=False)


def _load(kind: type[Record], text: str) -> Record:
    plain = json.loads(text)
    # Earlier versions wrote fewer fields: those that may be left out have what held then as their default.
    if not isinstance(plain, dict):
        raise ValueError(f"a {kind.__name__.lower()} is no object")
    if foreign := plain.keys() - {each.name for each in fields(kind)}:
        raise ValueError(
            f"a {kind.__name__.lower()} has fields that this version does not know, {', '.join(sorted(foreign))}: "
            "use the tinynas that wrote them, or a newer one"
        )
    for name in ("cost", "estimate"):
        if plain.get(name) is not None:
            plain[name] = Cost.from_json(plain[name])
    for name in {"also_cost", "also_estimate"} & plain.keys():
        plain[name] = {board: Cost.from_json(cost) for board, cost in dict(plain[name]).items()}
    for name in ("network", "layers", "curve"):
        if name in plain:
            plain[name] = tuple(plain[name])
    return kind(**plain)


# What a disk that is full or failing makes SQLite say: there is no place for a page, or not even for a new file.
_DISK_FAILS = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into an error with the next command."""
    try:
        yield
    except sqlite3.OperationalError as error:
        # The lowest byte is the kind, the others say more of it.
        if error.sqlite_errorcode & 0xFF in _DISK_FAILS:
            raise _disk_fails(path, error) from error
        raise StoreError(f"study {path}: {error}") from error
    except (sqlite3.DatabaseError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"study {path} is damaged or no study: {error}") from error
    except OSError as error:
        raise _disk_fails(path, error) from error


def _disk_fails(path: Path, error: Exception) -> StoreError:
    said = error.strerror if isinstance(error, OSError) else error
    if not path.exists():
        return StoreError(
            f"study {path} cannot be made ({said}): mend the disk, free some space or name another --study, "
            "then start the search again"
        )
    return StoreError(
        f"study {path}: the disk is full or failing ({said}); everything judged before is safe: "
        f"free some space, then tinynas resume {path}"
    )


class Store:
    """One study's file. Make it with `create`, or open it with `open_to_write` or `open_to_read`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: IO[str] | None) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def create(cls, path: Path, facts: Mapping[str, Any]) -> Self:
        """Make a new study with its `facts` (JSON values).

        Raises:
            ConfigError: there is a file already.
            StoreError: the folder cannot be written, or the disk is full.
        """
        if path.exists():
            raise ConfigError(f"study {path} exists: continue it with tinynas resume {path}, or name another --study")
        # The file appears under its name only once it is whole, so a kill at this moment leaves no half study.
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write_new(draft, facts)
                draft.rename(path)
            finally:
                for left in (draft, draft.with_name(f"{draft.name}-journal")):
                    with suppress(OSError):
                        left.unlink()
        return cls.open_to_write(path)

    @classmethod
    def open_to_write(cls, path: Path) -> Self:
        """Open a study as its only writer.

        Raises:
            ConfigError: there is no such study.
            StoreError: another process writes to it, it is damaged, or it has another schema.
        """
        _require(path)
        lock = _locked(path)
        try:
            return cls(path, _connect(path, writable=True), lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def open_to_read(cls, path: Path) -> Self:
        """Open a study for reading, also while a search writes to it. Raises as `open_to_write`."""
        _require(path)
        return cls(path, _connect(path, writable=False), None)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read in the block is of one moment, whatever is written meanwhile."""
        with _explained(self.path):
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.rollback()

    def fact(self, name: str) -> Any:
        """A fact's value; None when it is not there."""
        with _explained(self.path):
            row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            return None if row is None else json.loads(row[0])

    def set_fact(self, name: str, value: Any) -> None:
        with _explained(self.path), self._connection:
            self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def add_trial(self, trial: Trial, artifacts: Mapping[str, bytes]) -> None:
        """Record a verdict and what belongs to it, in one transaction."""
        with _explained(self.path), self._connection:
            self._connection.execute(
                "INSERT INTO trials VALUES (?, ?, ?, ?)", (trial.number, trial.genome, trial.state, _dump(trial))
            )
            self._put(trial.number, artifacts)

    def replace_trial(self, trial: Trial) -> None:
        """Record a trial whose estimated cost was measured; its artifacts stay."""
        with _explained(self.path), self._connection:
            self._connection.execute(
                "UPDATE trials SET state = ?, record = ? WHERE number = ?", (trial.state, _dump(trial), trial.number)
            )

    def put_finalist(self, finalist: Finalist, artifacts: Mapping[str, bytes]) -> None:
        """Record a finalist, or replace it once its test accuracy is known."""
        with _explained(self.path), self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO finalists VALUES (?, ?)", (finalist.trial, _dump(finalist))
            )
            self._put(finalist.trial, artifacts)

    def forget(self, trial: int) -> None:
        """Remove a trial with its finalist and artifacts, because its figures cannot be trusted."""
        with _explained(self.path), self._connection:
            for table, column in (("artifacts", "trial"), ("finalists", "trial"), ("trials", "number")):
                self._connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (trial,))

    def forget_finalist(self, trial: int) -> None:
        """Remove a finalist, because its figures cannot be trusted; its trial stays."""
        with _explained(self.path), self._connection:
            self._connection.execute("DELETE FROM finalists WHERE trial = ?", (trial,))

    def _put(self, trial: int, artifacts: Mapping[str, bytes]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO artifacts VALUES (?, ?, ?)",
            [(trial, name, content) for name, content in artifacts.items()],
        )

    def trials(self) -> list[Trial]:
        """All judged trials by number."""
        with _explained(self.path):
            rows = self._connection.execute("SELECT record FROM trials ORDER BY number")
            return [_load(Trial, text) for (text,) in rows]

    def trials_but(self, known: Mapping[int, int]) -> tuple[dict[int, Trial], dict[int, int]]:
        """The trials whose record is another one than when this was called before, which is `known`, and what is known
        now: trial number -> hash of its record. A judged trial may change, for an estimated cost gives way.
        """
        with _explained(self.path):
            rows = self._connection.execute("SELECT number, record FROM trials ORDER BY number")
            found, now = {}, {}
            for number, text in rows:
                now[number] = hash(text)
                if known.get(number) != now[number]:
                    found[number] = _load(Trial, text)
            return found, now

    def finalists(self) -> list[Finalist]:
        """All finalists by trial number."""
        with _explained(self.path):
            rows = self._connection.execute("SELECT record FROM finalists ORDER BY trial")
            return [_load(Finalist, text) for (text,) in rows]

    def artifact(self, trial: int, name: str) -> bytes | None:
        """One artifact's bytes; None when the trial has none of that name."""
        with _explained(self.path):
            row = self._connection.execute(
                "SELECT content FROM artifacts WHERE trial = ? AND name = ?", (trial, name)
            ).fetchone()
            return None if row is None else bytes(row[0])

    def close(self) -> None:
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _require(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"study {path} does not exist: tinynas list shows the studies of a folder")


def _write_new(path: Path, facts: Mapping[str, Any]) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_SCHEMA)
        rows = [(name, json.dumps(value)) for name, value in facts.items()]
        connection.executemany("INSERT INTO facts VALUES (?, ?)", rows)
        connection.commit()
        # Last, because closing a file that has a log does not say when it could not be emptied; and not in the study
        # itself, because a kill in mid-change leaves a journal that readers may not play back.
        connection.execute("PRAGMA journal_mode = WAL")


def _connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    with _explained(path):
        mode = "mode=rw" if writable else "mode=ro"
        if not writable and _nobody_writes(path):
            # SQLite would look for a log beside it, and cannot make one.
            mode = "immutable=1"
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=30)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"study {path} has schema {version}, this tinynas reads {SCHEMA_VERSION}: use the version that made it"
            )
        if writable:
            connection.execute("PRAGMA journal_mode = WAL")
            # An acknowledged verdict must survive a power cut, not only a kill.
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def _nobody_writes(path: Path) -> bool:
    """Whether a study lies complete in its file, in a folder where no file can be made: an archive, another user's."""
    return not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()


def _locked(path: Path) -> IO[str]:
    """Hold the study's lock file until closed or killed; it names its holder for whoever is refused."""
    import fcntl

    with _explained(path):
        lock = path.with_name(path.name + ".lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read(200).strip()
            lock.close()
            raise StoreError(f"study {path} is being written by {holder}: wait for it or stop it") from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%F %T')}\n")
        lock.flush()
    return lock
