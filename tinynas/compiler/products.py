"""Sums of products with weights, before a CPU's form of them is chosen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from tinynas.compiler.activation import Range
from tinynas.compiler.fixed_point import Multiplier
from tinynas.compiler.graph import Operator, Tensor
from tinynas.compiler.step import Call, Step
from tinynas.compiler.window import Window


@dataclass(frozen=True, kw_only=True, eq=False)
class Products:
    """Sums of products and what turns them into int8 outputs.

    rows: int8 (channels, depth); bias: int32 (channels,), folded; multipliers: one per channel; zero_point and limits
    are the output's.
    """

    rows: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multipliers: tuple[Multiplier, ...]
    zero_point: int
    limits: Range

    @classmethod
    def of(
        cls,
        output: Tensor,
        rows: npt.NDArray[np.int8],
        bias: npt.NDArray[np.int32],
        multipliers: Sequence[Multiplier],
        limits: Range,
    ) -> Self:
        """multipliers: one, or one per channel."""
        each = tuple(multipliers) * (1 if len(multipliers) == len(rows) else len(rows))
        return cls(rows=rows, bias=bias, multipliers=each, zero_point=output.zero_point, limits=limits)

    def step(self, operator: Operator, window: Window, call: Call, *, in_place: bool) -> Step:
        """The step that computes them over the outputs of a depthwise convolution's window."""
        return Step(
            operator=operator,
            calls=(call,),
            macs=math.prod(window.output) * self.rows.size,
            detail=f"{window}, {self.limits.name}",
            overwrites=(operator.activation(),) if in_place else (),
        )
