"""CSV files of sensor values over time, cut into labelled windows."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinynas.config import TaskSection
from tinynas.errors import ConfigError
from tinynas.model.folders import file_groups
from tinynas.model.samples import Samples

# With no subjects and fewer than three recordings, a split is made of runs of this many windows.
_BLOCK_WINDOWS = 20


@dataclass(frozen=True, kw_only=True)
class _Recording:
    """An unbroken stretch of one file and one subject: values float64 (time, channels), a label per row."""

    file: str
    subject: str | None
    values: np.ndarray
    labels: np.ndarray


def read_series(path: Path, section: TaskSection) -> Samples:
    """Read CSV windows: x float32 (n, window, channels), standardised later with the training split's statistics.

    `path` is a CSV file, a folder (every .csv in it), or a pattern such as `data/s*/*_phone.csv`. The first line of a
    file names its columns: `label_column`, `value_columns` (by default all that are numbers, in the first file's
    order, but for the subject and for columns called time or timestamp) and `subject_column`. A window of `window`
    rows begins every `stride` rows, lies within one file and subject, and carries the label that most of its rows
    have. All windows of a subject lie in one split; the subject is the `subject_column`, what `group_regex` finds in
    the file's path, or else the file. With fewer than three files and no subjects known, each file is cut into blocks
    of 20 windows' length, windows do not cross blocks, and blocks are dealt to the splits.

    Raises:
        ConfigError: no file is there, or one cannot be read, or lacks a column, or is shorter than a window.
        ConfigError: a value is no finite number; the message names file and line.
        ConfigError: no window has a label as its majority.
    """
    files = _files(path)
    columns = section.value_columns or _number_columns(files[0], section)
    recordings = [recording for path in files for recording in _read_file(path, section, columns)]
    groups = _groups(recordings, section)
    if groups is None:
        recordings, groups = _blocks(recordings, section.window)
    labels = _label_names(recordings)
    code = {name: index for index, name in enumerate(labels)}
    windows, majorities, owners = [], [], []
    for recording, group in zip(recordings, groups, strict=True):
        rows = np.array([code[name] for name in recording.labels])
        for start in range(0, len(rows) - section.window + 1, section.stride):
            windows.append(recording.values[start : start + section.window])
            majorities.append(np.bincount(rows[start : start + section.window]).argmax())
            owners.append(group)
    if not windows:
        longest = max(len(recording.values) for recording in recordings)
        raise ConfigError(f"{path}: no window of {section.window} rows fits: the longest recording has {longest}")
    y = np.array(majorities, np.int64)
    for index in np.setdiff1d(np.arange(len(labels)), y):
        raise ConfigError(
            f"{path}: label {labels[index]} is the majority of none of the {len(y):,} windows of "
            f"{section.window} rows: lower [task] window"
        )
    return Samples(
        x=np.stack(windows).astype(np.float32),
        y=y,
        class_names=labels,
        features=f"{', '.join(columns)}: {section.window} rows, one every sample of the sensor",
        source=str(path),
        groups=np.array(owners),
    )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        files = sorted(path.rglob("*.csv"))
    else:
        fixed = next((index for index, part in enumerate(path.parts) if set(part) & set("*?[")), len(path.parts))
        files = (
            sorted(Path(*path.parts[:fixed]).glob(str(Path(*path.parts[fixed:])))) if fixed < len(path.parts) else []
        )
    if not files:
        raise ConfigError(f"{path}: no CSV file is there")
    return files


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as CSV: {error}") from error
    if len(rows) < 2:
        raise ConfigError(f"{path} has no rows below the line that names its columns")
    header = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise ConfigError(f"{path}, line {number}: {len(row)} values for {len(header)} columns")
    return header, rows[1:]


def _number_columns(path: Path, section: TaskSection) -> tuple[str, ...]:
    header, rows = _rows(path)
    others = {section.label_column, section.subject_column, "time", "timestamp"}
    columns = tuple(
        name for name, text in zip(header, rows[0], strict=True) if name.lower() not in others and _is_number(text)
    )
    if not columns:
        raise ConfigError(f"{path} has no column of numbers beside {', '.join(sorted(filter(None, others)))}")
    return columns


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_file(path: Path, section: TaskSection, columns: tuple[str, ...]) -> list[_Recording]:
    header, rows = _rows(path)
    needed = [*columns, section.label_column, *filter(None, [section.subject_column])]
    for name in needed:
        if header.count(name) != 1:
            raise ConfigError(f"{path} has {header.count(name)} columns {name!r}; its columns are {', '.join(header)}")
    indices = [header.index(name) for name in columns]
    values = _numbers(path, rows, indices, columns)
    labels = np.array([row[header.index(section.label_column)].strip() for row in rows])
    if (labels == "").any():
        raise ConfigError(f"{path}, line {np.flatnonzero(labels == '')[0] + 2}: the label is empty")
    if section.subject_column is None:
        return [_Recording(file=path.as_posix(), subject=None, values=values, labels=labels)]
    subjects = np.array([row[header.index(section.subject_column)].strip() for row in rows])
    cuts = np.flatnonzero(subjects[1:] != subjects[:-1]) + 1
    return [
        _Recording(file=path.as_posix(), subject=str(subjects[part[0]]), values=values[part], labels=labels[part])
        for part in np.split(np.arange(len(rows)), cuts)
    ]


def _numbers(path: Path, rows: list[list[str]], indices: list[int], columns: tuple[str, ...]) -> np.ndarray:
    values = np.full((len(rows), len(indices)), np.nan)
    for column, index in enumerate(indices):
        texts = [row[index] for row in rows]
        try:
            values[:, column] = np.array(texts, dtype=np.float64)
        except ValueError:
            values[:, column] = [float(text) if _is_number(text) else np.nan for text in texts]
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise ConfigError(
            f"{path}, line {row + 2}: {columns[column]} is {rows[row][indices[column]]!r}, a finite number is expected"
        )
    return values


def _groups(recordings: list[_Recording], section: TaskSection) -> list[str] | None:
    """The subject of each recording, as well as it is known; None when there are too few files to tell splits by."""
    if section.subject_column is not None:
        return [str(recording.subject) for recording in recordings]
    files = [recording.file for recording in recordings]
    found = file_groups(files, section.group_regex)
    if found is not None:
        return [str(group) for group in found]
    return files if len(files) >= 3 else None


def _blocks(recordings: list[_Recording], window: int) -> tuple[list[_Recording], list[str]]:
    length = _BLOCK_WINDOWS * window
    blocks, groups = [], []
    for recording in recordings:
        for start in range(0, len(recording.values), length):
            part = slice(start, start + length)
            blocks.append(
                _Recording(
                    file=recording.file,
                    subject=None,
                    values=recording.values[part],
                    labels=recording.labels[part],
                )
            )
            groups.append(f"{recording.file}:{start}")
    return blocks, groups


def _label_names(recordings: list[_Recording]) -> tuple[str, ...]:
    """The labels in order: as numbers when all are integers, else as text."""
    names = sorted({str(name) for recording in recordings for name in recording.labels})
    if all(name.lstrip("-").isdecimal() for name in names):
        names.sort(key=int)
    return tuple(names)
