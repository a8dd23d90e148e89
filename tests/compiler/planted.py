"""Random networks, with residual connections; some of their channels are constant and some are read by nobody."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tflite_writer import Operation, Tensor, write_model

RELU, RELU6 = 1, 3


@dataclass
class Network:
    """A network under construction. `tip` is the number of the tensor to go on from."""

    draw: Any
    rng: np.random.Generator
    tensors: list[Tensor] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    tip: int = 0

    def add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def apply(self, name: str, inputs: list[int], output: Tensor, kind: str = "", **options: int) -> None:
        self.tip = self.add(output)
        self.operations.append(Operation(name, inputs, [self.tip], kind, options))

    def quantization(self) -> tuple[float, int]:
        return self.draw(st.floats(0.02, 0.5)), self.draw(st.sampled_from([-128, -128, 0, -3, 127]))

    def model(self, output: int = -1) -> bytes:
        return write_model(self.tensors, self.operations, outputs=[output])

    def activations(self) -> list[int]:
        return [operation.outputs[0] for operation in self.operations]


def planted_weights(network: Network, shape: tuple[int, ...], axis: int, inputs: int | None) -> list[int]:
    """Weights and bias in which some outputs along `axis` have no weights or a bias that swamps them.

    inputs: the dimension of the input channels, some of which no output reads.
    """
    draw, rng, count = network.draw, network.rng, shape[axis]
    values = rng.integers(-127, 128, shape)
    bias = rng.integers(-3000, 3000, count)
    kinds = rng.choice(
        ["live", "empty", "low", "high"], count, p=draw(st.sampled_from([[0.4, 0.3, 0.2, 0.1], [1, 0, 0, 0]]))
    )
    np.moveaxis(values, axis, 0)[kinds == "empty"] = 0
    bias[kinds == "low"] = -(1 << draw(st.sampled_from([24, 28, 31])))
    bias[kinds == "high"] = (1 << draw(st.sampled_from([24, 28, 31]))) - 1
    if inputs is not None:
        np.moveaxis(values, inputs, 0)[rng.random(shape[inputs]) < 0.3] = 0
    scale = network.tensors[network.tip].scale
    spread = rng.uniform(0.001, 0.03, count if draw(st.booleans()) else 1).astype(np.float32)
    weights = network.add(Tensor(shape, spread, 0, data=values, axis=axis))
    return [weights, network.add(Tensor([count], np.float32(scale) * spread, 0, dtype="int32", data=bias))]


def window(network: Network, size: int) -> tuple[dict[str, int], tuple[int, int]]:
    """Options of a window of size x size over the tip, and the output's extent."""
    _, height, width, _ = network.tensors[network.tip].shape
    stride = network.draw(st.sampled_from([1, 1, 2]))
    padding = network.draw(st.sampled_from([0, 1])) if min(height, width) >= size else 0
    extents = [-(-n // stride) if padding == 0 else (n - size) // stride + 1 for n in (height, width)]
    return {"padding": padding, "strideH": stride, "strideW": stride}, (extents[0], extents[1])


def convolve(network: Network) -> None:
    draw, source = network.draw, network.tip
    size, inputs, outputs = draw(st.sampled_from([1, 1, 3])), network.tensors[source].shape[3], draw(st.integers(1, 14))
    options, extent = window(network, size)
    constants = planted_weights(network, (outputs, size, size, inputs), 0, 3)
    activation = draw(st.sampled_from([0, RELU, RELU, RELU6]))
    output = Tensor([1, *extent, outputs], *network.quantization())
    network.apply("CONV_2D", [source, *constants], output, "Conv2D", **options, fusedActivationFunction=activation)


def convolve_depthwise(network: Network) -> None:
    draw, source = network.draw, network.tip
    size, multiplier, inputs = (
        draw(st.sampled_from([1, 3])),
        draw(st.sampled_from([1, 1, 2])),
        network.tensors[source].shape[3],
    )
    options, extent = window(network, size)
    constants = planted_weights(network, (1, size, size, inputs * multiplier), 3, None)
    options |= {"depthMultiplier": multiplier, "fusedActivationFunction": draw(st.sampled_from([0, RELU, RELU]))}
    output = Tensor([1, *extent, inputs * multiplier], *network.quantization())
    network.apply("DEPTHWISE_CONV_2D", [source, *constants], output, "DepthwiseConv2D", **options)


def add_itself(network: Network) -> None:
    """A residual connection around a convolution of the tip."""
    source, draw = network.tip, network.draw
    shape, channels = network.tensors[source].shape, network.tensors[source].shape[3]
    constants = planted_weights(network, (channels, 1, 1, channels), 0, 3)
    network.apply(
        "CONV_2D", [source, *constants], Tensor(shape, *network.quantization()), "Conv2D", strideH=1, strideW=1
    )
    name, kind = draw(st.sampled_from([("ADD", "Add"), ("MUL", "Mul")]))
    output = Tensor(shape, draw(st.floats(0.1, 1)), draw(st.sampled_from([-128, 4])))
    network.apply(name, [source, network.tip], output, kind, fusedActivationFunction=draw(st.sampled_from([0, RELU])))


def add_earlier(network: Network) -> None:
    """A long residual connection: some earlier activation of the same shape stays alive until here."""
    source, draw = network.tip, network.draw
    shape = list(network.tensors[source].shape)
    earlier = [each for each in (0, *network.activations()) if list(network.tensors[each].shape) == shape]
    other = draw(st.sampled_from(earlier))
    name, kind = draw(st.sampled_from([("ADD", "Add"), ("ADD", "Add"), ("MUL", "Mul")]))
    operands = draw(st.permutations([source, other]))
    output = Tensor(shape, draw(st.floats(0.1, 1)), draw(st.sampled_from([-128, 4])))
    network.apply(name, list(operands), output, kind, fusedActivationFunction=draw(st.sampled_from([0, RELU])))


def add_constant(network: Network) -> None:
    source, draw = network.tip, network.draw
    shape = network.tensors[source].shape
    part = draw(st.sampled_from([[1, 1, 1, shape[3]], [1], [1, shape[1], 1, 1]]))
    constant = network.add(Tensor(part, *network.quantization(), data=network.rng.integers(-128, 128, part)))
    name, kind = draw(st.sampled_from([("ADD", "Add"), ("MUL", "Mul")]))
    network.apply(name, [source, constant], Tensor(shape, draw(st.floats(0.1, 1)), -128), kind)


def pool(network: Network) -> None:
    source, draw = network.tip, network.draw
    tensor = network.tensors[source]
    options, extent = window(network, 2)
    options |= {"filterHeight": 2, "filterWidth": 2, "fusedActivationFunction": draw(st.sampled_from([0, RELU]))}
    name = draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
    output = Tensor([1, *extent, tensor.shape[3]], tensor.scale, tensor.zero_point)
    network.apply(name, [source], output, "Pool2D", **options)


def pad(network: Network) -> None:
    source = network.tip
    tensor = network.tensors[source]
    paddings = np.array([[0, 0], [1, 0], [0, 1], [0, network.draw(st.sampled_from([0, 0, 1]))]])
    where = network.add(Tensor([4, 2], None, dtype="int32", data=paddings))
    output = Tensor(np.array(tensor.shape) + paddings.sum(axis=1), tensor.scale, tensor.zero_point)
    network.apply("PAD", [source, where], output, "Pad")


def map_values(network: Network) -> None:
    name, tensor = network.draw(st.sampled_from(["RELU", "QUANTIZE", "RELU6"])), network.tensors[network.tip]
    quantization = (tensor.scale, tensor.zero_point) if name == "RELU6" else network.quantization()
    network.apply(name, [network.tip], Tensor(tensor.shape, *quantization))


def concatenate(network: Network) -> None:
    source = network.tip
    tensor = network.tensors[source]
    axis = network.draw(st.sampled_from([1, 3, -1]))
    part = list(tensor.shape)
    part[axis] = 2
    data = network.rng.integers(-128, 128, part) if network.draw(st.booleans()) else None
    other = network.add(Tensor(part, tensor.scale, tensor.zero_point, data=data)) if data is not None else source
    whole = list(tensor.shape)
    whole[axis] += network.tensors[other].shape[axis]
    output = Tensor(whole, tensor.scale, tensor.zero_point)
    network.apply("CONCATENATION", [source, other], output, "Concatenation", axis=axis)


def classify(network: Network) -> None:
    """A mean or a flattening, two dense layers."""
    source, draw = network.tip, network.draw
    tensor = network.tensors[source]
    if draw(st.booleans()):
        axes = network.add(Tensor([2], None, dtype="int32", data=np.array([1, 2])))
        network.apply("MEAN", [source, axes], Tensor([1, tensor.shape[3]], *network.quantization()), "Reducer")
    elif draw(st.booleans()):
        network.apply("RESHAPE", [source], Tensor([1, int(np.prod(tensor.shape))], tensor.scale, tensor.zero_point))
    for outputs in (draw(st.integers(1, 12)), 3):
        source = network.tip
        constants = planted_weights(network, (outputs, int(np.prod(network.tensors[source].shape))), 0, None)
        network.apply(
            "FULLY_CONNECTED",
            [source, *constants],
            Tensor([1, outputs], *network.quantization()),
            "FullyConnected",
            fusedActivationFunction=draw(st.sampled_from([0, RELU])),
        )


LAYERS = (
    *(convolve, convolve, convolve_depthwise, add_itself, add_earlier, add_earlier, add_constant),
    *(pool, pad, map_values, concatenate),
)


@st.composite
def networks(draw: Any) -> Network:
    """Two to six layers over a small image, often with a classifier at the end."""
    network = Network(draw=draw, rng=np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    shape = [1, draw(st.integers(2, 6)), draw(st.integers(2, 6)), draw(st.integers(1, 5))]
    network.add(Tensor(shape, *network.quantization()))
    convolve(network)
    for layer in draw(st.lists(st.sampled_from(LAYERS), min_size=1, max_size=5)):
        layer(network)
    if draw(st.booleans()):
        classify(network)
    return network


@st.composite
def tall_networks(draw: Any) -> Network:
    """Three to seven layers over an image of many rows: what may run in patches, and now and then what may not."""
    network = Network(draw=draw, rng=np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    shape = [1, draw(st.integers(9, 26)), draw(st.sampled_from([1, 3, 5, 9])), draw(st.integers(1, 4))]
    network.add(Tensor(shape, *network.quantization()))
    layers = (*(convolve, convolve_depthwise) * 3, add_itself, add_earlier, add_constant, pool, map_values, pad)
    convolve(network)
    for layer in draw(st.lists(st.sampled_from(layers), min_size=2, max_size=6)):
        layer(network)
    if draw(st.booleans()):
        classify(network)
    return network
