"""What the compiler hands on: sources, and what they need."""

from collections.abc import Mapping
from dataclasses import dataclass

from tinynas.compiler.target import Optimize


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """One of the network's inputs or outputs: real = scale * (value - zero_point).

    dtype: int8, uint8, int16 or float32, whose scale is 1 and whose zero point is 0; bytes: of all values.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class LayerInfo:
    """One operator.

    macs: multiply-accumulates per inference; constants_bytes: in flash; output_bytes: in the arena; comment: its input
    and output shapes and what matters beyond them.
    """

    index: int
    op: str
    name: str
    output_shape: tuple[int, ...]
    macs: int
    constants_bytes: int
    output_bytes: int
    comment: str


@dataclass(frozen=True, kw_only=True)
class CallInfo:
    """One call of a kernel: what decides how long it takes, whatever the weights are.

    parameters: the fields of its record, sizes among them; variants: the literals among its arguments, in order.
    """

    kernel: str
    parameters: Mapping[str, int]
    variants: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ArenaBlock:
    """A piece of the arena: `bytes` at `offset`, needed from layer `first` to layer `last` inclusive.

    first, last: positions in Program.layers; -1 is before all of them, when the input is written, and their number is
    after them, when the output is read. tensors: names of those that lie there one after the other, an in-place
    operator's output over its input; none in a layer's scratch memory.
    """

    offset: int
    bytes: int
    first: int
    last: int
    tensors: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PatchInfo:
    """The first `layers` layers run in turn, once for each of `patches`, on `rows` rows of the last one's output.

    recomputed_macs: multiply-accumulates per inference that some patch did before; moved_bytes: of rows per inference
    that stay for the next patch and make room; arena_bytes_without: the arena of the network without patches.
    """

    layers: int
    patches: int
    rows: int
    recomputed_macs: int
    moved_bytes: int
    arena_bytes_without: int


@dataclass(frozen=True, kw_only=True)
class Program:
    """A compiled network.

    name: prefix of its files and symbols; files: content by name, sources and constants; sha256: of the model's bytes,
    hexadecimal; arena_bytes: RAM for activations, inputs and outputs included; arena_lower_bound_bytes: below which no
    plan for these steps can go; arena: what lies where and when, by offset; constants_bytes: weights and tables in
    flash; inputs, outputs: at least one each, in the model's order; layers: one per operator, in order; kernels: the
    headers of firmware/lib that the sources include, those they include themselves not among them; channels_left_out:
    over all activations, those that are constant or that nothing reads; patched: what runs in patches, None where
    nothing does; optimize: what the code was written for; fast_bytes: of the constants, what is copied to fast memory
    at the start; calls: of each layer.
    """

    files: dict[str, bytes]
    sha256: str
    arena_bytes: int
    arena_lower_bound_bytes: int
    arena: tuple[ArenaBlock, ...]
    constants_bytes: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    layers: tuple[LayerInfo, ...]
    kernels: tuple[str, ...]
    calls: tuple[tuple[CallInfo, ...], ...] = ()
    channels_left_out: int = 0
    patched: PatchInfo | None = None
    optimize: Optimize = "speed"
    fast_bytes: int = 0
    name: str = "network"

    @property
    def turns(self) -> tuple[int, ...]:
        """The positions in `layers` in the order in which they run: those in patches again and again."""
        if self.patched is None:
            return tuple(range(len(self.layers)))
        first = tuple(range(self.patched.layers))
        return first * self.patched.patches + tuple(range(len(first), len(self.layers)))

    @property
    def inputs_bytes(self) -> int:
        """All inputs, one after the other."""
        return sum(tensor.bytes for tensor in self.inputs)

    @property
    def outputs_bytes(self) -> int:
        """All outputs, one after the other."""
        return sum(tensor.bytes for tensor in self.outputs)
