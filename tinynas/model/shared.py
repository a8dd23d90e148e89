"""Weights that all networks of a space share: each network takes a part of what a layer of its role has at most.

Channels are the first ones, a smaller kernel is the middle of a larger one. Layers of one role share what they have
only where they read from the same stage, or in a block from a layer of the same role: channels of different ones mean
different things, and a stage may follow on any of those before it. A network is run layer by layer as its architecture
says, without a graph of its own: to trace one takes as long as ten steps of its training.

Source: Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment", 2020.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf

from tinynas.errors import ConfigError
from tinynas.model.build import build
from tinynas.model.train import as_input
from tinynas.space.architecture import Architecture, Layer

# Keras' own, which an extracted network is built with.
_BATCH_NORM_EPSILON = 1e-3
_WEIGHTED = ("conv", "depthwise", "dense")

Arrays = dict[str, np.ndarray]
# The weights of each layer in the order in which Keras has them, without those that count what passes by.
Weights = Sequence[Sequence[Any]]
# Index of a layer -> mean and variance of each of its channels before normalisation.
Statistics = Mapping[int, tuple[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a shared tensor. `shape` is the part's; along the first `centred` axes it lies in the middle, along the
    others at the start. `deviation` is that of its initial values, normally distributed, around `mean`.
    """

    name: str
    shape: tuple[int, ...]
    centred: int = 0
    mean: float = 0.0
    deviation: float = 0.0

    def of(self, arrays: Arrays, fill: Callable[["Part"], np.ndarray]) -> np.ndarray:
        """A view of it in the tensor of its name, which grows where it is too small: `fill` makes the larger one."""
        held = arrays.get(self.name)
        whole = self if held is None else replace(self, shape=tuple(map(max, self.shape, held.shape)))
        if held is None or held.shape != whole.shape:
            grown = fill(whole)
            if held is not None:
                replace(self, shape=held.shape).inside(grown)[...] = held
            arrays[self.name] = grown
        return self.inside(arrays[self.name])

    def inside(self, tensor: np.ndarray) -> np.ndarray:
        """A view of it in a tensor that is large enough."""
        starts = [
            (large - small) // 2 if axis < self.centred else 0
            for axis, (small, large) in enumerate(zip(self.shape, tensor.shape, strict=True))
        ]
        return tensor[tuple(slice(start, start + size) for start, size in zip(starts, self.shape, strict=True))]


class Shared:
    """Float32 tensors by the roles of layers. They have the sizes of what was asked for so far; what is new is drawn
    from `seed`, the tensor's name and its size.
    """

    def __init__(self, seed: int, arrays: Arrays | None = None) -> None:
        self.seed = seed
        self.arrays = {} if arrays is None else arrays

    def part(self, part: Part) -> np.ndarray:
        """A view of the part."""
        return part.of(self.arrays, self._initial)

    def weights(self, architecture: Architecture) -> list[list[np.ndarray]]:
        """What a network takes of them, as `forward` wants it: views, but copies where a dense layer reads an image.

        Raises:
            ConfigError: a layer has no role.
        """
        return [
            [self.part(part).reshape(shape) for part, shape in layer_parts(architecture, index)]
            for index in range(len(architecture.layers))
        ]

    def _initial(self, part: Part) -> np.ndarray:
        rng = np.random.default_rng([self.seed, zlib.crc32(part.name.encode()), *part.shape])
        return rng.normal(part.mean, part.deviation, part.shape).astype(np.float32)


def layer_parts(architecture: Architecture, index: int) -> list[tuple[Part, tuple[int, ...]]]:
    """The parts that a layer's weights are, in Keras' order, and the shapes in which the layer has them.

    Kernels start with deviations by He et al., "Delving Deep into Rectifiers", 2015. A dense layer that reads an image
    has weights for each of its positions, and shares them at one resolution only.

    Raises:
        ConfigError: a layer with weights has no role.
    """
    layer = architecture.layers[index]
    if layer.op not in _WEIGHTED:
        return []
    if not layer.role:
        raise ConfigError(
            f"layer {index} ({layer.name}) has no role, by which networks could share its weights: "
            "spaces image and mobilenet give roles"
        )
    width, prefix = layer.shape[-1], f"{layer.role} after {_origin(architecture, layer)}"
    if layer.op == "dense":
        kernel = Part(name=f"{prefix}/kernel", shape=_dense_shape(architecture, layer))
    else:
        ends = (width, 1) if layer.op == "depthwise" else (layer.in_channels, width)
        kernel = Part(name=f"{prefix}/kernel", shape=(*layer.kernel, *ends), centred=2)
    shape = (layer.in_channels, width) if layer.op == "dense" else kernel.shape
    fan_in = np.prod(kernel.shape[:2]) if layer.op == "depthwise" else np.prod(kernel.shape[:-1])
    parts = [(replace(kernel, deviation=float(np.sqrt(2 / fan_in))), shape)]
    names = {"scale": 1.0, "offset": 0.0} if layer.batch_norm else {"bias": 0.0}
    return parts + [
        (Part(name=f"{prefix}/{name}", shape=(width,), mean=mean), (width,)) for name, mean in names.items()
    ]


