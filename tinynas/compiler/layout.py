"""How weights lie in flash: in the order in which the kernels read them, with all that is known offline folded in."""

import numpy as np
import numpy.typing as npt

from tinynas.compiler.activation import Range
from tinynas.compiler.fixed_point import INT32_MAX, Multiplier, quantize_multiplier
from tinynas.compiler.graph import Operator, Tensor
from tinynas.compiler.step import Constant

_QUAD = 4


def interleave(rows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Weights of shape (channels, depth) as firmware/lib/tn_matmul.h reads them, shape (channels * depth,).

    Every four channels become [depth][4]; the one to three that remain follow as they are.
    """
    whole = len(rows) // _QUAD * _QUAD
    quads = rows[:whole].reshape(-1, _QUAD, rows.shape[1]).transpose(0, 2, 1)
    return np.concatenate([quads.reshape(-1), rows[whole:].reshape(-1)])


def fold_bias(rows: npt.NDArray[np.int8], bias: npt.NDArray[np.int64], zero_point: int) -> npt.NDArray[np.int32]:
    """bias - zero_point * sum(weights) per channel, modulo 2^32 as the reference's accumulators are.

    rows: (channels, depth); bias: (channels,). With it, a kernel multiplies inputs as they are, and an input that holds
    its zero point, as padding does, counts as 0.
    """
    folded = bias - zero_point * rows.astype(np.int64).sum(axis=1)
    wrapped: npt.NDArray[np.int32] = folded.astype(np.uint32).astype(np.int32)
    return wrapped


def read_bias(operator: Operator, position: int, channels: int) -> npt.NDArray[np.int64]:
    """The int32 bias at `position`, zeros where it is omitted; shape (channels,).

    Raises:
        MalformedModelError: it has another size.
        UnsupportedError: it is computed, or not int32.
    """
    if position >= len(operator.inputs) or operator.inputs[position] is None:
        return np.zeros(channels, np.int64)
    bias = operator.constant(position, "INT32").reshape(-1)
    if len(bias) != channels:
        operator.malformed(f"a bias of {len(bias)} values for {channels} channels")
    return bias


def read_weights(operator: Operator, axis: int) -> tuple[Tensor, npt.NDArray[np.int8]]:
    """The weights, input 1, with their values: int8, symmetric, one scale or one per index of dimension `axis`.

    Raises:
        MalformedModelError: they are omitted or have no scale.
        UnsupportedError: they are computed, not int8, asymmetric, or quantised along another dimension.
    """
    values = operator.constant(1, "INT8").astype(np.int8)
    weights = operator.inputs[1]
    if weights is None or len(weights.scales) == 0:
        operator.malformed("the weights have no scale")
    if np.any(weights.zero_points != 0):
        operator.refuse("weights with a zero point; supported are symmetric weights")
    if len(weights.scales) > 1 and weights.axis != axis:
        operator.refuse(f"weights quantised along dimension {weights.axis}; supported is {axis}")
    return weights, values


def channel_multipliers(operator: Operator, weights: Tensor) -> list[Multiplier]:
    """input scale * weight scale / output scale, one for each weight scale.

    Source: PopulateConvolutionQuantizationParams in tensorflow/lite/kernels/kernel_util.cc.
    """
    scale = operator.activation().scale
    return [quantize_multiplier(scale * float(each) / operator.output.scale) for each in weights.scales]


def is_plain(rows: npt.NDArray[np.int8], bias: npt.NDArray[np.int32], multipliers: list[Multiplier]) -> bool:
    """Whether `tn_rescale` may take its short way.

    rows: (channels, depth); bias: (channels,), folded. It may where every factor shifts right by at least one and where
    no accumulator, whatever the inputs, can leave int32 when half of the last bit is added.
    """
    if any(each.shift > -1 for each in multipliers):
        return False
    largest = np.abs(bias.astype(np.int64)) + 128 * np.abs(rows.astype(np.int64)).sum(axis=1)
    halves = np.array([1 << (-each.shift - 1) for each in multipliers], np.int64)
    return bool(np.all(largest + halves <= INT32_MAX))


def rescale_parameters(multipliers: list[Multiplier], zero_point: int, limits: Range) -> dict[str, int]:
    """The fields of `struct tn_rescale`."""
    return {
        "rescale.step": int(len(multipliers) > 1),
        "rescale.zero_point": zero_point,
        "rescale.low": limits.low,
        "rescale.high": limits.high,
    }


def matmul_constants(
    packed: npt.NDArray[np.int8], bias: npt.NDArray[np.int32], multipliers: list[Multiplier]
) -> tuple[Constant, Constant, Constant, Constant]:
    """Weights, bias, multipliers and shifts, in the order of the kernels' arguments."""
    return (
        Constant(name="weights", values=packed),
        Constant(name="bias", values=bias),
        Constant(name="multipliers", values=np.array([each.value for each in multipliers], np.int32)),
        Constant(name="shifts", values=np.array([each.shift for each in multipliers], np.int8)),
    )
