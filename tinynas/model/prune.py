"""Taking the least important channels out of a trained network, so that an ordinary, narrower network is left.

Sources: Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", 2017, for what a channel of a
normalised layer is worth; Li et al., "Pruning Filters for Efficient ConvNets", 2017, for layers without normalisation.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinynas.errors import UnsupportedError
from tinynas.model.build import build
from tinynas.space.architecture import Architecture, Layer

# The kernels take channels by fours.
_MULTIPLE = 4

Kept = dict[int, np.ndarray]


def narrowed(architecture: Architecture, fraction: float) -> Architecture:
    """The architecture without `fraction`, in (0, 1), of the channels of each layer.

    What stays is the nearest multiple of 4, 4 at least; inputs and logits stay whole.

    Raises:
        UnsupportedError: flattened channels are added to something else, so that no channel goes alone.
    """
    groups, layers = _groups(architecture), list[Layer]()
    for layer, group in zip(architecture.layers, groups, strict=True):
        has = architecture.layers[group].shape[-1]
        stay = max(_MULTIPLE, int(has * (1 - fraction) / _MULTIPLE + 0.5) * _MULTIPLE)
        if stay > has or group in (groups[0], groups[-1]):
            stay = has
        # A flattened layer has each channel at several positions.
        width = layer.shape[-1] // has * stay
        before = layers[layer.inputs[0]].shape[-1] if layer.inputs else 0
        shape = (*layer.shape[:-1], width)
        layers.append(replace(layer, shape=shape, in_channels=before, filters=width if layer.filters else 0))
    return replace(architecture, layers=tuple(layers))


def prune(model: Any, architecture: Architecture, fraction: float) -> tuple[Architecture, Any]:
    """The trained network without the channels that are worth least: its `narrowed` architecture, and a new model with
    the weights of the channels that stay, to be trained on.

    Channels that a sum or a depthwise convolution ties together go together. A channel's worth is the sum of the
    magnitudes of its batch normalisations' scales, or the L1 norm of its weights in a layer that has none. A channel
    that is zero everywhere changes nothing by going. Raises as `narrowed`.
    """
    groups, smaller = _groups(architecture), narrowed(architecture, fraction)
    kept = {}
    for group in set(groups):
        best = np.argsort(-_worth(model, architecture, groups, group), kind="stable")
        kept[group] = np.sort(best[: smaller.layers[group].shape[-1]])
    pruned = build(smaller, seed=0)
    for index, layer in enumerate(architecture.layers):
        if layer.weights:
            inputs, outputs = (_channels(architecture, groups, kept, each) for each in (layer.inputs[0], index))
            _copy(model, pruned, layer, inputs, outputs)
    return smaller, pruned


def _groups(architecture: Architecture) -> list[int]:
    """For each layer the group of its output's channels: the first layer that has the same ones."""
    groups: list[int] = []
    for index, layer in enumerate(architecture.layers):
        groups.append(groups[layer.inputs[0]] if layer.inputs and layer.op not in ("conv", "dense") else index)
        if layer.op == "add":
            one, other = sorted(groups[source] for source in layer.inputs)
            widths = [architecture.layers[group].shape[-1] for group in (one, other)]
            if widths[0] != widths[1]:
                raise UnsupportedError(f"{layer.name} adds {widths[0]} channels at several positions to {widths[1]}")
            groups = [one if group == other else group for group in groups]
    return groups


def _worth(model: Any, architecture: Architecture, groups: Sequence[int], group: int) -> np.ndarray:
    """What each channel of the group is worth, float (channels,)."""
    worth = np.zeros(architecture.layers[group].shape[-1])
    for layer, its in zip(architecture.layers, groups, strict=True):
        if its != group or not layer.weights:
            continue
        if layer.batch_norm:
            worth += np.abs(model.get_layer(f"{layer.name}_bn").get_weights()[0])
        else:
            worth += np.abs(model.get_layer(layer.name).get_weights()[0]).sum(axis=0)
    return worth


def _channels(architecture: Architecture, groups: Sequence[int], kept: Kept, index: int) -> np.ndarray:
    """The channels of a layer's output that stay; of a flattened one, at each position."""
    layer, stay = architecture.layers[index], kept[groups[index]]
    if layer.op != "flatten":
        return stay
    has = architecture.layers[groups[index]].shape[-1]
    features: np.ndarray = (np.arange(0, layer.shape[-1], has)[:, None] + stay).reshape(-1)
    return features


def _copy(model: Any, pruned: Any, layer: Layer, inputs: np.ndarray, outputs: np.ndarray) -> None:
    kernel, *bias = model.get_layer(layer.name).get_weights()
    kernel = kernel[:, :, outputs] if layer.op == "depthwise" else kernel[..., inputs, :][..., outputs]
    pruned.get_layer(layer.name).set_weights([kernel, *(each[outputs] for each in bias)])
    if layer.batch_norm:
        statistics = model.get_layer(f"{layer.name}_bn").get_weights()
        pruned.get_layer(f"{layer.name}_bn").set_weights([each[outputs] for each in statistics])
