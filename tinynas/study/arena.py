"""The arena's plan as a picture: who lies where, layer by layer. As text for a terminal, and as SVG.

A moment is a layer, or the time before all layers, when the input is written, or after them, when the output is read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from jinja2 import Environment, PackageLoader, StrictUndefined

from tinynas.compiler import ArenaBlock, Program

_KINDS = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "TRANSPOSE_CONV": "conv",
    "FULLY_CONNECTED": "dense",
    "BATCH_MATMUL": "dense",
    "ADD": "join",
    "CONCATENATION": "join",
}
_SCRATCH = "scratch"

# Of the SVG, in its user units.
_COLUMN, _HEIGHT, _LEFT, _TOP, _BOTTOM, _RIGHT = 46, 420, 74, 62, 176, 16
_CHARACTER, _LINE, _LEAST_WIDTH = 6.2, 13, 640


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A block at one moment, called after the layer whose output it then holds."""

    offset: int
    bytes: int
    label: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One row of the picture. `used` is how many bytes of the arena are needed then."""

    title: str
    pieces: tuple[Piece, ...]
    used: int


def moments(program: Program) -> tuple[Moment, ...]:
    """The arena over time: before the first layer, at each layer, after the last."""
    count = len(program.layers)
    titles = ["input", *(f"{layer.index} {layer.op}" for layer in program.layers), "output"]
    return tuple(_moment(program, at, title) for at, title in zip(range(-1, count + 1), titles, strict=True))


def _moment(program: Program, at: int, title: str) -> Moment:
    live = [block for block in program.arena if block.first <= at <= block.last]
    pieces = [_piece(program, block, at) for block in live]
    return Moment(title=title, pieces=tuple(sorted(pieces, key=lambda each: each.offset)), used=_covered(live))


def _piece(program: Program, block: ArenaBlock, at: int) -> Piece:
    holder = _holder(program, block, at)
    label, kind = ("input", "input") if holder < 0 else (_title(program, holder), _kind(program, holder))
    if not block.tensors:
        label = kind = _SCRATCH
    return Piece(offset=block.offset, bytes=block.bytes, label=label, kind=kind)


def _holder(program: Program, block: ArenaBlock, at: int) -> int:
    """Position of the last layer up to `at` whose output lies in the block: in-place operators hand it on."""
    last = min(at, block.last, len(program.layers) - 1)
    writers = (index for index in range(last, block.first, -1) if program.layers[index].name in block.tensors)
    return next(writers, block.first)


def _title(program: Program, at: int) -> str:
    return f"{program.layers[at].index} {program.layers[at].op}"


def _kind(program: Program, at: int) -> str:
    return _KINDS.get(program.layers[at].op, "plain")


def _covered(blocks: Sequence[ArenaBlock]) -> int:
    """Bytes that are in at least one of the blocks, which may overlap where an output follows its input."""
    covered = end = 0
    for block in sorted(blocks, key=lambda each: each.offset):
        covered += max(0, block.offset + block.bytes - max(end, block.offset))
        end = max(end, block.offset + block.bytes)
    return covered


def text_picture(program: Program, width: int = 60) -> str:
    """One line per moment: the arena from its start to its end in `width` characters, then the bytes in use."""
    rows = moments(program)
    titles = max(len(row.title) for row in rows)
    peak = max(row.used for row in rows)
    end = f"{program.arena_bytes:,} B"
    lines = [f"{'':{titles}}  0{end:>{width - 1}}    in use"]
    for row in rows:
        note = "  peak" if row.used == peak else ""
        lines.append(f"{row.title:{titles}}  {_bar(row, program.arena_bytes, width)}  {row.used:>8,} B{note}")
    return "\n".join(lines)


def _bar(moment: Moment, arena_bytes: int, width: int) -> str:
    """Free memory is blank. Small pieces are drawn last and one character wide at least, so that none disappears.

    Where an output trails behind its input in the same memory, the one drawn last names both.
    """
    cells = [" "] * width
    drawn: list[Piece] = []
    for each in sorted(moment.pieces, key=lambda each: -each.bytes):
        below = [other for other in drawn if _share_memory(each, other)]
        piece = replace(each, label=_joined([each, *below])) if below else each
        drawn.append(each)
        start = min(round(piece.offset * width / arena_bytes), width - 1)
        end = max(start + 1, round((piece.offset + piece.bytes) * width / arena_bytes))
        cells[start:end] = _drawn(piece, end - start)
    return "".join(cells)


def _share_memory(first: Piece, second: Piece) -> bool:
    return first.offset < second.offset + second.bytes and second.offset < first.offset + first.bytes


def _joined(pieces: Sequence[Piece]) -> str:
    numbers = [_number(piece) for piece in pieces]
    return "+".join(sorted(numbers, key=lambda number: int(number) if number.isdigit() else -1))


def _number(piece: Piece) -> str:
    """Its layer's, or what stands for it."""
    return piece.label.split()[0]


