"""What a layer's compiled loops do: how often each of them turns, from the parameters of its calls.

A layer's time is close to linear in these counts, with factors that belong to its kernel. The headers of firmware/lib
that are named beside a function say what its loops are; where blocks are processed together, what remains counts extra.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tinynas.compiler.program import CallInfo, LayerInfo, Program

Counts = Mapping[str, float]
Parameters = Mapping[str, int]

FREE = "free"
# Kernels that are functions of their own: TN_APART in firmware/lib/tn_compiler.h.
_APART = ("tn_pair_conv", "tn_depthwise_")


@dataclass(frozen=True, kw_only=True)
class Work:
    """A layer's loops.

    kind: the kernels that it calls, with their variants; family: those whose loops are counted alike; counts: turns
    of each loop by name, always the same names within a family. A layer of kind FREE makes no call and takes no time.
    """

    kind: str
    family: str
    counts: Counts


def work_of(program: Program) -> tuple[Work, ...]:
    """The work of each layer of a network that does not run in patches.

    A kernel that is a function of its own and that one layer calls alone is compiled for that layer's sizes, and so
    faster: it is another kind.
    """
    if program.patched is not None:
        raise ValueError(f"{program.name} runs in patches, whose turns are not counted")
    users = Counter(call.kernel for calls in program.calls for call in calls)
    return tuple(_work(layer, calls, users) for layer, calls in zip(program.layers, program.calls, strict=True))


def _work(layer: LayerInfo, calls: Sequence[CallInfo], users: Mapping[str, int]) -> Work:
    if not calls:
        return Work(kind=FREE, family=FREE, counts={})
    kind = "+".join(sorted({_kind(call, users[call.kernel]) for call in calls}))
    name = calls[0].kernel.replace("_add", "", 1) if _adds(calls[0]) else calls[0].kernel
    counted = {"values": layer.output_bytes, "macs": layer.macs, "constants": layer.constants_bytes}
    family = _EXACT.get(name) or next((each for start, each in _FAMILIES.items() if name.startswith(start)), None)
    if family is None or len(calls) > 1:
        return Work(kind=kind, family=kind, counts={"calls": len(calls), **counted})
    added = {"values": layer.output_bytes} if _adds(calls[0]) else {}
    # One that adds has the convolution's parameters beside the addition's.
    parameters = {name.removeprefix("conv."): value for name, value in calls[0].parameters.items()}
    counts = {"calls": 1, **family(parameters), **added}
    # One function multiplies for both.
    named = "_matmul" if family in (_conv, _fully_connected) else family.__name__
    return Work(kind=kind, family=f"{named}{'_add' if added else ''}", counts=counts)


def _adds(call: CallInfo) -> bool:
    """Whether a convolution adds its outputs to another summand: passes/addition.py."""
    return "conv_add" in call.kernel


def _kind(call: CallInfo, users: int) -> str:
    stride = call.parameters.get("stride")
    alone = users == 1 and call.kernel.startswith(_APART)
    parts = [*map(str, call.variants), *([] if stride is None else [f"stride_{stride}"]), *(["alone"] if alone else [])]
    return "-".join((call.kernel, *parts))


@dataclass(frozen=True, kw_only=True)
class _Taps:
    """Of a window over an image: pixels of output, those whose window is inside, taps of one window and of all."""

    pixels: int
    whole: int
    taps: int
    inside: int
    channels: int
    height: int
    width: int

    @property
    def edges(self) -> int:
        """Pixels whose window reaches outside."""
        return self.pixels - self.whole

    @property
    def edge_taps(self) -> int:
        """Taps inside, of windows that reach outside."""
        return self.inside - self.whole * self.taps

    @property
    def outside(self) -> int:
        """Taps outside."""
        return self.pixels * self.taps - self.inside


def _taps(p: Parameters) -> _Taps:
    rows_whole, rows_inside = _along(p, "height", "y", "top")
    columns_whole, columns_inside = _along(p, "width", "x", "left")
    return _Taps(
        pixels=p["window.out_height"] * p["window.out_width"],
        whole=rows_whole * columns_whole,
        taps=p["window.height"] * p["window.width"],
        inside=rows_inside * columns_inside,
        channels=p["window.channels"],
        height=p["window.height"],
        width=p["window.width"],
    )


def _along(p: Parameters, extent: str, axis: str, edge: str) -> tuple[int, int]:
    """Windows along one axis that are inside as a whole, and taps inside of all windows."""
    outputs, size = p[f"window.out_{extent}"], p[f"window.{extent}"]
    stride, dilation, before = (p[f"window.{name}"] for name in (f"stride_{axis}", f"dilation_{axis}", f"pad_{edge}"))
    inside = [
        sum(0 <= place * stride - before + tap * dilation < p[f"window.in_{extent}"] for tap in range(size))
        for place in range(outputs)
    ]
    return inside.count(size), sum(inside)


def _pair_products(p: Parameters, rounds: int) -> Counts:
    """tn_pair.h: two channels at a time, four values of a row."""
    pairs, quads = -(-p["matmul.channels"] // 2), p["matmul.depth"] / 4
    return {"rounds": rounds, "pairs": rounds * pairs, "products": rounds * pairs * quads, "staged": rounds * quads}


def _pair_conv_whole(p: Parameters) -> Counts:
    """tn_pair_conv.h: three pixels at a time, one or two last ones alone."""
    pixels = p["window.out_height"] * p["window.out_width"]
    return _pair_products(p, pixels // 3 + pixels % 3)


def _pair_conv_quads(p: Parameters) -> Counts:
    t = _taps(p)
    edges = {"edges": t.edges, "edge_taps": t.edges * t.taps, "edge_quads": t.edges * t.taps * t.channels / 4}
    return {**_pair_conv_whole(p), "rows": t.whole * t.height, **edges}


def _pair_conv_bytes(p: Parameters) -> Counts:
    t = _taps(p)
    words = -(-t.width * t.channels // 4)
    return {
        **_pair_conv_quads(p),
        "words": t.whole * t.height * words,
        "edge_bytes": t.edges * t.taps * t.channels,
    }


def _pair_fully_connected(p: Parameters) -> Counts:
    """tn_pair_fully_connected.h: four channels at a time, eight values."""
    fours, eights = -(-p["matmul.channels"] // 4), p["matmul.depth"] / 8
    return {"fours": fours, "products": fours * eights, "staged": p["count"]}


def _conv(p: Parameters) -> Counts:
    """tn_conv.h: two pixels at a time, whose patches are copied unless they lie in the input as they are."""
    t, copied = _taps(p), 1 - p["contiguous"]
    return {
        **_products(p, t.pixels),
        "rows": copied * t.pixels * t.height,
        "copied": copied * t.pixels * p["matmul.depth"],
        "outside": copied * t.outside * t.channels,
        "edge_rows": copied * t.edges * t.height,
    }


def _fully_connected(p: Parameters) -> Counts:
    """tn_fully_connected.h: two input vectors at a time, where they are."""
    return {**_products(p, p["rows"]), "rows": 0, "copied": 0, "outside": 0, "edge_rows": 0}


def _products(p: Parameters, vectors: int) -> Counts:
    """tn_matmul.h: two input vectors at a time, a last one alone, and four channels, one by one those that remain."""
    pairs, alone, fours, rest = vectors // 2, vectors % 2, p["matmul.channels"] // 4, p["matmul.channels"] % 4
    depth = p["matmul.depth"]
    return {
        "pairs": pairs,
        "alone": alone,
        "outputs": vectors * p["matmul.channels"],
        "fours": pairs * fours,
        "products": pairs * fours * depth,
        "products_alone": alone * fours * depth,
        "products_of_rest": vectors * rest * depth,
    }


def _depthwise(p: Parameters) -> Counts:
    """tn_depthwise.h: a pixel at a time, four channels, one by one those that remain."""
    t, quads, rest = _taps(p), p["quads"], p["channels"] - 4 * p["quads"]
    return {
        "pixels": t.pixels,
        "whole": t.whole * quads,
        "whole_rows": t.whole * quads * t.height,
        "whole_taps": t.whole * quads * t.taps,
        "edges": t.edges * quads,
        "edge_rows": t.edges * quads * t.height,
        "edge_taps": t.edge_taps * quads,
        "outside": t.outside * quads,
        "rest": t.pixels * rest,
        "rest_taps": t.pixels * t.taps * rest,
    }


def _depthwise_3x3(p: Parameters, width: tuple[int, int]) -> Counts:
    """tn_depthwise_3x3.h: four channels' strips of columns at a time. width: a strip's columns, strides 1 and 2."""
    fours, rest = p["planes.channels"] // 4, p["planes.channels"] % 4
    strips = -(-p["planes.out_columns"] // width[p["stride"] - 1])
    channels = 4 * (fours + (rest > 0))
    blocks = -(-p["planes.out_rows"] // 2) * -(-p["planes.out_columns"] // 2)
    return {
        "fours": channels / 4,
        "strips": channels * strips,
        "rows": channels * strips * p["planes.out_rows"],
        "blocks": channels * blocks,
        "outputs": channels * p["planes.out_rows"] * p["planes.out_columns"],
        "staged": channels * p["planes.rows"] * p["planes.columns"],
        "staged_rows": channels * strips * p["planes.rows"],
    }


def _depthwise_narrow(p: Parameters) -> Counts:
    return _depthwise_3x3(p, (6, 3))


def _depthwise_wide(p: Parameters) -> Counts:
    return _depthwise_3x3(p, (14, 6))


def _depthwise_line(p: Parameters) -> Counts:
    """tn_depthwise_line.h: four channels are staged, then each is computed, two outputs at a time."""
    fours, channels = -(-p["planes.channels"] // 4), p["planes.channels"]
    return {
        "fours": fours,
        "channels": channels,
        "outputs": channels * -(-p["line.columns"] // 2),
        "staged": fours * p["pitch"],
    }


def _depthwise_staged(p: Parameters) -> Counts:
    """tn_depthwise_staged.h: four channels, bands of rows, four outputs of a channel at a time."""
    fours, channels, rows = -(-p["planes.channels"] // 4), p["planes.channels"], p["planes.out_rows"]
    outputs = channels * rows * -(-p["planes.out_columns"] // 4)
    bands = -(-rows // p["band"])
    known = p["planes.rows"]
    needed = (rows - 1) * p["stride_rows"] + (p["height"] - 1) * p["dilation_rows"] + 1
    kept = (bands - 1) * ((p["height"] - 1) * p["dilation_rows"] + 1 - p["stride_rows"])
    return {
        "fours": fours,
        "bands": fours * bands,
        "channels": channels,
        "band_channels": channels * bands,
        "weights": channels * p["height"] * p["taps"],
        "rows": channels * rows,
        "outputs": outputs,
        "output_rows": outputs * p["height"],
        "products": outputs * p["height"] * p["taps"],
        "staged_rows": fours * min(needed, known),
        "staged": fours * min(needed, known) * p["words"],
        "filled": fours * max(needed - known, 0) * p["pitch"],
        "kept": fours * kept * p["pitch"],
    }


def _depthwise_doubled(p: Parameters) -> Counts:
    return _depthwise_staged(p)


def _pool(p: Parameters) -> Counts:
    """tn_pool.h: a pixel, then a channel at a time."""
    t = _taps(p)
    values = t.pixels * t.channels
    return {
        "rows": p["window.out_height"],
        "pixels": t.pixels,
        "values": values,
        "value_rows": values * t.height,
        "taps": t.inside * t.channels,
    }


def _mean(p: Parameters) -> Counts:
    """tn_mean.h: an output at a time."""
    values = p["outer"] * p["middle"] * p["inner"]
    return {"values": values, "rows": values * p["count"], "taps": values * p["count"] * p["count_2"]}


def _elements(p: Parameters) -> Counts:
    return {"values": p["count"]}


# By the beginning of a kernel's name; the first that fits.
_FAMILIES: Mapping[str, Callable[[Parameters], Counts]] = {
    "tn_pair_conv_whole": _pair_conv_whole,
    "tn_pair_conv_quads": _pair_conv_quads,
    "tn_pair_conv_bytes": _pair_conv_bytes,
    "tn_pair_fully_connected": _pair_fully_connected,
    "tn_depthwise_3x3_narrow": _depthwise_narrow,
    "tn_depthwise_3x3_wide": _depthwise_wide,
    "tn_depthwise_line": _depthwise_line,
    "tn_depthwise_doubled": _depthwise_doubled,
    "tn_depthwise_staged": _depthwise_staged,
    "tn_add_linear": _elements,
}
# Kernels whose names begin like others'.
_EXACT: Mapping[str, Callable[[Parameters], Counts]] = {
    "tn_average_pool": _pool,
    "tn_conv": _conv,
    "tn_depthwise": _depthwise,
    "tn_fully_connected": _fully_connected,
    "tn_max_pool": _pool,
    "tn_mean": _mean,
}
