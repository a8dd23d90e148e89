"""Weights for CPUs with DSP instructions: two channels share a half word. firmware/lib/tn_pair.h says how and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from tinynas.compiler.activation import Range
from tinynas.compiler.fixed_point import INT32_MAX, Multiplier, wrap_int32
from tinynas.compiler.graph import Tensor
from tinynas.compiler.products import Products
from tinynas.compiler.step import Constant

# Twice an accumulator below 2^23 survives all that tn_requantize.h does to it, with shifts up to this one.
_LARGEST_SUM = (1 << 23) - 1
_LARGEST_SHIFT = 22

# The literal shift of firmware/lib/tn_pair.h's `relu`, and the channels' shifts that lead to it.
_LEVEL = 12
_LEVEL_SHIFTS = range(5, 12)

_RELU, _SIGNED, _CLAMPED = "relu", "signed", "clamped"


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums(Products):
    """Sums of products for a CPU with DSP instructions."""

    @classmethod
    def of(
        cls,
        output: Tensor,
        rows: npt.NDArray[np.int8],
        bias: npt.NDArray[np.int32],
        multipliers: Sequence[Multiplier],
        limits: Range,
    ) -> Self:
        """With provably constant channels tamed; multipliers: one, or one per channel."""
        return super().of(output, rows, bias, multipliers, limits).tamed()

    @property
    def variant(self) -> str:
        """Which form of `tn_requantize` gives the reference's result in the fewest instructions."""
        if (self.limits.low, self.limits.high) != (-128, 127):
            return _CLAMPED
        return _RELU if self.zero_point == -128 else _SIGNED

    @property
    def bounded(self) -> bool:
        """Whether no sum, whatever the inputs, leaves the range for which the DSP kernels are exact."""
        lowest, highest = self.reach()
        return bool(np.all((lowest >= -_LARGEST_SUM) & (highest <= _LARGEST_SUM))) and all(
            -_LARGEST_SHIFT <= each.shift <= -1 for each in self.multipliers
        )

    @property
    def pairable(self) -> bool:
        """Whether two channels' weights fit a half as 256 * second + first."""
        first, second = _paired(self.rows)
        return not bool(np.any((second == -128) & (first < 0)))

    def tamed(self) -> Self:
        """The same outputs, with every provably constant channel reduced to a small bias.

        Trained networks have dead channels whose bias alone is beyond what the DSP kernels can add up. Where a sum may
        wrap, the outputs at its two ends say nothing about those between.
        """
        reach = np.array(self.reach())
        lowest, highest = (self._output(ends) for ends in reach)
        halved = np.array([each.shift < 0 for each in self.multipliers])
        constant = (lowest == highest) & halved & np.all((reach >= -(1 << 31)) & (reach <= INT32_MAX), axis=0)
        small = 1024 * (lowest - self.zero_point)
        return type(self)(
            rows=np.where(constant[:, None], 0, self.rows).astype(np.int8),
            bias=np.where(constant, small, self.bias).astype(np.int32),
            multipliers=tuple(
                _THOUSANDTH if dead else each for dead, each in zip(constant.tolist(), self.multipliers, strict=True)
            ),
            zero_point=self.zero_point,
            limits=self.limits,
        )

    def reach(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Bounds of every channel's sum over all int8 inputs."""
        rows, bias = self.rows.astype(np.int64), self.bias.astype(np.int64)
        positive, negative = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
        return bias - 128 * positive + 127 * negative, bias + 127 * positive - 128 * negative

    def _output(self, sums: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        values = [
            each.apply(wrap_int32(int(number))) + self.zero_point
            for number, each in zip(sums, self.multipliers, strict=True)
        ]
        return np.clip(np.array(values, np.int64), self.limits.low, self.limits.high)


# A sum of 1,024 times a number gives that number. Every kernel's short way takes this shift.
_THOUSANDTH = Multiplier(value=1 << 30, shift=-9)


def _leveled(sums: Sums) -> tuple[Multiplier, ...] | None:
    """Multipliers for firmware/lib/tn_pair.h's `relu`, None where some channel's shift is not for it.

    A shift that is too large is lowered, with the multiplier rounded, where that provably changes no output.
    """
    found = []
    for each, low, high in zip(sums.multipliers, *(reach.tolist() for reach in sums.reach()), strict=True):
        lowered = each
        if -each.shift > _LEVEL_SHIFTS[-1]:
            excess = -each.shift - _LEVEL_SHIFTS[-1]
            lowered = Multiplier(value=(each.value + (1 << excess - 1)) >> excess, shift=-_LEVEL_SHIFTS[-1])
            if _thresholds(each, low, high) != _thresholds(lowered, low, high):
                return None
        if -lowered.shift not in _LEVEL_SHIFTS:
            return None
        found.append(lowered)
    return tuple(found)


def _thresholds(factor: Multiplier, low: int, high: int) -> list[int]:
    """The least sums, up to `high`, that give 1 to 255 above the zero point; those below `low` count as `low`.

    With halves rounded up, TensorFlow Lite's two roundings are floor((sum * value + 2^30 + 2^(30 + s)) / 2^(31 + s)).
    """
    shift = -factor.shift
    half = (1 << 30) + (1 << 30 + shift)
    least = (-(-((level << 31 + shift) - half) // factor.value) for level in range(1, 256))
    return [max(each, low) for each in least if each <= high]


def pair_form(sums: Sums) -> str:
    """The form of firmware/lib/tn_pair.h's functions: the fastest that is exact."""
    if sums.variant == _RELU and _leveled(sums) is None:
        return _SIGNED
    return sums.variant


def pair_parameters(sums: Sums, depth: int) -> dict[str, int]:
    """The fields of `struct tn_pair`; depth: as filled up."""
    return {
        "depth": depth,
        "channels": len(sums.rows),
        "low": sums.limits.low,
        "high": sums.limits.high,
    }


def pair_constants(sums: Sums) -> tuple[Constant, Constant]:
    """Weights and records for three pixels at a time; depth is filled up to a multiple of 4 with 0.

    weights: int8 (pairs * depth * 2,), each pair's for all of its quads; records: int32 (pairs * 7,).
    """
    return Constant(name="weights", values=_bytes(_halves(sums.rows, 4))), Constant(
        name="records", values=_records(sums)
    )


def vector_constants(sums: Sums) -> tuple[Constant, Constant]:
    """Weights and records for one vector; depth is filled up to a multiple of 8 with 0, channels to one of 4.

    weights: int8, for every two pairs and every 8 values 16 B of one pair, 16 B of the other; records: int32.
    """
    missing = -len(sums.rows) % 4
    filled = replace(
        sums,
        rows=np.pad(sums.rows, ((0, missing), (0, 0))),
        bias=np.pad(sums.bias, (0, missing)),
        multipliers=(*sums.multipliers, *(_THOUSANDTH,) * missing),
    )
    halves = _halves(filled.rows, 8)
    woven = halves.reshape(len(halves) // 2, 2, -1, 8).transpose(0, 2, 1, 3)
    return Constant(name="weights", values=_bytes(woven)), Constant(name="records", values=_records(filled))


def _halves(rows: npt.NDArray[np.int8], group: int) -> npt.NDArray[np.int16]:
    """256 * second + first of every pair, in the order of staged inputs; shape (pairs, depth)."""
    first, second = _paired(np.pad(rows, ((0, 0), (0, -rows.shape[1] % group))))
    halves = (256 * second + first).astype("<i2")
    quads = halves.reshape(len(halves), -1, 4)[:, :, [0, 2, 1, 3]]
    return quads.reshape(len(halves), -1)


def _bytes(halves: npt.NDArray[np.int16]) -> npt.NDArray[np.int8]:
    return np.frombuffer(np.ascontiguousarray(halves).tobytes(), np.int8)


def _paired(rows: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and second channel of every pair, (pairs, depth) each; an odd last one is paired with zeros."""
    even = np.pad(rows, ((0, len(rows) % 2), (0, 0))).astype(np.int64)
    return even[0::2], even[1::2]


def _records(sums: Sums) -> npt.NDArray[np.int32]:
    """`struct tn_pair_record` of each pair."""
    odd = len(sums.rows) % 2
    factors, addends, first, second = _factors(sums)
    bias = np.pad(sums.bias.astype(np.int64), (0, odd)).reshape(-1, 2)
    columns = [
        bias[:, 0] + (bias[:, 1] << 8),
        bias[:, 0],
        *np.pad(factors, (0, odd)).reshape(-1, 2).T,
        *np.pad(addends, (0, odd)).reshape(-1, 2).T,
        np.pad(first, (0, odd))[0::2] | np.pad(second, (0, odd))[1::2] << 8,
    ]
    return np.column_stack(columns).astype(np.uint32).astype(np.int32).reshape(-1)


_Column = npt.NDArray[np.int64]


def _factors(sums: Sums) -> tuple[_Column, _Column, _Column, _Column]:
    """Every channel's multiplier, addend, and shift as the first and as the second of a pair."""
    leveled = _leveled(sums) if sums.variant == _RELU else None
    values = np.array([each.value for each in leveled or sums.multipliers], np.int64)
    shifts = np.array([-each.shift for each in leveled or sums.multipliers], np.int64)
    if leveled is None:
        return values, (2 * sums.zero_point + 1) << shifts >> 1, shifts, shifts
    ahead = _LEVEL + 1 - shifts
    addends = ((2 * sums.zero_point + 1) << _LEVEL >> 1) + (1 << ahead - 2)
    return values, addends, ahead, 8 - ahead
