"""A decoded network as boxes and lines, laid out from top to bottom; a template turns them into SVG.

All coordinates are SVG user units, x to the right and y downwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tinynas.study.reading import NetworkLayer

BOX_WIDTH = 280
_BOX_HEIGHT = 34
_GAP = 14
MARGIN = 6
_LANE = 16

_KINDS = {
    "input": "input",
    "conv": "conv",
    "depthwise": "depthwise",
    "dense": "dense",
    "add": "join",
    "concat": "join",
}
_TITLES = {
    "input": "Input",
    "conv": "Conv",
    "depthwise": "Depthwise",
    "dense": "Dense",
    "add": "Add",
    "max_pool": "Max pool",
    "avg_pool": "Average pool",
    "global_avg_pool": "Global average",
    "flatten": "Flatten",
    "resize": "Resize",
}


@dataclass(frozen=True, kw_only=True)
class Box:
    """One layer. `kind` chooses its colour, `detail` is its activation, `shape` its output."""

    y: int
    height: int
    kind: str
    title: str
    detail: str
    shape: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One connection as an SVG path; a skip connection runs in a lane of its own right of the boxes."""

    path: str
    skip: bool


@dataclass(frozen=True, kw_only=True)
class Drawing:
    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def draw(network: Sequence[NetworkLayer]) -> Drawing:
    """Lay out a network whose layers read only earlier ones."""
    boxes = tuple(_box(layer, MARGIN + index * (_BOX_HEIGHT + _GAP)) for index, layer in enumerate(network))
    pairs = [(source, index) for index, layer in enumerate(network) for source in layer.inputs]
    skips = [(source, target) for source, target in pairs if target - source > 1]
    lanes = _lanes(skips)
    straight = [_straight(boxes[source], boxes[target]) for source, target in pairs if target - source == 1]
    around = [_around(boxes[source], boxes[target], lane) for (source, target), lane in zip(skips, lanes, strict=True)]
    return Drawing(
        width=2 * MARGIN + BOX_WIDTH + _LANE * (max(lanes, default=-1) + 1),
        height=2 * MARGIN + max(len(boxes) * (_BOX_HEIGHT + _GAP) - _GAP, 0),
        boxes=boxes,
        lines=(*straight, *around),
    )


def _box(layer: NetworkLayer, y: int) -> Box:
    parts = [_TITLES.get(layer.op, layer.op)]
    if layer.kernel and (max(layer.kernel) > 1 or layer.op == "conv"):
        parts.append("×".join(str(size) for size in layer.kernel))
    if layer.stride and max(layer.stride) > 1:
        parts.append("/" + "×".join(str(step) for step in sorted(set(layer.stride), reverse=True)))
    return Box(
        y=y,
        height=_BOX_HEIGHT,
        kind=_KINDS.get(layer.op, "plain"),
        title=" ".join(parts),
        detail="" if layer.activation in {None, "none"} else str(layer.activation),
        shape="×".join(str(size) for size in layer.shape),
        name=layer.name,
    )


def _straight(source: Box, target: Box) -> Line:
    middle = MARGIN + BOX_WIDTH // 2
    return Line(path=f"M{middle} {source.y + source.height}V{target.y}", skip=False)


def _around(source: Box, target: Box, lane: int) -> Line:
    edge = MARGIN + BOX_WIDTH
    bend = edge + _LANE * (lane + 1) - 4
    start, end = source.y + source.height // 2, target.y + target.height // 2
    return Line(path=f"M{edge} {start}H{bend - 6}q6 0 6 6V{end - 6}q0 6 -6 6H{edge}", skip=True)


def _lanes(skips: Sequence[tuple[int, int]]) -> list[int]:
    """A lane per skip connection, so that two which overlap never share one: the shortest stay nearest."""
    taken: list[list[tuple[int, int]]] = []
    lanes = [0] * len(skips)
    for index in sorted(range(len(skips)), key=lambda each: skips[each][1] - skips[each][0]):
        source, target = skips[index]
        free = (
            lane for lane, others in enumerate(taken) if all(target <= low or source >= high for low, high in others)
        )
        lane = next(free, len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((source, target))
        lanes[index] = lane
    return lanes
