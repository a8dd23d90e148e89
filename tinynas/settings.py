"""TOML files as frozen records: an unknown key or a value out of range is an error that names its line."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from tinynas.boards import nearest
from tinynas.errors import ConfigError

S = TypeVar("S", bound="Section")

_SCALES: dict[str, dict[str, float]] = {
    "bytes": {"": 1, "B": 1, "KB": 1024, "KIB": 1024, "MB": 1024**2, "MIB": 1024**2},
    "us": {"": 1, "US": 1, "MS": 1e3, "S": 1e6},
    "uj": {"": 1, "UJ": 1, "MJ": 1e3, "J": 1e6},
    "hz": {"": 1, "HZ": 1, "KHZ": 1e3, "MHZ": 1e6},
    "s": {"": 1, "S": 1, "M": 60, "MIN": 60, "H": 3600, "D": 86400},
}


def quantity(value: object, dimension: str) -> object:
    """`"32 KB"` -> 32768 for dimension "bytes"; likewise "us", "uj", "hz" and "s". Numbers pass unchanged.

    Raises:
        ValueError: the text is no number with a unit of that dimension.
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ]*)\s*", value)
    scales = _SCALES[dimension]
    unit = match[2].replace("µ", "u").upper() if match else ""
    if match is None or unit not in scales:
        units = ", ".join(unit for unit in scales if unit)
        raise ValueError(f"{value!r} is no quantity: write a number and one of {units}")
    return float(match[1]) * scales[unit]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def read_text(path: Path) -> str:
    """The text of a file of settings. Raises ConfigError: it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {path} cannot be read: {error}") from error


def parse(text: str, path: Path | None) -> dict[str, Any]:
    """The tables of a TOML text; `path` is for messages. Raises ConfigError: it is no TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"config {path} is no TOML: {error}") from error


def checked(model: type[S], settings: dict[str, Any], path: Path | None, text: str) -> S:
    """The record that `settings` are, which were read from `text` at `path`.

    Raises:
        ConfigError: a key is unknown or a value is out of range; the message names the line.
    """
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(_explain(error, model, path, text)) from error


def _explain(error: ValidationError, model: type[Section], path: Path | None, text: str) -> str:
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    line = _line_of(text, where)
    place = f"config {path}, line {line}" if line else "settings"
    if first["type"] == "extra_forbidden":
        return f"{place}: {'.'.join(where)} is not known: {nearest(where[-1], _known(model, where[:-1]))}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {'.'.join(where)} = {first['input']!r}: {message}"


def _known(model: type[Section], where: Sequence[str]) -> list[str]:
    """The keys of the section that `where` leads to; in a table of sections, any name does."""
    annotation: Any = model
    for name in where:
        is_table = get_origin(annotation) is dict
        annotation = get_args(annotation)[1] if is_table else annotation.model_fields[name].annotation
    return list(annotation.model_fields)


def _line_of(text: str, where: Sequence[str]) -> int | None:
    """The line of a section or key: tomllib gives no positions, and the file is known to be valid TOML here."""
    section: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([^\]]+?)\s*\]", line):
            section = _parts(header[1])
            if list(where) == section:
                return number
        elif key := re.match(r"\s*([\"\'A-Za-z0-9_.-]+)\s*=", line):
            full = [*section, *_parts(key[1])]
            if full == list(where[: len(full)]):
                return number
    return None


def _parts(dotted: str) -> list[str]:
    return [part.strip(" \"'") for part in dotted.split(".")]
