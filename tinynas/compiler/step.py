"""What one operator becomes: calls of kernels, with their constants and their claims on the arena."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tinynas.compiler.graph import Operator, Tensor

# Constants start at multiples of this [B], so that kernels may read words.
CONSTANT_ALIGNMENT = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Constant:
    """A table in flash, named after its step. values: shape (count,), int8 or int32; fast: copied to fast memory."""

    name: str
    values: npt.NDArray[np.int8] | npt.NDArray[np.int32]
    fast: bool = False

    @property
    def padded_bytes(self) -> int:
        """What it takes, so that the next one starts at a word's address as well."""
        return -(-self.values.nbytes // CONSTANT_ALIGNMENT) * CONSTANT_ALIGNMENT


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """Arena memory for the duration of one step [B]."""

    size: int


Argument = Tensor | Constant | Scratch | int


@dataclass(frozen=True, kw_only=True)
class Call:
    """`kernel(&parameters, arguments...)`. `parameters` are the fields of `struct <record>` in `<record>.h`, `reals`
    those that are float32 values.

    An argument is an activation in the arena, a constant, scratch memory, or a literal that selects a variant.
    """

    kernel: str
    record: str
    parameters: dict[str, int]
    arguments: tuple[Argument, ...]
    reals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Trail:
    """An input that its step's output may trail behind: wherever the output starts, `lag` bytes on, it is only written
    once the input was read up to there. They may overlap if offset(output) + lag <= offset(input); lag may be negative.
    """

    tensor: Tensor
    lag: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a step does in one patch.

    rows: of its output that are new; without any there is no call. parameters: of the call; starts: where each of its
    activations begins, by index [B from the start of the activation's memory, and from its stage's advance]; kept_from,
    kept_bytes: what is moved to the start of the output's memory before the call.
    """

    rows: int
    parameters: dict[str, int]
    starts: dict[int, int]
    kept_from: int
    kept_bytes: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The first `depth` steps, which run in turn, once for each of `patches`.

    Each turn adds `rows` rows to the last step's output. source, output: the indices of the activations that go in and
    come out, which lie in memory as a whole; advances: of these two, from one patch to the next [B]; bytes: of those in
    between, by index, what lies in memory at a time; kept: those with rows that stay from one patch to the next.
    """

    depth: int
    patches: int
    rows: int
    source: int
    output: int
    advances: dict[int, int]
    bytes: dict[int, int]
    kept: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operator, lowered. A step without calls is free: its output is its input under another shape.

    overwrites: inputs whose memory the output may take over, from the same address on; trails: inputs that it may
    trail behind; macs: multiply-accumulates of one inference; detail: what a reader wants to know beyond the shapes;
    parts: of a step in a stage, which has one call, by patch.
    """

    operator: Operator
    calls: tuple[Call, ...]
    macs: int = 0
    detail: str = ""
    overwrites: tuple[Tensor, ...] = field(default=())
    trails: tuple[Trail, ...] = field(default=())
    parts: tuple[Part, ...] = ()

    @property
    def constants(self) -> tuple[Constant, ...]:
        return tuple(argument for call in self.calls for argument in call.arguments if isinstance(argument, Constant))

    @property
    def constants_bytes(self) -> int:
        return sum(constant.values.nbytes for constant in self.constants)

    @property
    def scratch_bytes(self) -> int:
        return max(
            (item.size for call in self.calls for item in call.arguments if isinstance(item, Scratch)), default=0
        )
