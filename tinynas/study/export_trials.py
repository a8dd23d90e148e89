"""A study's trials as a file that other tools read: a CSV table, a Parquet table, or a study of Optuna.

Each form is a function from a table to a file; here they are chosen, and written whole or not at all.
"""

import csv
import importlib.util
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinynas.boards import nearest
from tinynas.errors import ConfigError, InfrastructureError, StoreError
from tinynas.study.export_optuna import optuna_study
from tinynas.study.store import Store
from tinynas.study.trial_table import Cell, TrialTable, kind_of, read_trial_table

# Form -> what the file's name ends with, unless it is given. Folders of studies list what ends with .db.
_SUFFIXES = {"csv": ".csv", "parquet": ".parquet", "optuna": ".optuna.sqlite3"}
# Form -> the package that it needs, and the extra that brings it.
_NEEDS = {"parquet": ("pyarrow", "parquet"), "optuna": ("optuna", "bayesian")}


def export_trials(study: Path, *, to: str, path: Path | None = None, force: bool = False) -> dict[str, Any]:
    """Write all trials of a study, also of one that is being searched, to a file; by default beside the study.

    to: one of TRIAL_FORMS. force: replace the file if it is there.

    Returns:
        What was written, as JSON values: `to`, `file`, `trials`, and `columns` of a table.

    Raises:
        ConfigError: there is no such form or study, the file is there already, or a package is not installed.
        StoreError: the study is damaged.
        InfrastructureError: the file cannot be written.
    """
    if to not in _SUFFIXES:
        raise ConfigError(f"export form {to!r} is not known: {nearest(to, list(_SUFFIXES))}")
    package, extra = _NEEDS.get(to, ("csv", ""))
    if importlib.util.find_spec(package) is None:
        raise ConfigError(f"export to {to} needs {package}: pip install 'tinynas[{extra}]'")
    target = path or study.with_suffix(_SUFFIXES[to])
    if target.is_dir() or (target.exists() and (not force or target.samefile(study))):
        raise ConfigError(f"{target} is there already: name another --output, or replace a file with --force")
    with Store.open_to_read(study) as store:
        table = read_trial_table(store)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _WRITERS[to](table, study.stem, draft)
        draft.replace(target)
    except OSError as error:
        raise InfrastructureError(f"file {target} cannot be written: {error.strerror or error}") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise StoreError(f"study {study} is damaged: {error}") from error
    finally:
        with suppress(OSError):
            draft.unlink()
    columns = {} if to == "optuna" else {"columns": len(table.columns)}
    return {"to": to, "file": str(target), "trials": len(table.rows), **columns}


def _csv_table(table: TrialTable, _: str, path: Path) -> None:
    """RFC 4180 but for its line ends, as spreadsheets and pandas read it: what is not known is empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows([_text(cell) for cell in row.values()] for row in table.rows)


def _text(cell: Cell) -> Cell:
    return str(cell).lower() if isinstance(cell, bool) else cell


def _parquet_table(table: TrialTable, _: str, path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    kinds = {int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string(), bool: pyarrow.bool_()}
    schema = pyarrow.schema([(column, kinds[kind_of(column)]) for column in table.columns])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(table.rows), schema=schema), path)


_WRITERS: dict[str, Callable[[TrialTable, str, Path], None]] = {
    "csv": _csv_table,
    "parquet": _parquet_table,
    "optuna": optuna_study,
}
