"""Stages: runs of equal blocks, and the one way of writing a sequence of blocks as stages.

Stages that vanish leave gaps, and two neighbours with equal settings may be one stage: without packing, the same
network would have several keys, and be evaluated once for each.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tinynas.space.genome import Axis


class Stage(NamedTuple):
    """`depth` blocks with equal `settings`, of which the first has `stride` and the others stride 1."""

    depth: int
    stride: int
    settings: tuple[int, ...]


def packed(stages: Iterable[Stage], deepest: int) -> list[Stage]:
    """The same blocks in the fewest stages of depth 1 to `deepest`, filled from the front."""
    found: list[Stage] = []
    for stage in stages:
        for position in range(stage.depth):
            stride = 1 if position else stage.stride
            last = found[-1] if found else None
            if last and stride == 1 and stage.settings == last.settings and last.depth < deepest:
                found[-1] = last._replace(depth=last.depth + 1)
            else:
                found.append(Stage(1, stride, stage.settings))
    return found


def pack_genes(genes: Mapping[str, int], axes: Sequence[Axis], settings: Sequence[str]) -> dict[str, int]:
    """Genes whose axes are depth_N, stride_N and `settings`_N for stages N = 1, 2, ..., with their stages packed.

    The axes of the stages left over, whose first depth is 0, get their first choices.
    """
    choices = {axis.name: axis.choices for axis in axes}
    count = sum(name.startswith("depth_") for name in choices)
    stages = [
        Stage(genes[f"depth_{n}"], genes[f"stride_{n}"], tuple(genes[f"{name}_{n}"] for name in settings))
        for n in range(1, count + 1)
    ]
    result = dict(genes)
    for n in range(1, count + 1):
        result |= {f"{name}_{n}": choices[f"{name}_{n}"][0] for name in ("depth", "stride", *settings)}
    for n, stage in enumerate(packed(stages, max(choices["depth_1"])), start=1):
        values = (stage.depth, stage.stride, *stage.settings)
        result |= {f"{name}_{n}": value for name, value in zip(("depth", "stride", *settings), values, strict=True)}
    return result