def _drawn(piece: Piece, width: int) -> str:
    if piece.kind == _SCRATCH:
        return "░" * width
    if width == 1:
        return "│"
    inside = width - 2
    label = next((each for each in (piece.label, _number(piece)) if len(each) <= inside), "")
    return f"├{label:─<{inside}}┤"


@dataclass(frozen=True, kw_only=True)
class _Box:
    """A block in the SVG: from one moment to another, from one address to another. `label` only where it fits."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    label: str
    tip: str


def svg_picture(program: Program, title: str) -> str:
    """Time to the right, addresses downwards, a box for each block, which tells more when pointed at."""
    rows = moments(program)
    scale = _HEIGHT / max(program.arena_bytes, 1)
    peak = max(row.used for row in rows)
    environment = Environment(
        loader=PackageLoader("tinynas.study", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("arena.svg.j2").render(
        title=title,
        arena_bytes=program.arena_bytes,
        lower_bound_bytes=program.arena_lower_bound_bytes,
        width=max(_LEFT + len(rows) * _COLUMN + _RIGHT, _LEAST_WIDTH),
        height=_TOP + _HEIGHT + _BOTTOM,
        left=_LEFT,
        top=_TOP,
        bottom=_TOP + _HEIGHT,
        right=_LEFT + len(rows) * _COLUMN,
        column=_COLUMN,
        boxes=list(_boxes(program, scale)),
        columns=[
            {"x": _LEFT + at * _COLUMN, "title": row.title, "used": row.used, "peak": row.used == peak}
            for at, row in enumerate(rows)
        ],
        ticks=[(_TOP + address * scale, address) for address in _ticks(program.arena_bytes)],
    )


def _boxes(program: Program, scale: float) -> Iterator[_Box]:
    """Large ones first, so that a small block which overlaps a large one is seen."""
    for block in sorted(program.arena, key=lambda each: -each.bytes):
        holders = _holders(program, block)
        piece = _piece(program, block, block.first)
        width, height = (block.last - block.first + 1) * _COLUMN, block.bytes * scale
        names = ", then ".join(holders) or piece.label
        fits = height >= _LINE and len(names) * _CHARACTER <= width - 6
        yield _Box(
            x=_LEFT + (block.first + 1) * _COLUMN,
            y=_TOP + block.offset * scale,
            width=width,
            height=max(height, 1.5),
            kind=piece.kind,
            label=names if fits else piece.label.split()[0] if height >= _LINE else "",
            tip=f"{names}: {block.bytes:,} B at {block.offset:,}. {', '.join(block.tensors)}".rstrip(". "),
        )


def _holders(program: Program, block: ArenaBlock) -> list[str]:
    """The labels that a block has one after the other."""
    labels = [_piece(program, block, at).label for at in range(block.first, block.last + 1)]
    return [labels[0], *(after for before, after in pairwise(labels) if after != before)]


def _ticks(arena_bytes: int) -> list[int]:
    """Four to eight round addresses, and the end."""
    step = 1
    while arena_bytes / step > 8:
        step *= 2
    inside = [address for address in range(0, arena_bytes, step) if arena_bytes - address > step / 3]
    return [*inside, arena_bytes]
