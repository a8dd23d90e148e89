"""What a board was seen to take for random networks: the data that tables and learned models are made of.

It is a file of plain JSON without code in it, and untrusted when it is read: models are fitted anew from what is
checked here.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tinynas import paths
from tinynas.cost import Validity
from tinynas.errors import ConfigError
from tinynas.estimate.loops import FREE, Work

_MOST_BYTES = 256 << 20
_MOST_NETWORKS = 20_000

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-]{1,200}$")]
_Count = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
_Cycles = Annotated[int, Field(ge=0, le=10**13)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ObservedLayer(_Record):
    """One layer's work, as in `loops.Work`, and what it took: cycles with memory that never makes the CPU wait, and
    wait_cycles for the board's; None where nothing counts.
    """

    kind: _Name
    family: _Name
    counts: Annotated[dict[_Name, _Count], Field(max_length=40)]
    cycles: _Cycles | None
    wait_cycles: _Cycles | None

    @property
    def taken(self) -> int | None:
        """Cycles in all."""
        return None if self.cycles is None or self.wait_cycles is None else self.cycles + self.wait_cycles

    @property
    def work(self) -> Work:
        return Work(kind=self.kind, family=self.family, counts=self.counts)


class ObservedNetwork(_Record):
    """One network of the space, untrained, on the board.

    latency_us: as the board measured it; cycles: the same in cycles of its clock; outside_cycles: of those, what is no
    layer's; code_bytes, constants_bytes, arena_bytes, static_bytes, stack_bytes: the network's, beyond the empty
    firmware's. held_out: it is for reporting errors, and nothing is fitted to it.
    """

    genome: Annotated[str, Field(max_length=1000)]
    input_shape: Annotated[tuple[Annotated[int, Field(gt=0, le=1 << 20)], ...], Field(min_length=1, max_length=4)]
    classes: Annotated[int, Field(gt=0, le=1 << 16)]
    layers: Annotated[tuple[ObservedLayer, ...], Field(min_length=1, max_length=2000)]
    cycles: Annotated[int, Field(gt=0, le=10**13)]
    outside_cycles: _Cycles | None
    latency_us: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
    code_bytes: Annotated[int, Field(ge=0, le=1 << 40)]
    constants_bytes: Annotated[int, Field(ge=0, le=1 << 40)]
    arena_bytes: Annotated[int, Field(ge=0, le=1 << 40)]
    static_bytes: Annotated[int, Field(ge=-(1 << 40), le=1 << 40)]
    stack_bytes: Annotated[int, Field(ge=0, le=1 << 40)]
    held_out: bool

    @property
    def works(self) -> tuple[Work, ...]:
        """Of the layers that take time."""
        return tuple(layer.work for layer in self.layers if layer.kind != FREE)


class _Validity(_Record):
    board: str
    clock_hz: Annotated[int, Field(gt=0)]
    toolchain: str
    flags: str
    firmware: str


class Calibration(_Record):
    """Networks that a board ran, and what its figures are valid for.

    source: "measured" on a physical board, whose layers nothing counts, or "emulated". seed, spaces: of the draw.
    """

    format: Literal[1] = 1
    tinynas: Annotated[str, Field(max_length=100)]
    validity: _Validity
    source: Literal["measured", "emulated"]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    spaces: Annotated[tuple[Annotated[str, Field(max_length=100)], ...], Field(min_length=1, max_length=100)]
    networks: Annotated[tuple[ObservedNetwork, ...], Field(max_length=_MOST_NETWORKS)]

    @model_validator(mode="after")
    def _families_count_alike(self) -> "Calibration":
        names: dict[str, tuple[str, ...]] = {}
        for network in self.networks:
            for layer in network.layers:
                if names.setdefault(layer.family, tuple(layer.counts)) != tuple(layer.counts):
                    raise ValueError(f"layers of family {layer.family!r} count different loops")
        return self

    @property
    def fitted(self) -> tuple[ObservedNetwork, ...]:
        """What models are fitted to."""
        return tuple(network for network in self.networks if not network.held_out)

    @property
    def held_out(self) -> tuple[ObservedNetwork, ...]:
        """What errors are reported on."""
        return tuple(network for network in self.networks if network.held_out)


def validity_record(validity: Validity) -> _Validity:
    """The record of `validity` that a calibration holds."""
    return _Validity(**asdict(validity))


def calibration_path(board: str, optimize: str) -> Path:
    """Where the calibration of a board lies."""
    return paths.home() / "calibrations" / f"{board}{'' if optimize == 'speed' else f'-{optimize}'}.json"


def read_calibration(path: Path) -> Calibration:
    """A calibration, checked.

    Raises:
        ConfigError: the file is missing, too large, no JSON, or holds anything else than a calibration.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise ConfigError(f"calibration {path} has {size:,} B, at most {_MOST_BYTES:,} are read: make it anew")
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"calibration {path} cannot be read: {error.strerror}") from error
    try:
        return Calibration.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"calibration {path} is damaged or of another version ({where or 'file'}: {first['msg']}): "
            "remove it and run tinynas calibrate again"
        ) from error


def require_valid(calibration: Calibration, validity: Validity, path: Path) -> None:
    """Refuse a calibration of another board, clock, toolchain, or of other flags or firmware.

    Raises:
        ConfigError: they differ; the message names the first difference.
    """
    now = asdict(validity)
    for name, then in calibration.validity.model_dump().items():
        if then == now[name]:
            continue
        if name == "clock_hz":
            remedy = 'leave out [board] clock, or use latency = "analytic"'
        else:
            remedy = f"run tinynas calibrate --board {validity.board} again"
        raise ConfigError(
            f"calibration {path} holds for {name} {str(then)[:80]}, here it is {str(now[name])[:80]}: {remedy}"
        )
