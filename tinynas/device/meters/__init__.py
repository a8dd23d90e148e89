"""Instruments on a board's supply, chosen by kind in a table [meter] of a TOML file."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from tinynas.boards import Board, nearest
from tinynas.device.meters.contract import Meter
from tinynas.device.meters.csv_log import CsvConfig, CsvMeter
from tinynas.device.meters.ina import InaConfig, InaMeter
from tinynas.device.meters.ina2xx import Ina2xx
from tinynas.device.meters.ina228 import Ina228
from tinynas.device.meters.joulescope import JoulescopeConfig, JoulescopeMeter
from tinynas.device.meters.ppk2 import Ppk2Config, Ppk2Meter
from tinynas.errors import ConfigError
from tinynas.settings import Section, parse, read_text


class NoMeter(Section):
    """No instrument: energy is estimated from the manifest's power."""

    kind: Literal["none"]


class EmulatedConfig(Section):
    """The emulator's counts at the manifest's figures."""

    kind: Literal["emulated"]


MeterConfig = NoMeter | EmulatedConfig | CsvConfig | Ppk2Config | JoulescopeConfig | InaConfig
_ADAPTER: TypeAdapter[MeterConfig] = TypeAdapter(Annotated[MeterConfig, Field(discriminator="kind")])
KINDS = ("none", "emulated", "csv", "ppk2", "joulescope", "ina228", "ina226", "ina219")


def meter_config(settings: dict[str, Any], where: str) -> MeterConfig:
    """A table [meter], read from `where`, checked.

    Raises:
        ConfigError: the kind or a key is unknown, a key is missing, or a value is out of range.
    """
    kind = settings.get("kind")
    if kind not in KINDS:
        raise ConfigError(f"{where}: kind = {kind!r} is no kind of meter: {nearest(str(kind), KINDS)}")
    try:
        return _ADAPTER.validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][1:]) or "kind"
        raise ConfigError(f"{where}, {key}: {first['msg'].removeprefix('Value error, ')}") from error


def read_meter(text: str) -> MeterConfig:
    """What `--meter` takes: a kind that needs no settings, or a TOML file with a table [meter].

    Raises:
        ConfigError: the kind is unknown or needs settings, the file cannot be read, or it holds no valid meter.
    """
    if not text.endswith(".toml"):
        return meter_config({"kind": text}, f"meter {text!r} (a TOML file with a [meter] may say more)")
    path = Path(text)
    table = parse(read_text(path), path).get("meter")
    if not isinstance(table, dict):
        raise ConfigError(f"meter file {path} has no table [meter]")
    if isinstance(table.get("path"), str):
        table = {**table, "path": path.parent / table["path"]}
    return meter_config(table, f"meter file {path}")


def open_meter(config: MeterConfig, board: Board) -> Meter | None:
    """The instrument that `config` describes, on the supply of `board`; entering it connects. None: there is none.

    Raises:
        ConfigError: it does not go with the board, or the library that it needs is not installed.
    """
    match config:
        case NoMeter():
            return None
        case EmulatedConfig():
            from tinynas.device.meters.emulated import EmulatedMeter

            return EmulatedMeter(board)
        case CsvConfig():
            return CsvMeter(config)
        case Ppk2Config():
            return Ppk2Meter(config)
        case JoulescopeConfig():
            return JoulescopeMeter(config)
        case InaConfig():
            return InaMeter(config, Ina228(config) if config.kind == "ina228" else Ina2xx(config))
