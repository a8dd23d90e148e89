"""A study's settings: TOML and flags -> frozen sections. A stage gets its own section, never the whole."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tinynas.boards import nearest
from tinynas.errors import ConfigError

Figure = Literal["error", "latency_us", "sram_bytes", "flash_bytes", "energy_uj"]

_SCALES: dict[str, dict[str, float]] = {
    "bytes": {"": 1, "B": 1, "KB": 1024, "KIB": 1024, "MB": 1024**2, "MIB": 1024**2},
    "us": {"": 1, "US": 1, "MS": 1e3, "S": 1e6},
    "uj": {"": 1, "UJ": 1, "MJ": 1e3, "J": 1e6},
    "s": {"": 1, "S": 1, "M": 60, "MIN": 60, "H": 3600, "D": 86400},
}


def quantity(value: object, dimension: str) -> object:
    """`"32 KB"` -> 32768 for dimension "bytes"; likewise "us", "uj" and "s". Numbers pass unchanged.

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


Bytes = Annotated[float, BeforeValidator(lambda value: quantity(value, "bytes")), Field(gt=0)]
Microseconds = Annotated[float, BeforeValidator(lambda value: quantity(value, "us")), Field(gt=0)]
Microjoules = Annotated[float, BeforeValidator(lambda value: quantity(value, "uj")), Field(gt=0)]
Seconds = Annotated[float, BeforeValidator(lambda value: quantity(value, "s")), Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=0.9)]
Count = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskSection(Section):
    """The data: a builtin task by `name`, or the user's own at `path`, read as `kind` says.

    `group_regex` (images, audio) and `subject_column` (series) name what must not straddle two splits.
    """

    name: str = "fashion_mnist"
    kind: Literal["builtin", "npz", "images", "audio", "series"] = "builtin"
    path: Path | None = None
    val_fraction: Fraction = 0.15
    test_fraction: Fraction = 0.15
    image_size: Count | None = None
    grayscale: bool = False
    group_regex: str | None = None
    sample_rate_hz: Count = 16000
    clip_ms: Count = 1000
    mel_bands: Count = 40
    frame_ms: Count = 32
    hop_ms: Count = 20
    window: Count = 128
    stride: Count = 64
    subject_column: str | None = None
    label_column: str = "label"
    value_columns: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _path_goes_with_kind(self) -> Self:
        if (self.kind == "builtin") != (self.path is None):
            raise ValueError(f"kind {self.kind!r} {'takes no path' if self.path else 'needs a path'}")
        return self


class SpaceSection(Section):
    """The search space: a builtin one by `name`, or `file`, a Python file that defines SPACE."""

    name: str = "image"
    file: Path | None = None


class BoardSection(Section):
    """The board to measure on; `port` for one on a USB port; `count` emulated boards work in parallel."""

    name: str = "netduinoplus2"
    port: str | None = None
    count: Annotated[int, Field(ge=1, le=64)] = 1
    repeats: Annotated[int, Field(ge=1, le=1000)] = 3
    samples: Annotated[int, Field(ge=1, le=1000)] = 16


class LimitsSection(Section):
    """What the network may need at most; None means no limit. The board's own memories always apply."""

    latency: Microseconds | None = None
    sram: Bytes | None = None
    flash: Bytes | None = None
    energy: Microjoules | None = None

    def bounds(self) -> dict[str, float]:
        """Figure name -> bound, for the limits that are set."""
        named = {
            "latency_us": self.latency,
            "sram_bytes": self.sram,
            "flash_bytes": self.flash,
            "energy_uj": self.energy,
        }
        return {name: bound for name, bound in named.items() if bound is not None}


class SearchSection(Section):
    """How to search: `budget` evaluations or `time` seconds, whichever comes first."""

    strategy: str = "nsga2"
    objectives: Annotated[tuple[Figure, ...], Field(min_length=1)] = ("error", "latency_us")
    budget: Count = 64
    time: Seconds | None = None
    population: Annotated[int, Field(ge=2)] = 12
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    workers: Count = 2

    @model_validator(mode="after")
    def _objectives_are_distinct(self) -> Self:
        if len(set(self.objectives)) != len(self.objectives):
            raise ValueError("objectives are named twice")
        return self


class TrainSection(Section):
    """How a candidate is trained; `samples` and `val_samples` None take all."""

    epochs: Count = 8
    samples: Count | None = 12000
    val_samples: Count | None = 3000
    batch_size: Count = 64
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-2
    patience: Count = 3
    timeout: Seconds = 1800.0
    memory: Bytes = 8 * 1024**3


class FinalSection(Section):
    """How the front's best are finished: `count` of them, `qat_points` is what PTQ may lose before QAT is tried."""

    count: Annotated[int, Field(ge=1)] = 3
    epochs: Count = 30
    patience: Count = 15
    qat_epochs: Count = 3
    qat_points: Annotated[float, Field(ge=0)] = 0.5


class Config(Section):
    """All of a study's settings."""

    task: TaskSection = TaskSection()
    space: SpaceSection = SpaceSection()
    board: BoardSection = BoardSection()
    limits: LimitsSection = LimitsSection()
    search: SearchSection = SearchSection()
    train: TrainSection = TrainSection()
    final: FinalSection = FinalSection()


def load_config(path: Path | None, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """Read a TOML file (None: the defaults) and lay the flags' `overrides` (section -> key -> value) over it.

    Relative paths in the file are relative to the file.

    Raises:
        ConfigError: the file cannot be read or is no TOML.
        ConfigError: a key is unknown or a value is out of range; the message names the line.
    """
    text = ""
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"config {path} cannot be read: {error}") from error
    try:
        settings: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"config {path} is no TOML: {error}") from error
    if path is not None:
        _anchor_paths(settings, path.parent)
    for section, values in (overrides or {}).items():
        if values and isinstance(settings.setdefault(section, {}), dict):
            settings[section] = {**settings[section], **values}
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(_explain(error, path, text)) from error


def with_search(config: Config, changes: Mapping[str, Any]) -> Config:
    """The same settings with other values in [search], checked as in a file. Raises ConfigError as `load_config`."""
    return load_config(None, {**config.model_dump(), "search": {**config.search.model_dump(), **changes}})


def _anchor_paths(settings: dict[str, Any], folder: Path) -> None:
    for section, key in (("task", "path"), ("space", "file")):
        values = settings.get(section)
        if isinstance(values, dict) and isinstance(values.get(key), str):
            values[key] = str(folder / values[key])


def _explain(error: ValidationError, path: Path | None, text: str) -> str:
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    line = _line_of(text, where)
    place = f"config {path}, line {line}" if line else "settings"
    if first["type"] == "extra_forbidden":
        known = list(_fields(where[:-1]))
        return f"{place}: {'.'.join(where)} is not known: {nearest(where[-1], known)}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {'.'.join(where)} = {first['input']!r}: {message}"


def _fields(section: list[str]) -> Mapping[str, Any]:
    fields = Config.model_fields
    for name in section:
        annotation = fields[name].annotation
        fields = annotation.model_fields if isinstance(annotation, type) and issubclass(annotation, Section) else {}
    return fields


def _line_of(text: str, where: list[str]) -> int | None:
    """The line of `section.key`: tomllib gives no positions, and the file is known to be valid TOML here."""
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([^\]]+?)\s*\]", line):
            section = header[1].strip("\"'")
            if where == [section]:
                return number
        elif (key := re.match(r"\s*[\"']?([A-Za-z0-9_.-]+)[\"']?\s*=", line)) and (
            ([section, key[1]] if section else key[1].split(".")) == where[:2]
        ):
            return number
    return None