def _origin(architecture: Architecture, layer: Layer) -> str:
    """What a layer reads: the role of a layer of its own block, or the stage before, whichever of its blocks is the
    last; and where an image is flattened, its size.
    """
    source = architecture.layers[layer.inputs[0]]
    image = architecture.layers[source.inputs[0]].shape[:-1] if source.op == "flatten" else ()
    while source.inputs and not source.role:
        source = architecture.layers[source.inputs[0]]
    role = source.role or source.op
    if role.split("/")[:2] != layer.role.split("/")[:2]:
        role = role.partition("/")[0]
    return "/".join((role, *(["x".join(map(str, image))] if image else [])))


def _dense_shape(architecture: Architecture, layer: Layer) -> tuple[int, int, int]:
    """(positions, channels, units)."""
    source = architecture.layers[layer.inputs[0]]
    channels = architecture.layers[source.inputs[0]].shape[-1] if source.op == "flatten" else layer.in_channels
    return layer.in_channels // channels, channels, layer.filters


def forward(
    architecture: Architecture,
    weights: Weights,
    x: Any,
    *,
    statistics: Statistics | None = None,
) -> tuple[Any, Statistics]:
    """Logits (n, classes) of inputs `x`, float32 (n, *input_shape), and the batch's statistics.

    Batch normalisation uses those `statistics`, or where there are none the batch's own.
    """
    outputs: list[Any] = []
    found: dict[int, tuple[Any, Any]] = {}
    for index, layer in enumerate(architecture.layers):
        inputs = [outputs[source] for source in layer.inputs]
        value = _apply(layer, inputs or [x], weights[index])
        if layer.batch_norm:
            known = None if statistics is None else statistics[index]
            value, found[index] = _normalised(value, weights[index], known)
        if layer.activation != "none":
            value = tf.nn.relu(value) if layer.activation == "relu" else tf.nn.relu6(value)
        outputs.append(value)
    return outputs[-1], found


def _apply(layer: Layer, inputs: Sequence[Any], weights: Sequence[Any]) -> Any:
    """A layer without normalisation and activation."""
    source, size = inputs[0], [1, *layer.kernel, 1]
    window = {"padding": layer.padding.upper(), "strides": [1, *layer.stride, 1]}
    match layer.op:
        case "conv":
            value = tf.raw_ops.Conv2D(input=source, filter=weights[0], **window)
        case "depthwise":
            value = tf.raw_ops.DepthwiseConv2dNative(input=source, filter=weights[0], **window)
        case "dense":
            value = tf.matmul(source, weights[0]) + weights[1]
        case "add":
            value = inputs[0] + inputs[1]
        case "max_pool":
            value = tf.raw_ops.MaxPool(input=source, ksize=size, **window)
        case "avg_pool":
            value = tf.raw_ops.AvgPool(value=source, ksize=size, **window)
        case "global_avg_pool":
            value = tf.reduce_mean(source, axis=(1, 2))
        case _:
            value = tf.reshape(source, (-1, *layer.shape))
    return value


def _normalised(value: Any, weights: Sequence[Any], known: tuple[Any, Any] | None) -> tuple[Any, tuple[Any, Any]]:
    mean, variance = (tf.zeros(0), tf.zeros(0)) if known is None else known
    normal, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=value,
        scale=weights[1],
        offset=weights[2],
        mean=mean,
        variance=variance,
        epsilon=_BATCH_NORM_EPSILON,
        is_training=known is None,
    )
    if known is None:
        # It gives the unbiased estimate and normalises with the biased one.
        count = tf.cast(tf.size(value) / tf.shape(value)[-1], tf.float32)
        variance *= (count - 1) / count
    return normal, (mean, variance)


def extract(shared: Shared, architecture: Architecture, x: np.ndarray) -> Any:
    """A Keras network with its part of the weights, and with the exact statistics that samples `x`, float32
    (n, *input_shape), have in it: those of training were of other networks, too.

    Source: Yu and Huang, "Universally Slimmable Networks and Improved Training Techniques", 2019.

    Raises:
        ConfigError: a layer has no role.
    """
    weights = shared.weights(architecture)
    model = build(architecture, shared.seed)
    _, statistics = forward(architecture, weights, as_input(x, model.input_shape))
    for index, layer in enumerate(architecture.layers):
        if layer.batch_norm:
            kernel, *normal = weights[index]
            model.get_layer(layer.name).set_weights([kernel])
            model.get_layer(f"{layer.name}_bn").set_weights([*normal, *(each.numpy() for each in statistics[index])])
        elif weights[index]:
            model.get_layer(layer.name).set_weights(weights[index])
    return model


def pack_shared(shared: Shared) -> bytes:
    """As a .npz file without objects."""
    file = BytesIO()
    np.savez(file, seed=np.array(shared.seed), **cast(dict[str, Any], shared.arrays))
    return file.getvalue()


def read_shared(path: Path) -> Shared:
    """The file that `pack_shared` gave. Raises ValueError, KeyError or OSError where it is none."""
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return Shared(int(file["seed"]), {name: file[name] for name in file.files if name != "seed"})
