"""A network as plain integers: what spaces decode to, what Keras networks are built from, what estimates read.

No Keras here. A user's own space file makes networks with `Builder`, which works out every shape.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from tinynas.errors import CandidateError

Op = Literal["input", "conv", "depthwise", "dense", "add", "max_pool", "avg_pool", "global_avg_pool", "flatten"]
Activation = Literal["none", "relu", "relu6"]
Padding = Literal["same", "valid"]
Pair = tuple[int, int]

_BIAS_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer. `inputs` are indices of earlier layers; `shape` is its output without the batch.

    in_channels: channels (or features) of the first input; 0 for the input itself.
    role: its place in the networks of a space, such as "stage_2/block_0/inverted/deep". Layers of one role share their
        weights in a supernet; it makes no network another one, and is empty where a space does not say.
    """

    name: str
    op: Op
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    in_channels: int = 0
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    filters: int = 0
    activation: Activation = "none"
    padding: Padding = "same"
    batch_norm: bool = False
    role: str = field(default="", compare=False)

    @property
    def bytes(self) -> int:
        """Its int8 output [B]."""
        return math.prod(self.shape)

    @property
    def weights(self) -> int:
        """Its int8 weights [B]; batch normalisation is folded into them."""
        match self.op:
            case "conv":
                return math.prod(self.kernel) * self.in_channels * self.filters
            case "depthwise":
                return math.prod(self.kernel) * self.in_channels
            case "dense":
                return self.in_channels * self.filters
        return 0

    @property
    def constants_bytes(self) -> int:
        """Weights and int32 biases [B], a lower bound: the compiler adds multipliers."""
        return self.weights + (_BIAS_BYTES * self.shape[-1] if self.weights else 0)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        positions = math.prod(self.shape[:-1]) if self.op in ("conv", "depthwise") else 1
        return self.weights * positions


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A whole network, layers in execution order, the logits last."""

    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...]
    classes: int

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def constants_bytes(self) -> int:
        return sum(layer.constants_bytes for layer in self.layers)

    @property
    def peak_activation_bytes(self) -> int:
        """A lower bound on any arena [B]: the largest layer's inputs or output, whichever are larger.

        A dense layer needs both, because each output depends on every input; elsewhere the output can trail behind the
        input in the same memory.
        """
        most = 0
        for layer in self.layers:
            sources = [self.layers[index].bytes for index in layer.inputs]
            if layer.op == "dense":
                most = max(most, sum(sources) + layer.bytes)
            else:
                most = max(most, layer.bytes, sum(sources))
        return most


class Builder:
    """Makes an Architecture layer by layer; every method returns the new layer's index.

    A series of shape (time, channels) is treated as (time, 1, channels), so kernels are (k, 1) and TensorFlow Lite
    sees plain two-dimensional convolutions.
    """

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        self._input_shape, self._classes = input_shape, classes
        shape = (input_shape[0], 1, input_shape[1]) if len(input_shape) == 2 else input_shape
        self._layers = [Layer(name="input", op="input", inputs=(), shape=shape)]

    def shape(self, index: int) -> tuple[int, ...]:
        """The output shape of a layer, without the batch."""
        return self._layers[index].shape

    def conv(
        self,
        source: int,
        filters: int,
        kernel: Pair | int = 1,
        stride: Pair | int = 1,
        *,
        activation: Activation = "relu",
        padding: Padding = "same",
        role: str = "",
    ) -> int:
        """A convolution with folded batch normalisation. Raises CandidateError when the image is too small for it."""
        return self._window(
            source,
            "conv",
            kernel=kernel,
            stride=stride,
            padding=padding,
            filters=filters,
            activation=activation,
            batch_norm=True,
            role=role,
        )

    def depthwise(
        self,
        source: int,
        kernel: Pair | int = 3,
        stride: Pair | int = 1,
        *,
        activation: Activation = "relu",
        padding: Padding = "same",
        role: str = "",
    ) -> int:
        """A depthwise convolution, one filter a channel, with folded batch normalisation. Raises as `conv`."""
        return self._window(
            source,
            "depthwise",
            kernel=kernel,
            stride=stride,
            padding=padding,
            activation=activation,
            batch_norm=True,
            role=role,
        )

    def max_pool(self, source: int, size: Pair | int = 2, stride: Pair | int = 2) -> int:
        """Maxima over windows without padding. Raises as `conv`."""
        return self._window(source, "max_pool", kernel=size, stride=stride, padding="valid")

    def avg_pool(self, source: int, size: Pair | int = 2, stride: Pair | int = 2, *, padding: Padding = "valid") -> int:
        """Means over windows; with padding "same" over what of a window lies inside. Raises as `conv`."""
        return self._window(source, "avg_pool", kernel=size, stride=stride, padding=padding)

    def global_avg_pool(self, source: int) -> int:
        """The mean of every channel: (h, w, c) -> (c,)."""
        return self._add("global_avg_pool", (source,), (self.shape(source)[-1],))

    def flatten(self, source: int) -> int:
        """All values in a row: (h, w, c) -> (h * w * c,)."""
        return self._add("flatten", (source,), (math.prod(self.shape(source)),))

    def add(self, first: int, second: int, *, activation: Activation = "none", role: str = "") -> int:
        """The sum of two outputs of equal shape, a residual connection.

        Raises:
            CandidateError: the shapes differ.
        """
        if self.shape(first) != self.shape(second):
            raise CandidateError(f"add joins {self.shape(first)} and {self.shape(second)}: shapes must be equal")
        return self._add("add", (first, second), self.shape(first), activation=activation, role=role)

    def dense(self, source: int, units: int, *, activation: Activation = "relu", role: str = "") -> int:
        """A fully connected layer on a flat input.

        Raises:
            CandidateError: the input is not flat.
        """
        if len(self.shape(source)) != 1:
            raise CandidateError(f"dense takes a flat input, not {self.shape(source)}: flatten or pool it first")
        return self._add("dense", (source,), (units,), filters=units, activation=activation, role=role)

    def finish(self, source: int) -> Architecture:
        """End with the logits: a dense layer to the classes. No softmax, since the largest logit decides."""
        logits = self.dense(source, self._classes, activation="none", role="logits")
        self._layers[logits] = replace(self._layers[logits], name="logits")
        return Architecture(layers=tuple(self._layers), input_shape=self._input_shape, classes=self._classes)

    def _window(
        self,
        source: int,
        op: Op,
        *,
        kernel: Pair | int,
        stride: Pair | int,
        padding: Padding,
        filters: int = 0,
        activation: Activation = "none",
        batch_norm: bool = False,
        role: str = "",
    ) -> int:
        shape = self.shape(source)
        if len(shape) != 3:
            raise CandidateError(f"{op} takes (height, width, channels), not {shape}")
        height, width, channels = shape
        # A series has width 1: a window as wide as it is high would only see padding beside it.
        kernel, stride = _pair(kernel, width), _pair(stride, width)
        rows, columns = (
            _windows(size, window, step, padding)
            for size, window, step in zip((height, width), kernel, stride, strict=True)
        )
        if rows < 1 or columns < 1:
            raise CandidateError(f"{op} of {kernel[0]}x{kernel[1]} does not fit into {height}x{width}")
        return self._add(
            op,
            (source,),
            (rows, columns, filters or channels),
            kernel=kernel,
            stride=stride,
            filters=filters,
            activation=activation,
            padding=padding,
            batch_norm=batch_norm,
            role=role,
        )

    def _add(self, op: Op, inputs: tuple[int, ...], shape: tuple[int, ...], **settings: object) -> int:
        index = len(self._layers)
        layer = Layer(name=f"{op}_{index}", op=op, inputs=inputs, shape=shape, in_channels=self.shape(inputs[0])[-1])
        self._layers.append(replace(layer, **settings))  # type: ignore[arg-type]
        return index


def _pair(size: Pair | int, width: int) -> Pair:
    if not isinstance(size, int):
        return size
    return (size, 1) if width == 1 else (size, size)


def _windows(size: int, window: int, step: int, padding: Padding) -> int:
    return -(-size // step) if padding == "same" else (size - window) // step + 1
