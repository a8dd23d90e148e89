"""What a network costs on its boards: latency, SRAM, flash, energy, each with its source."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

Source = Literal["measured", "emulated", "estimated"]


@dataclass(frozen=True, kw_only=True)
class Sram:
    """The network's SRAM [B], beyond the empty firmware's. `stack` is the painted high water of one inference."""

    static: int
    arena: int
    stack: int | None

    @property
    def total(self) -> int:
        return self.static + self.arena + (self.stack or 0)


@dataclass(frozen=True, kw_only=True)
class Flash:
    """The network's flash [B], beyond the empty firmware's: `constants` are weights, biases and tables.

    `image` is the whole image, firmware included.
    """

    code: int | None
    constants: int
    image: int | None = None

    @property
    def total(self) -> int:
        return self.constants + (self.code or 0)


@dataclass(frozen=True, kw_only=True)
class Validity:
    """What a cost is valid for. Costs whose validity differs are never compared."""

    board: str
    clock_hz: int
    toolchain: str
    flags: str
    firmware: str


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One network on one board. None means not known, never 0 or -1.

    latency_us: median over `repeats` inferences [us]; latency_iqr_us: their interquartile range [us];
    latency_outliers: how many lie far outside it, and are in both. latency_low_us, latency_high_us: of an estimate, the
    bounds between which 95 % of networks were measured [us].
    instructions: executed instructions per inference, where an emulator counts them; cycles: what they take by the
    CPU's manual with memory that never makes it wait; wait_cycles: what the board's flash adds, so that latency_us is
    the sum of both over the clock.
    energy_uj: energy per inference [uJ]; energy_basis cites the figure it is computed from, or says which instrument
    saw how many inferences. Only an instrument gives energy_iqr_uj, the interquartile range over its runs [uJ],
    idle_mw, what the board draws at rest [mW] and energy_uj includes, and supply_v, the voltage that it saw [V].
    """

    latency_us: float | None = None
    latency_source: Source | None = None
    latency_iqr_us: float | None = None
    latency_outliers: int | None = None
    latency_low_us: float | None = None
    latency_high_us: float | None = None
    repeats: int = 0
    instructions: int | None = None
    cycles: int | None = None
    wait_cycles: int | None = None
    sram: Sram | None = None
    sram_source: Source | None = None
    flash: Flash | None = None
    flash_source: Source | None = None
    energy_uj: float | None = None
    energy_source: Source | None = None
    energy_basis: str | None = None
    energy_iqr_uj: float | None = None
    idle_mw: float | None = None
    supply_v: float | None = None
    validity: Validity | None = None

    def figure(self, name: str) -> float | None:
        """The figure that an objective or a limit is about: latency_us, sram_bytes, flash_bytes or energy_uj."""
        match name:
            case "latency_us":
                return self.latency_us
            case "energy_uj":
                return self.energy_uj
            case "sram_bytes":
                return None if self.sram is None else self.sram.total
            case "flash_bytes":
                return None if self.flash is None else self.flash.total
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """The object that `tinynas measure --json` prints and the store keeps."""
        record = asdict(self)
        sram, flash = record.pop("sram"), record.pop("flash")
        record["sram_bytes"] = None if self.sram is None else {**sram, "total": self.sram.total}
        record["flash_bytes"] = None if self.flash is None else {**flash, "total": self.flash.total}
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Cost":
        """The inverse of `to_json`."""
        fields = dict(record)
        sram, flash, validity = fields.pop("sram_bytes"), fields.pop("flash_bytes"), fields.pop("validity")
        if sram is not None:
            sram = Sram(**{key: sram[key] for key in ("static", "arena", "stack")})
        if flash is not None:
            flash = Flash(**{key: flash[key] for key in ("code", "constants", "image")})
        return cls(**fields, sram=sram, flash=flash, validity=None if validity is None else Validity(**validity))


class Figures(Protocol):
    """What objectives and limits are read from."""

    def figure(self, name: str) -> float | None:
        """The figure of that name; None where it is not known."""
        ...


@dataclass(frozen=True, kw_only=True)
class Costs:
    """One network on each board of a study: the main one, and `also` the further ones by name. Every cost keeps its own
    validity: they are never mixed, only the worst is looked for.
    """

    main: Cost
    also: Mapping[str, Cost] = field(default_factory=dict)

    def on(self, board: str) -> Cost:
        """The cost on a board of the study; what is none of the further boards is the main one."""
        return self.also.get(board, self.main)

    def by_board(self, main: str) -> dict[str, Cost]:
        """Board -> cost, the main board first, whose name is `main`."""
        return {main: self.main, **self.also}

    def deciding(self, name: str) -> Cost:
        """The cost that a figure is taken from: latency_us@BOARD from that board's, latency_us from that of the board
        on which it is worst, and one that is not known is worse than any.
        """
        figure, _, board = name.partition("@")
        if board:
            return self.on(board)
        known = [(cost, cost.figure(figure)) for cost in (self.main, *self.also.values())]
        return max(known, key=lambda each: math.inf if each[1] is None else each[1])[0]

    def figure(self, name: str) -> float | None:
        """The worst over the boards; with @BOARD behind its name the figure on that board."""
        return self.deciding(name).figure(name.partition("@")[0])


def comparable(first: Cost, second: Cost) -> bool:
    """Whether two costs may be compared: same board, clock, toolchain, flags and firmware."""
    return first.validity == second.validity
