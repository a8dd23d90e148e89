"""`.tflite` bytes -> a checked graph. Everything that the later stages rely on is established here.

Field numbers are those of tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from tinynas.compiler.flatbuffer import Table, root
from tinynas.compiler.schema import OPERATOR_NAMES, TYPE_NAMES
from tinynas.errors import MalformedModelError, UnsupportedError

# Far beyond any microcontroller, and small enough that a hostile file costs neither time nor memory.
_LARGEST_FILE = 64 << 20
_MOST_TENSORS = 4096
_MOST_OPERATORS = 2048
_MOST_OPERANDS = 64
_MOST_DIMENSIONS = 6
_MOST_ELEMENTS = 1 << 26

# Their outputs are parts of their input.
_IN_PARTS = ("SPLIT", "SPLIT_V", "UNPACK")

# Of constants whose values the compiler looks at.
_NUMPY_TYPES = {"INT8": "<i1", "INT32": "<i4", "INT64": "<i8"}
# Of activations: each type's size [B] and values.
ITEM_BYTES = {"INT8": 1, "UINT8": 1, "INT16": 2, "FLOAT32": 4}
LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-(1 << 15), (1 << 15) - 1)}
_FULL_INTEGER = "convert with full-integer quantisation"


@dataclass(frozen=True, kw_only=True, eq=False)
class Tensor:
    """One tensor. `dtype` is TensorFlow Lite's name for the type, such as "INT8".

    shape: static, every dimension at least 1; scales float32 (count,) and zero_points (count,): one for the whole
    tensor, or one per index of dimension `axis`. data: a constant's values in `shape`, None for an activation.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    axis: int
    data: npt.NDArray[Any] | None

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """An activation's size."""
        return self.elements * ITEM_BYTES[self.dtype]

    @property
    def scale(self) -> float:
        """The one scale of an activation: a float32 value, held exactly."""
        return float(self.scales[0])

    @property
    def zero_point(self) -> int:
        return int(self.zero_points[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Operator:
    """One operator. inputs and outputs are tensors in the schema's order, None for an omitted optional input.

    remarks: what passes have done to it, for the reader of the generated code.

    One that only hands out parts of its input is read as several with one output each: `siblings` are all outputs, of
    which this is number `part`. pads: zero points around the image that a pass has folded into a convolution, before
    and after its height and its width, in addition to what its options say, or instead of it where `pads_only`.
    limits: to which a pass has it clamp its output, in addition to what its options say.
    """

    index: int
    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Table | None
    remarks: tuple[str, ...] = ()
    siblings: tuple[Tensor, ...] = ()
    part: int = 0
    pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    pads_only: bool = False
    limits: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        return f"operator {self.index} ({self.name})"

    @property
    def output(self) -> Tensor:
        return self.outputs[0]

    @property
    def activations(self) -> tuple[Tensor, ...]:
        """The inputs that are computed, not constant."""
        return tuple(tensor for tensor in self.inputs if tensor is not None and tensor.data is None)

    def refuse(self, what: str) -> NoReturn:
        """Raises UnsupportedError, naming this operator. `what` says what is met and what is supported."""
        raise UnsupportedError(f"{self.label}: {what}")

    def malformed(self, what: str) -> NoReturn:
        """Raises MalformedModelError, naming this operator."""
        raise MalformedModelError(f"{self.label}: {what}")

    def option(self, slot: int, layout: str, default: int = 0) -> int:
        """An integer of the operator's options table, see `Table.integer`."""
        return default if self.options is None else self.options.integer(slot, layout, default)

    def require_operands(self, least: int, most: int) -> None:
        """Checks that the first `least` inputs are present, that none follows the first `most`, and one output.

        Raises:
            MalformedModelError: too few or too many, or a required one is omitted.
        """
        if not least <= len(self.inputs) <= most or any(tensor is None for tensor in self.inputs[:least]):
            self.malformed(f"{len(self.inputs)} inputs, needs {least} to {most}")
        if len(self.outputs) != 1:
            self.malformed(f"{len(self.outputs)} outputs, needs 1")

    def activation(self, position: int = 0) -> Tensor:
        """The input at `position`, an activation.

        Raises:
            MalformedModelError: it is omitted.
            UnsupportedError: it is a constant.
        """
        tensor = self._input(position)
        if tensor.data is not None:
            self.refuse(f"input {position} is a constant; supported are activations")
        return tensor

    def constant(self, position: int, dtype: str) -> npt.NDArray[np.int64]:
        """The values of the constant input at `position` as int64, in the tensor's shape.

        Raises:
            MalformedModelError: it is omitted.
            UnsupportedError: it is no constant, or not of type `dtype`.
        """
        tensor = self._input(position)
        if tensor.data is None or tensor.dtype != dtype:
            kind = "computed" if tensor.data is None else "constant"
            self.refuse(f"input {position} is {kind} {tensor.dtype}; supported is constant {dtype}")
        return tensor.data.astype(np.int64)

    def _input(self, position: int) -> Tensor:
        tensor = self.inputs[position] if position < len(self.inputs) else None
        if tensor is None:
            self.malformed(f"input {position} is missing")
        return tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A network with at least one input and one output; operators in an order that finds their inputs done.

    channels_left_out: over all activations, by passes.
    """

    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    sha256: str
    channels_left_out: int = 0


def read_graph(tflite: bytes) -> Graph:
    """The graph of a `.tflite` file, checked but for the types of its activations.

    Raises:
        MalformedModelError: the bytes contradict themselves or the schema.
        UnsupportedError: a valid model that is not static, with one subgraph.
    """
    if len(tflite) > _LARGEST_FILE:
        raise UnsupportedError(f"the model has {len(tflite):,} B: at most {_LARGEST_FILE:,} are read")
    model = root(tflite, b"TFL3")
    subgraphs = model.tables(2, _MOST_OPERATORS)
    if not subgraphs:
        raise MalformedModelError("the model has no subgraph")
    if len(subgraphs) != 1:
        raise UnsupportedError(f"the model has {len(subgraphs)} subgraphs: supported is one")
    tensors = _read_tensors(subgraphs[0], model.tables(4, 2 * _MOST_TENSORS))
    graph = Graph(
        operators=_read_operators(subgraphs[0], model.tables(1, _MOST_OPERATORS), tensors),
        inputs=_ends(subgraphs[0].numbers(1, "<i4"), tensors, "input"),
        outputs=_ends(subgraphs[0].numbers(2, "<i4"), tensors, "output"),
        sha256=hashlib.sha256(tflite).hexdigest(),
    )
    _check_order(graph)
    return graph


def _read_tensors(subgraph: Table, buffers: list[Table]) -> list[Tensor]:
    return [_read_tensor(index, table, buffers) for index, table in enumerate(subgraph.tables(0, _MOST_TENSORS))]


def _read_tensor(index: int, table: Table, buffers: list[Table]) -> Tensor:
    name = table.text(3)
    where = f"tensor {index} ({name!r})"
    code = table.integer(1, "b")
    if not 0 <= code < len(TYPE_NAMES):
        raise MalformedModelError(f"{where}: unknown type {code}")
    shape = _read_shape(table, where)
    if table.integer(5, "B") or table.has(6):
        raise UnsupportedError(f"{where} is a variable or sparse: supported are dense activations and constants")
    scales, zero_points, axis = _read_quantization(table.table(4), shape, where)
    return Tensor(
        index=index,
        name=name,
        shape=shape,
        dtype=TYPE_NAMES[code],
        scales=scales,
        zero_points=zero_points,
        axis=axis,
        data=_read_data(table.integer(2, "I"), buffers, shape, TYPE_NAMES[code], where),
    )


def _read_shape(table: Table, where: str) -> tuple[int, ...]:
    """A batch of unknown size (-1 in the signature, 1 in the shape) counts as 1, as in TensorFlow Lite Micro."""
    dimensions, signature = table.numbers(0, "<i4"), table.numbers(7, "<i4")
    if max(len(dimensions), len(signature)) > _MOST_DIMENSIONS:
        raise UnsupportedError(f"{where} has {len(dimensions)} dimensions: at most {_MOST_DIMENSIONS} are supported")
    shape = tuple(int(size) for size in dimensions)
    if any(size < 0 for size in (*shape, *signature[1:].tolist())):
        raise UnsupportedError(f"{where} has the dynamic shape {signature.tolist() or list(shape)}: convert statically")
    if any(size == 0 for size in shape) or math.prod(shape) > _MOST_ELEMENTS:
        raise MalformedModelError(f"{where} has shape {list(shape)}: 1 to {_MOST_ELEMENTS:,} elements are possible")
    return shape


def _read_quantization(
    table: Table | None, shape: tuple[int, ...], where: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], int]:
    """Scales, zero points and the dimension that they run along."""
    if table is None:
        return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    if table.integer(4, "B"):
        raise UnsupportedError(f"{where} is quantised by a custom scheme: supported is scale and zero point")
    scales = table.numbers(2, "<f4")
    zero_points = table.numbers(3, "<i8")
    axis = table.integer(6, "i")
    if len(zero_points) not in (0, len(scales)):
        raise MalformedModelError(f"{where} has {len(scales):,} scales and {len(zero_points):,} zero points")
    if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
        raise MalformedModelError(f"{where} has {len(scales):,} scales along dimension {axis} of {list(shape)}")
    if not np.all(np.isfinite(scales) & (scales > 0)):
        raise MalformedModelError(f"{where} has a scale that is not a number above 0")
    return scales, zero_points if len(zero_points) else np.zeros(len(scales), np.int64), axis


def _read_data(
    buffer: int, buffers: list[Table], shape: tuple[int, ...], dtype: str, where: str
) -> npt.NDArray[Any] | None:
    """The values of a constant; buffer 0 and empty buffers mark activations."""
    if buffer >= len(buffers):
        raise MalformedModelError(f"{where} names buffer {buffer}, the model has {len(buffers)}")
    if buffers[buffer].integer(1, "Q") > 1:
        raise UnsupportedError(f"{where}: its values lie after the FlatBuffer, supported are values inside it")
    content = buffers[buffer].numbers(0, "<u1")
    if not buffer or not len(content):
        return None
    if dtype not in _NUMPY_TYPES:
        # Whoever uses it refuses it by its type; its values are never looked at.
        return content
    expected = math.prod(shape) * np.dtype(_NUMPY_TYPES[dtype]).itemsize
    if len(content) != expected:
        raise MalformedModelError(f"{where} has {len(content):,} B of values, {list(shape)} {dtype} needs {expected:,}")
    return content.view(_NUMPY_TYPES[dtype]).reshape(shape)


def _read_operators(subgraph: Table, codes: list[Table], tensors: list[Tensor]) -> tuple[Operator, ...]:
    read = [
        each
        for index, table in enumerate(subgraph.tables(3, _MOST_OPERATORS))
        for each in _in_parts(_read_operator(index, table, codes, tensors))
    ]
    if len(read) > _MOST_OPERATORS:
        raise UnsupportedError(f"{len(read):,} operators and their outputs: at most {_MOST_OPERATORS:,} are read")
    return tuple(replace(operator, index=index) for index, operator in enumerate(read))


def _in_parts(operator: Operator) -> list[Operator]:
    if operator.name not in _IN_PARTS:
        return [operator]
    return [
        replace(operator, outputs=(output,), siblings=operator.outputs, part=part)
        for part, output in enumerate(operator.outputs)
    ]


def _read_operator(index: int, table: Table, codes: list[Table], tensors: list[Tensor]) -> Operator:
    opcode = table.integer(0, "I")
    if opcode >= len(codes):
        raise MalformedModelError(f"operator {index} names operator code {opcode}, the model has {len(codes)}")
    # Models from before code 127 was reached carry the code in the older, one-byte field.
    code = max(codes[opcode].integer(0, "b"), codes[opcode].integer(3, "i"))
    if not 0 <= code < len(OPERATOR_NAMES):
        raise MalformedModelError(f"operator {index}: unknown operator code {code}")
    name = OPERATOR_NAMES[code]
    if name == "CUSTOM":
        name = f"CUSTOM {codes[opcode].text(1)}"
    where = f"operator {index} ({name})"
    outputs = _named(table.numbers(2, "<i4"), tensors, where)
    if any(tensor is None for tensor in outputs):
        raise MalformedModelError(f"{where}: an output is omitted")
    if not outputs:
        raise UnsupportedError(f"{where} has no output: supported are operators that compute something")
    return Operator(
        index=index,
        name=name,
        inputs=_named(table.numbers(1, "<i4"), tensors, where),
        outputs=tuple(tensor for tensor in outputs if tensor is not None),
        options=table.table(4),
    )


def _named(indices: npt.NDArray[Any], tensors: list[Tensor], where: str) -> tuple[Tensor | None, ...]:
    """Tensors by index; -1 stands for an omitted one."""
    if len(indices) > _MOST_OPERANDS:
        raise UnsupportedError(f"{where} names {len(indices):,} tensors: at most {_MOST_OPERANDS} are supported")
    numbers = [int(index) for index in indices]
    if any(not -1 <= index < len(tensors) for index in numbers):
        raise MalformedModelError(f"{where} names tensors {numbers}, the model has {len(tensors)}")
    return tuple(None if index < 0 else tensors[index] for index in numbers)


def _ends(indices: npt.NDArray[Any], tensors: list[Tensor], what: str) -> tuple[Tensor, ...]:
    """The model's inputs or outputs, each a tensor of its own."""
    named = _named(indices, tensors, f"the list of {what}s")
    found = tuple(tensor for tensor in named if tensor is not None and tensor.data is None)
    if not found or len(found) != len(named):
        raise MalformedModelError(f"the model has no {what}, or one that is a constant or missing")
    if len({tensor.index for tensor in found}) != len(found):
        raise MalformedModelError(f"the model names a tensor twice among its {what}s")
    return found


def check_types(graph: Graph, supported: Mapping[str, Sequence[str]]) -> None:
    """Every activation has a type that its operators take, and one scale where it is no float32.

    supported: types of activations by operator; INT8 is what any other operator takes. Constants are checked by the
    operators that use them.

    Raises:
        MalformedModelError: a zero point that the type does not hold.
        UnsupportedError: another type, or no scale or several.
    """
    for tensor in graph.inputs:
        _check_activation(tensor, "the model's input", tuple(ITEM_BYTES))
    for operator in graph.operators:
        for tensor in (*operator.activations, *operator.outputs):
            _check_activation(tensor, operator.label, supported.get(operator.name, ("INT8",)))


def _check_activation(tensor: Tensor, where: str, supported: Sequence[str]) -> None:
    what = f"{where}: tensor {tensor.name!r}"
    if tensor.dtype not in supported:
        raise UnsupportedError(f"{what} is {tensor.dtype}, supported is {' or '.join(supported)}: {_FULL_INTEGER}")
    if tensor.dtype == "FLOAT32":
        return
    if len(tensor.scales) != 1:
        raise UnsupportedError(f"{what} has {len(tensor.scales)} scales, an activation needs one: {_FULL_INTEGER}")
    low, high = LIMITS[tensor.dtype]
    if not low <= tensor.zero_point <= high:
        raise MalformedModelError(
            f"{what} has zero point {tensor.zero_point}, {tensor.dtype.lower()} holds {low:,} to {high:,}"
        )


def _check_order(graph: Graph) -> None:
    """Each activation is written once, before it is read."""
    written = {tensor.index for tensor in graph.inputs}
    for operator in graph.operators:
        for tensor in operator.activations:
            if tensor.index not in written:
                operator.malformed(f"reads tensor {tensor.index} ({tensor.name!r}), which nothing has written")
        for tensor in operator.outputs:
            if tensor.data is not None or tensor.index in written:
                operator.malformed(
                    f"writes tensor {tensor.index} ({tensor.name!r}), which is constant or written before"
                )
            written.add(tensor.index)
    for tensor in graph.outputs:
        if tensor.index not in written:
            raise MalformedModelError(f"nothing writes the model's output, tensor {tensor.index}")
