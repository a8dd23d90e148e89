"""bench.toml: the boards of a lab, each by what cannot be mistaken for another."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from tinynas.boards import load_board
from tinynas.config import Seconds
from tinynas.device.identity import Identity
from tinynas.device.meters import MeterConfig
from tinynas.errors import ConfigError
from tinynas.settings import Section, checked, parse, read_text

SPREAD_LIMIT = 0.05
CHECK_EVERY = 25
# Names that the system hands out in the order of plugging in.
_HANDED_OUT = re.compile(r"/dev/(ttyACM|ttyUSB|cu\.usb|tty\.usb)")
_LINK = re.compile(r"emulator|/dev/\S+|COM\d+|(socket|rfc2217)://[^\s/:]+:\d+\S*")
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]


class LimitsSection(Section):
    """What the bench may take: `upload` for one attempt to flash, of which there are `attempts`; `command` for a reset
    or power-cycle command; `spread` is the interquartile range over the median of one input's latencies above which
    they are measured again; after `check_every` candidates a board must show that it has not drifted.
    """

    upload: Seconds = 60.0
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    command: Seconds = 30.0
    spread: Annotated[float, Field(gt=0, le=1)] = SPREAD_LIMIT
    check_every: Annotated[int, Field(ge=1)] = CHECK_EVERY


class BoardEntry(Section):
    """One physical board: its kind (a manifest's name), and one of `usb` (serial number), `path` (USB path, for a board
    without one) or `link` (`emulator`, `socket://host:port`, `rfc2217://host:port`, `/dev/...`, `COM3`).

    interface: which of several ports of a USB device; reset, power_cycle: commands, in which {port} stands for the
    port's present name; meter: the instrument on the board's supply, as in docs/meters.md.
    """

    board: str
    usb: Annotated[str, Field(min_length=1)] | None = None
    path: Annotated[str, Field(min_length=1)] | None = None
    interface: Annotated[int, Field(ge=0, le=255)] | None = None
    link: str | None = None
    reset: Annotated[str, Field(min_length=1)] | None = None
    power_cycle: Annotated[str, Field(min_length=1)] | None = None
    meter: MeterConfig | None = Field(default=None, discriminator="kind")

    @model_validator(mode="after")
    def _one_way_to_the_board(self) -> Self:
        ways = [name for name in ("usb", "path", "link") if getattr(self, name) is not None]
        if len(ways) != 1:
            raise ValueError(f"needs one of usb, path and link, and has {' and '.join(ways) or 'none'}")
        if self.link is None:
            return self
        if self.interface is not None:
            raise ValueError("interface goes with usb or path")
        if not _LINK.fullmatch(self.link):
            raise ValueError(
                f"link {self.link!r} is none of emulator, socket://host:port, rfc2217://host:port, /dev/... and COM1"
            )
        if _HANDED_OUT.match(self.link):
            raise ValueError(
                f"{self.link} is another board's name after the next plugging in: give usb or path; "
                "tinynas bench scan shows both"
            )
        return self

    @property
    def identity(self) -> Identity | None:
        """By what a USB port is found; None: `link` says where the board is."""
        if self.link is not None:
            return None
        return Identity(serial=self.usb, path=self.path, interface=self.interface)


class Inventory(Section):
    """All of a bench's settings: its limits, and its boards by name."""

    limits: LimitsSection = LimitsSection()
    boards: Annotated[dict[Name, BoardEntry], Field(min_length=1)]


def load_inventory(path: Path) -> Inventory:
    """Read a bench's file.

    Raises:
        ConfigError: the file cannot be read, is no TOML, has an unknown key or a value out of range.
        ConfigError: a board's kind is not known, or does not go with its link.
        ConfigError: two entries are one board, or share an instrument.
    """
    text = read_text(path)
    inventory = checked(Inventory, parse(text, path), path, text)
    owners: dict[tuple[object, ...], str] = {}
    for name, entry in inventory.boards.items():
        emulated = load_board(entry.board).emulated
        if emulated != (entry.link == "emulator"):
            fits = 'link = "emulator" and nothing else' if emulated else "usb, path or another link"
            raise ConfigError(f"config {path}: boards.{name}: {entry.board} takes {fits}")
        if emulated:
            continue
        key = (entry.usb, entry.path, entry.interface, entry.link)
        if key in owners:
            raise ConfigError(f"config {path}: boards.{owners[key]} and boards.{name} are one board: leave one out")
        owners[key] = name
    _require_own_instruments(inventory, path)
    return inventory


def _require_own_instruments(inventory: Inventory, path: Path) -> None:
    """Raises ConfigError: two boards share an instrument, which would see both at once."""
    owners: dict[tuple[str, str], str] = {}
    for name, entry in inventory.boards.items():
        if entry.meter is None:
            continue
        places = (getattr(entry.meter, key, None) for key in ("serial", "port", "path"))
        for place in (str(place) for place in places if place is not None):
            other = owners.setdefault((entry.meter.kind, place), name)
            if other != name:
                raise ConfigError(
                    f"config {path}: boards.{other} and boards.{name} share the {entry.meter.kind} {place}, "
                    "which would see both at once: give each an instrument of its own"
                )
