"""Hardware genes: how a network is put onto a board, as axes behind those of any space.

Networks that differ in them alone are trained alike. All but `activations` leave every output byte as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tinynas.boards import Board
from tinynas.errors import ConfigError
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Axis, Genome, Space, require_inside

ActivationBits = Literal[8, 16]
Gene = Literal["optimize", "patches", "fast_memory", "clock", "activations"]

_KIB = 1024
_MHZ = 1_000_000
_FAST_KIB = (4, 16, 64)
_ACTIVATION_BITS = (8, 16)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How a network is put onto its board: compiled for speed or size, its first layers in patches or not, so many of
    its constants [B] in memory that never makes the CPU wait; the CPU's clock [Hz], None for what [board] says; and the
    bits of its activations, its weights having 8 in any case.
    """

    optimize: Literal["speed", "size"] = "speed"
    patches: Literal["off", "auto"] = "off"
    fast_bytes: int = 0
    clock_hz: int | None = None
    activation_bits: ActivationBits = 8

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class HardwareSpace:
    """Any space with hardware genes behind its axes: `optimize` (0 speed, 1 size), `patches` (0 off, 1 auto),
    `fast_memory` [KiB], `clock` [MHz] and `activations` [bits].
    """

    def __init__(self, base: Space, genes: Sequence[Gene], board: Board) -> None:
        self.base = base
        self._genes = tuple(genes)
        self.name = "+".join((base.name, *genes))
        self.axes: tuple[Axis, ...] = (*base.axes, *(_axis(gene, board) for gene in genes))

    @property
    def clocks_hz(self) -> tuple[int, ...]:
        """What gene `clock` chooses among [Hz]; nothing without it."""
        genes = self.axes[len(self.base.axes) :]
        return tuple(choice * _MHZ for axis in genes if axis.name == "clock" for choice in axis.choices)

    def canonical(self, genome: Genome) -> Genome:
        require_inside(self, genome)
        network = self.base.canonical(self.network(genome))
        return Genome(self.name, (*network.values, *self.hardware_values(genome)))

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        require_inside(self, genome)
        return self.base.decode(self.network(genome), input_shape, classes)

    def network(self, genome: Genome) -> Genome:
        """The genome in the space without hardware genes."""
        return Genome(self.base.name, genome.values[: len(self.base.axes)])

    def deployment(self, genome: Genome, default: Deployment) -> Deployment:
        """What the genes say; where there is no gene, what `default` says."""
        return Deployment(**{**asdict(default), **self._named(genome)})

    def hardware_values(self, genome: Genome) -> tuple[int, ...]:
        """In the order of the genes."""
        return genome.values[len(self.base.axes) :]

    def _named(self, genome: Genome) -> Mapping[str, Any]:
        fields: dict[str, Any] = {}
        for gene, value in zip(self._genes, self.hardware_values(genome), strict=True):
            match gene:
                case "optimize":
                    fields["optimize"] = "size" if value else "speed"
                case "patches":
                    fields["patches"] = "auto" if value else "off"
                case "fast_memory":
                    fields["fast_bytes"] = value * _KIB
                case "clock":
                    fields["clock_hz"] = value * _MHZ
                case "activations":
                    fields["activation_bits"] = value
        return fields


def with_hardware(space: Space, genes: Sequence[Gene], board: Board) -> Space:
    """The space with `genes`, or itself without any.

    Raises:
        ConfigError: gene `fast_memory`, and the board has too little memory for it, or none that we place.
        ConfigError: gene `clock`, and the board's manifest has fewer than two clock steps.
    """
    return HardwareSpace(space, genes, board) if genes else space


def deployment_of(space: Space, genome: Genome, default: Deployment) -> Deployment:
    """How a genome of any space is deployed; `default` says what no gene does."""
    return space.deployment(genome, default) if isinstance(space, HardwareSpace) else default


def hardware_values(space: Space, genome: Genome) -> tuple[int, ...]:
    """The hardware genes' values; none in a space without them."""
    return space.hardware_values(genome) if isinstance(space, HardwareSpace) else ()


def network_of(space: Space, genome: Genome) -> Genome:
    """The genome without its hardware genes: what is trained, and from which training takes its seed."""
    return space.network(genome) if isinstance(space, HardwareSpace) else genome


def _axis(gene: Gene, board: Board) -> Axis:
    match gene:
        case "fast_memory":
            return _fast_axis(board)
        case "clock":
            return _clock_axis(board)
        case "activations":
            return Axis(name=gene, choices=_ACTIVATION_BITS)
    return Axis(name=gene, choices=(0, 1))


def _clock_axis(board: Board) -> Axis:
    if len(board.clock_steps) < 2:
        raise ConfigError(
            f"board {board.name} runs at {board.clock_hz:,} Hz alone, its manifest has no other clock_steps: "
            "leave gene clock out of [space] hardware"
        )
    return Axis(name="clock", choices=tuple(step.hz // _MHZ for step in board.clock_steps))


def _fast_axis(board: Board) -> Axis:
    if not board.own_memory_map:
        raise ConfigError(
            f"board {board.name} is linked by its Arduino core, which knows no fast memory for constants: "
            "leave gene fast_memory out of [space] hardware"
        )
    # A board without fast memory gives SRAM, half of it at most: the rest is for activations.
    has = board.fast_memory.bytes if board.fast_memory else board.sram_bytes // 2
    sizes = tuple(size for size in _FAST_KIB if size * _KIB <= has)
    if not sizes:
        raise ConfigError(
            f"board {board.name} has {has:,} B for constants beside its flash, the smallest choice of gene "
            f"fast_memory is {_FAST_KIB[0] * _KIB:,} B: leave it out of [space] hardware"
        )
    return Axis(name="fast_memory", choices=(0, *sizes))
