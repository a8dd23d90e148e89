"""Starting a network from the weights of another that differs in a few layers, so that it keeps what that one learned.

Source: Chen, Goodfellow and Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", 2016.
"""

from collections.abc import Mapping
from difflib import SequenceMatcher
from io import BytesIO
from typing import Any

import numpy as np
import tf_keras as keras

from tinynas.model.train import as_input, predictor
from tinynas.space.architecture import Architecture, Layer

_WEIGHTED = ("conv", "depthwise", "dense")

Weights = Mapping[str, np.ndarray]


def pack_weights(model: Any) -> bytes:
    """All weights of a network as a .npz file without objects, under the names of their layers."""
    file = BytesIO()
    arrays: dict[str, Any] = {
        f"{layer.name}/{number}": array for layer in model.layers for number, array in enumerate(layer.get_weights())
    }
    np.savez(file, **arrays)
    return file.getvalue()


def unpack_weights(content: bytes) -> Weights:
    """The inverse of `pack_weights`. Raises ValueError or OSError where it is none."""
    with np.load(BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def restore(model: Any, weights: Weights) -> None:
    """Give a model of the same architecture the weights that `unpack_weights` gives."""
    for layer in model.layers:
        layer.set_weights([weights[f"{layer.name}/{number}"] for number in range(len(layer.get_weights()))])


def inherit(
    model: Any, architecture: Architecture, *, weights: Weights, origin: Architecture, x: np.ndarray, seed: int
) -> int:
    """Put the `weights` of `origin` into `model`, a new network of `architecture`. Returns how many layers took them.

    Layers are matched in their order. A wider layer repeats channels, and what reads them shares the weight among the
    copies, unequally, so that they learn different things; a larger kernel is padded with zeros; a new layer starts as
    the identity where it can, with the statistics that samples `x`, float32 (n, *input_shape), have there. All of
    these leave the network's function as it was. A narrower layer keeps its first channels, a smaller kernel its
    middle. What fits nothing keeps its initial weights.
    """
    rng, matched = np.random.default_rng(seed), _matched(architecture, origin)
    taken = 0
    for index, layer in enumerate(architecture.layers):
        if layer.op not in _WEIGHTED:
            continue
        if index in matched:
            source = matched[index]
            taken += _copy(model, architecture, index, weights=weights, origin=origin, source=source, rng=rng)
        else:
            _begin_as_identity(model, architecture, index, x)
    return taken


def _matched(architecture: Architecture, origin: Architecture) -> dict[int, int]:
    """Index of a layer with weights -> that of its counterpart, in order."""
    mine, other = (
        [(index, layer) for index, layer in enumerate(each.layers) if layer.op in _WEIGHTED]
        for each in (architecture, origin)
    )
    # The first and the last layer have no counterparts but each other.
    kinds = [
        [(layer.op, layer.stride, place == 0, place == len(each) - 1) for place, (_, layer) in enumerate(each)]
        for each in (mine, other)
    ]
    blocks = SequenceMatcher(None, kinds[0], kinds[1], autojunk=False).get_matching_blocks()
    return {mine[block.a + step][0]: other[block.b + step][0] for block in blocks for step in range(block.size)}


def _copy(
    model: Any,
    architecture: Architecture,
    index: int,
    *,
    weights: Weights,
    origin: Architecture,
    source: int,
    rng: np.random.Generator,
) -> bool:
    layer, old = architecture.layers[index], origin.layers[source]
    sources = _input_channels(architecture, index, origin, source)
    if sources is None:
        return False
    outputs = np.arange(layer.shape[-1]) % old.shape[-1]
    kernel = weights[f"{old.name}/0"]
    match layer.op:
        case "depthwise":
            kernel = _resized(kernel, layer.kernel)[:, :, outputs]
        case "conv":
            kernel = _resized(kernel, layer.kernel)[:, :, sources][..., outputs] * _shares(sources, rng)[:, None]
        case _:
            kernel = kernel[sources][:, outputs] * _shares(sources, rng)[:, None]
    bias = [] if layer.batch_norm else [weights[f"{old.name}/1"][outputs]]
    model.get_layer(layer.name).set_weights([kernel, *bias])
    if layer.batch_norm:
        statistics = [weights[f"{old.name}_bn/{number}"][outputs] for number in range(4)]
        model.get_layer(f"{layer.name}_bn").set_weights(statistics)
    return True


def _input_channels(architecture: Architecture, index: int, origin: Architecture, source: int) -> np.ndarray | None:
    """For each input channel or feature the one of the counterpart that it repeats; None where none corresponds."""
    layer, old = architecture.layers[index], origin.layers[source]
    before, before_old = (
        each.layers[each.layers[at].inputs[0]] for each, at in ((architecture, index), (origin, source))
    )
    if before.op != "flatten" and before_old.op != "flatten":
        return np.arange(layer.in_channels) % old.in_channels
    if before.op != before_old.op:
        return None
    shape, shape_old = (
        each.layers[flat.inputs[0]].shape for each, flat in ((architecture, before), (origin, before_old))
    )
    if shape[:-1] != shape_old[:-1]:
        return None
    positions = np.arange(int(np.prod(shape[:-1])))
    channels: np.ndarray = np.arange(shape[-1]) % shape_old[-1]
    features: np.ndarray = (positions[:, None] * shape_old[-1] + channels).reshape(-1)
    return features


def _shares(sources: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What part of a channel's weight each of its copies carries, float32; together they carry all of it."""
    if len(np.unique(sources)) == len(sources):
        return np.ones(len(sources), np.float32)
    parts = rng.uniform(0.5, 1.5, len(sources))
    shares: np.ndarray = (parts / np.bincount(sources, parts)[sources]).astype(np.float32)
    return shares


def _resized(kernel: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A kernel (height, width, ...) padded with zeros on all sides, or its middle."""
    for axis in (0, 1):
        more = size[axis] - kernel.shape[axis]
        if more < 0:
            kernel = np.take(kernel, range(-more // 2, -more // 2 + size[axis]), axis)
        else:
            widths = [(0, 0)] * kernel.ndim
            widths[axis] = (more // 2, more - more // 2)
            kernel = np.pad(kernel, widths)
    return kernel


def _begin_as_identity(model: Any, architecture: Architecture, index: int, x: np.ndarray) -> None:
    layer = architecture.layers[index]
    if not layer.batch_norm or layer.stride != (1, 1):
        return
    normal = model.get_layer(f"{layer.name}_bn")
    if _is_last_of_residual(architecture, index):
        # The branch adds nothing until it has learned to.
        _, *rest = normal.get_weights()
        normal.set_weights([np.zeros(layer.shape[-1], np.float32), *rest])
    elif layer.padding == "same" and layer.in_channels == layer.shape[-1] and layer.activation != "none":
        kernel = np.zeros_like(model.get_layer(layer.name).get_weights()[0])
        middle = tuple(size // 2 for size in layer.kernel)
        kernel[middle] = np.eye(layer.in_channels) if layer.op == "conv" else 1.0
        model.get_layer(layer.name).set_weights([kernel])
        _normalise_to_identity(model, layer, x)


def _is_last_of_residual(architecture: Architecture, index: int) -> bool:
    return any(each.op == "add" and index in each.inputs[1:] for each in architecture.layers)


def _normalise_to_identity(model: Any, layer: Layer, x: np.ndarray) -> None:
    """Batch normalisation that undoes what it does, with the statistics of `x` at the layer, in training as well."""
    normal = model.get_layer(f"{layer.name}_bn")
    until = keras.Model(model.inputs, model.get_layer(layer.name).output)
    values = predictor(until)(as_input(x, model.input_shape)).reshape(-1, layer.shape[-1])
    mean, variance = values.mean(axis=0), values.var(axis=0)
    normal.set_weights([np.sqrt(variance + normal.epsilon), mean, mean, variance])
