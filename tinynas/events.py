"""What happens, one JSON object a line, for whoever reads logs: docs/logs.md lists the events and their fields.

What is logged with `extra=event(...)` becomes a line with fields, a warning without them one with its sentence.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

_LOGGER = logging.getLogger("tinynas")
_log = logging.getLogger(__name__)
# A run of days cannot fill a disk: the file and four older ones, FILE.1 to FILE.4.
MOST_BYTES = 10_000_000
_OLDER_FILES = 4


def event(name: str, **fields: Any) -> dict[str, Any]:
    """What to log as `extra`: an event's name and its fields, plain JSON values; None: not known, left out."""
    return {"event": name, "fields": fields}


class _Line(logging.Formatter):
    """`about` is in every line."""

    def __init__(self, about: dict[str, Any]) -> None:
        super().__init__()
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        name, fields = getattr(record, "event", None), getattr(record, "fields", {})
        if name is None:
            name, fields = record.levelname.lower(), {"message": record.getMessage()}
        known = {key: value for key, value in fields.items() if value is not None}
        return json.dumps({"at": at, "event": name, **self._about, **known}, default=str)


class _File(RotatingFileHandler):
    """A log file in a folder that is made with it. One that cannot be written is said once, and stops nobody."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MOST_BYTES, backupCount=_OLDER_FILES, encoding="utf-8", delay=True)
        self._path, self._told = path, False

    def _open(self) -> TextIOWrapper:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return super()._open()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        # The file is opened outside of what the standard library guards.
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        # What could not be written is tried again then.
        with suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not self._told:
            self._told = True
            why = sys.exc_info()[1]
            _log.warning("log %s cannot be written (%s): what is done goes on without it", self._path, why)


@contextmanager
def logged(path: Path, **about: Any) -> Iterator[None]:
    """Write what happens to the file `path`, behind what is there, as long as the block lasts, `about` in each line."""
    file = _File(path)
    file.setFormatter(_Line(about))
    file.addFilter(lambda record: record.levelno >= logging.WARNING or hasattr(record, "event"))
    # Without handlers Python prints warnings to stderr; with one it does so no more.
    others = [] if logging.lastResort is None or logging.getLogger().handlers else [logging.lastResort]
    level = _LOGGER.level
    for handler in (file, *others):
        _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOGGER.setLevel(level)
        for handler in (file, *others):
            _LOGGER.removeHandler(handler)
        file.close()
