"""What earlier studies worked out, for later ones: trained networks, and costs on emulated boards.

One SQLite file of entries under a key that is the SHA-256 of everything that the content depends on, the program
itself included, so that a hit is what the work would give again, to the last bit. Nothing of a study depends on the
cache: what cannot be read is worked out, and said.
"""

import hashlib
import json
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import Any, Generic, TypeVar
from zipfile import BadZipFile

import numpy as np
from pydantic import BaseModel

from tinynas import fingerprint
from tinynas.boards import Board
from tinynas.config import TrainSection
from tinynas.cost import Cost
from tinynas.space.architecture import Architecture
from tinynas.study.work import Candidate, Course, Trained, Vectors

_log = logging.getLogger(__name__)
T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, used REAL NOT NULL, size INTEGER NOT NULL, digest TEXT NOT NULL, content BLOB NOT NULL
) STRICT
"""
# All but the most recently used ones, as many as fit.
_EVICT = """
DELETE FROM entries WHERE key IN (
    SELECT key FROM (SELECT key, SUM(size) OVER (ORDER BY used DESC, key) AS total FROM entries) WHERE total > ?
)
"""
_PATIENCE_S = 30.0
# Settings that decide whether a training ends, not what comes of it.
_LIMITS = {"timeout", "memory"}


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[T]):
    """How results of one kind become bytes, and back."""

    pack: Callable[[T], bytes]
    unpack: Callable[[bytes], T]


class Cache:
    """Entries in the file `path`, at most `limit_bytes` of them together. Any number of processes and threads."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self.path = path
        self._limit_bytes = limit_bytes

    def recall(self, key: str, kind: Kind[T]) -> T | None:
        """What is kept under the key; None when nothing is, or it is damaged, which is said."""
        content = self.get(key)
        try:
            return None if content is None else kind.unpack(content)
        except (ValueError, KeyError, TypeError, OSError, BadZipFile) as error:
            self.forget(key, f"{type(error).__name__}: {error}")
            return None

    def get(self, key: str) -> bytes | None:
        """An entry's content; None when there is none, or it is damaged, which is said."""
        row: tuple[str, bytes] | None = None
        with self._explained(), self._opened() as connection:
            row = connection.execute("SELECT digest, content FROM entries WHERE key = ?", (key,)).fetchone()
            connection.execute("UPDATE entries SET used = ? WHERE key = ?", (time.time(), key))
        if row is not None and hashlib.sha256(row[1]).hexdigest() != row[0]:
            self.forget(key, "its SHA-256 is another")
            return None
        return None if row is None else row[1]

    def put(self, key: str, content: bytes) -> None:
        """Keep an entry, and of the others those that were used last, as many as fit beside it."""
        if len(content) > self._limit_bytes:
            return
        with self._explained(), self._opened() as connection:
            digest = hashlib.sha256(content).hexdigest()
            row = (key, time.time(), len(content), digest, content)
            connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", row)
            connection.execute(_EVICT, (self._limit_bytes,))

    def forget(self, key: str, why: str) -> None:
        """Remove an entry that is not what it should be, and say so."""
        _log.warning("cache %s: entry %s is damaged (%s) and is worked out again", self.path, key[:12], why)
        with self._explained(), self._opened() as connection:
            connection.execute("DELETE FROM entries WHERE key = ?", (key,))

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=_PATIENCE_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            # What a power cut takes is worked out again.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_SCHEMA)
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            _log.warning("cache %s cannot be used (%s): remove it, or switch it off with --no-cache", self.path, error)


def training_key(task_digest: str, candidate: Candidate, course: Course, *settings: Any) -> str:
    """The key of one training: the data with its split, the network, its seed and what it is quantized to, where it
    begins, who teaches and what it needs to go on, the settings (sections and plain JSON values), the program, the CPU.
    """
    others = [
        None if each is None else (asdict(each.architecture), hashlib.sha256(each.weights).hexdigest())
        for each in (course.origin, course.teacher)
    ]
    plain = [
        each.model_dump(mode="json", exclude=_LIMITS) if isinstance(each, BaseModel) else each for each in settings
    ]
    return _key(
        "training",
        task_digest,
        asdict(candidate.architecture),
        candidate.seed,
        candidate.activation_bits,
        sorted(course.needs.items()),
        others,
        None if course.supernet is None else course.supernet.path.name,
        plain,
        fingerprint.program(),
        fingerprint.arithmetic(),
    )


def supernet_key(
    task_digest: str, networks: Sequence[Architecture], seed: int, train: TrainSection, epochs: int
) -> str:
    """The key of a supernet's training: the data with its split, the networks, the seed, the settings, the program, the
    CPU.
    """
    layers = hashlib.sha256(repr(networks).encode()).hexdigest()
    settings = train.model_dump(mode="json", exclude=_LIMITS)
    return _key(
        "supernet", task_digest, layers, seed, settings, epochs, fingerprint.program(), fingerprint.arithmetic()
    )


def cost_key(task_digest: str, tflite: bytes, board: Board, *settings: Any) -> str:
    """The key of a cost on an emulated board: the network, the data of its inputs, the board, the settings (validity,
    repeats, samples and so on), the program and the emulator.
    """
    if board.emulator is None:
        raise ValueError(f"what {board.name} measures is not the same every time")
    program = shutil.which(board.emulator.program)
    found = None if program is None else Path(program).stat()
    emulator = None if found is None else (found.st_size, found.st_mtime_ns)
    network = hashlib.sha256(tflite).hexdigest()
    return _key("cost", task_digest, network, board.model_dump(mode="json"), settings, emulator, fingerprint.program())


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _pack_trained(trained: Trained) -> bytes:
    """A .npz file without objects. The time that it took is not kept: whoever finds it has not spent it."""
    left_out = ("tflite", "vectors", "weights", "seconds")
    record = {each.name: getattr(trained, each.name) for each in fields(trained) if each.name not in left_out}
    file = BytesIO()
    np.savez(
        file,
        tflite=np.frombuffer(trained.tflite, np.uint8),
        inputs=trained.vectors.inputs,
        outputs=trained.vectors.outputs,
        weights=np.frombuffer(trained.weights or b"", np.uint8),
        record=np.frombuffer(json.dumps(record).encode(), np.uint8),
    )
    return file.getvalue()


def _unpack_trained(content: bytes) -> Trained:
    with np.load(BytesIO(content), allow_pickle=False) as file:
        record = json.loads(file["record"].tobytes())
        return Trained(
            tflite=file["tflite"].tobytes(),
            vectors=Vectors(inputs=file["inputs"], outputs=file["outputs"]),
            weights=file["weights"].tobytes() or None,
            seconds={},
            **{**record, "curve": tuple(record["curve"])},
        )


def _pack_cost(cost: Cost) -> bytes:
    return json.dumps(cost.to_json(), sort_keys=True, allow_nan=False).encode()


def _unpack_cost(content: bytes) -> Cost:
    return Cost.from_json(json.loads(content))


TRAINED = Kind(pack=_pack_trained, unpack=_unpack_trained)
COST = Kind(pack=_pack_cost, unpack=_unpack_cost)
