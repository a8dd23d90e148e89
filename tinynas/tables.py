"""Tables of what was found, on stdout."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tinynas.study.arena import text_picture
from tinynas.study.profile import Profile, Work
from tinynas.study.screening import Screening
from tinynas.study.subspaces import LEAST_FEASIBLE, Refinement

_DISPLACED = 0.001
_WIDE = 110


def front_table(found: Mapping[str, Any]) -> None:
    """Print a study's summary and its front, as `summary` gives it, to stdout."""
    console = _stdout()
    task, boards = (found["task"] or {}).get("name"), [found["board"], *found["also"]]
    console.print(
        f"{task} on {', '.join(boards)}, seed {found['seed']}: {found['evaluated']} evaluated, "
        f"{found['trained']} trained, {found['infeasible']} infeasible, {found['failed']} failed"
        + ("" if found["finished"] else ", not finished"),
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    table = Table(
        caption=_sources([cost for point in found["front"] for cost in (point, *point["also"].values())]),
        caption_justify="left",
    )
    board_column = ("board",) if len(boards) > 1 else ()
    for name in ("trial", "int8 val", "int8 test", *board_column, "latency", "SRAM", "flash", "energy", "by"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in found["front"]:
        of_point = (str(point["trial"]), _percent(point["accuracy_int8_val"]), _percent(point["accuracy_int8_test"]))
        for board, cost in {found["board"]: point, **point["also"]}.items():
            energy = cost["energy_uj"]
            table.add_row(
                *(of_point if cost is point else ("", "", "")),
                *((board,) if board_column else ()),
                f"{cost['latency_us'] / 1000:.3f} ms",
                f"{cost['sram_bytes']['total']:,} B",
                f"{cost['flash_bytes']['total']:,} B",
                "" if energy is None else f"{energy:,.0f} uJ",
                (point["method"] or "") if cost is point else "",
            )
    console.print(table)


def _sources(points: Sequence[Mapping[str, Any]]) -> str:
    """Where the figures come from, so that an emulated or estimated one never poses as measured."""
    figures = (("latency", "latency_source"), ("SRAM", "sram_source"), ("flash", "flash_source"))
    named = [(name, {point[source] for point in points}) for name, source in (*figures, ("energy", "energy_source"))]
    return ", ".join(f"{name} {'/'.join(sorted(filter(None, sources)))}" for name, sources in named if any(sources))


def calibration_table(found: Mapping[str, Any]) -> None:
    """Print how far estimates are from what was measured, to stdout."""
    table = Table(box=SIMPLE)
    for title in ("method", "networks", "mean error", "within 5 %", "largest error", "rank correlation"):
        table.add_column(title, justify="left" if title == "method" else "right")
    for method in ("analytic", "table", "learned"):
        errors = found[method]
        if "reason" in errors:
            table.add_row(method, "-", errors["reason"])
        elif not errors["estimated"]:
            table.add_row(method, "0", "-", "-", "-", "-")
        else:
            shares = (f"{errors[name]:.2%}" for name in ("mean_error", "within_5_percent", "largest_error"))
            ranks = errors["rank_correlation"]
            table.add_row(method, f"{errors['estimated']}", *shares, "-" if ranks is None else f"{ranks:.4f}")
    console = _stdout(width=110)
    console.print(table)
    console.print(
        f"fitted to {found['fitted']} networks with {found['layers']:,} layers of {found['kinds']} kinds; errors are "
        f"those on the other {found['held_out']}, latencies {found['source']}",
        highlight=False,
    )
    console.print(f"calibration: {found['calibration']}", highlight=False, soft_wrap=True)


def refinement_table(found: Refinement) -> None:
    """Print the sub-spaces, the one with the most compute at the top first, to stdout."""
    table = Table(box=SIMPLE)
    scales = list(found.subspaces[0].values)
    for title in (*scales, "feasible", "half below", "80 % below", "most MACs"):
        table.add_column(title, justify="right")
    ranked = sorted(found.subspaces, key=lambda each: (len(each.macs) < LEAST_FEASIBLE, -(each.top_macs or 0)))
    for each in ranked:
        quantiles = (each.quantile(0.5), each.top_macs, each.quantile(1.0))
        shares = ("-" if macs is None else f"{macs:,}" for macs in quantiles)
        table.add_row(*(f"{value}" for value in each.values.values()), f"{len(each.macs)} of {each.sampled}", *shares)
    console = _stdout(width=110)
    console.print(table)
    console.print(
        "Feasible by lower bounds: a network that passes may still be too slow or too large when it is measured. "
        f"Sub-spaces with fewer than {LEAST_FEASIBLE} feasible networks come last.",
        highlight=False,
    )
    console.print(f"\n{found.setting}", markup=False, highlight=False)


def screening_table(found: Screening) -> None:
    """Print what each operator costs for a multiply-accumulate, and which ones are done badly, to stdout."""
    table = Table(box=SIMPLE)
    for title in ("choice", "size", "MAC", "µs", "ns per MAC", "nJ per MAC", "of the best"):
        table.add_column(title, justify="left" if title in {"choice", "size"} else "right")
    for each in found.timings:
        ratio = found.ratio(each)
        table.add_row(
            f"{each.name} {each.choice}",
            "x".join(map(str, each.size)),
            f"{each.macs:,}",
            "does not fit" if each.latency_us is None else f"{each.latency_us:,.1f}",
            "-" if each.ns_per_mac is None else f"{each.ns_per_mac:.2f}",
            "-" if each.nj_per_mac is None else f"{each.nj_per_mac:.3f}",
            "-" if ratio is None else f"{ratio:.2f}",
        )
    console = _stdout(width=110)
    console.print(table)
    console.print(f"Latencies are {found.source}, of {found.validity.board}.", highlight=False)
    if not found.dropped:
        console.print(f"Nothing takes more than {found.factor:g} times the best at every size.", highlight=False)
        return
    for name, choices in found.dropped.items():
        said = ", ".join(map(str, choices))
        console.print(f"{name} {said}: more than {found.factor:g} times the best at every size", highlight=False)
    console.print(f"\n{found.setting}", markup=False, highlight=False)


def profile_table(found: Profile) -> None:
    """Print a network's layers, its totals and its arena over time to stdout."""
    console = _stdout(width=140)
    console.print(_layer_table(found, wide=console.width >= _WIDE))
    if abs(found.displaced) >= _DISPLACED:
        console.print(
            f"Layers were counted with marks, which move tables in flash: together they take {found.displaced:+.1%}.",
            highlight=False,
        )
    sram, flash = found.cost.sram, found.cost.flash
    if sram is not None and flash is not None:
        parts = f"arena {sram.arena:,}, static {sram.static:,}, stack {sram.stack or 0:,}"
        console.print(f"RAM   {sram.total:,} B: {parts}", highlight=False)
        parts = f"code {flash.code or 0:,}, constants {flash.constants:,}"
        console.print(f"flash {flash.total:,} B: {parts}", highlight=False)
    if found.program.channels_left_out:
        console.print(
            f"{found.program.channels_left_out:,} channels that cannot influence the output are left out:"
            " --keep-constant-channels computes them.",
            highlight=False,
        )
    if found.program.patched is not None:
        info = found.program.patched
        console.print(
            f"{info.layers} layers run in {info.patches} patches of rows: {info.arena_bytes_without:,} B of arena"
            f" without, {info.recomputed_macs:,} multiply-accumulates computed again, {info.moved_bytes:,} B of rows"
            " moved.",
            highlight=False,
        )
    picture = text_picture(found.program, width=max(20, min(60, console.width - 45)))
    console.print(f"\n{picture}", markup=False, highlight=False, soft_wrap=True)


def _layer_table(found: Profile, *, wide: bool) -> Table:
    """On a narrow terminal columns are left out and words are cut, never figures."""
    title = f"{found.model} on {found.board.name}: one inference, emulated"
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    columns = {
        "layer": [f"{layer.index} {layer.op}" for layer in found.program.layers]
        + ["outside layers", "whole inference"],
        "shapes": [layer.comment.partition(";")[0] for layer in found.program.layers] + ["", ""],
    }
    works = (*found.layers, found.outside, found.whole)
    columns |= {name: [form(work) for work in works] for name, form in _FIGURES.items()}
    if not wide:
        columns = {name: cells for name, cells in columns.items() if name not in {"shapes", "MAC", "waits"}}
    for name in columns:
        figure = name in _FIGURES
        table.add_column(name, justify="right" if figure else "left", no_wrap=figure, min_width=None if figure else 12)
    for row in zip(*columns.values(), strict=True):
        if row[0] == "outside layers":
            table.add_section()
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
    return table


_FIGURES: Mapping[str, Callable[[Work], str]] = {
    "MAC": lambda work: f"{work.macs:,}",
    "instructions": lambda work: f"{work.instructions:,}",
    "per MAC": lambda work: "" if work.instructions_per_mac is None else f"{work.instructions_per_mac:.2f}",
    "cycles": lambda work: f"{work.cycles:,}",
    "waits": lambda work: f"{work.wait_cycles:,}",
    "µs": lambda work: f"{work.latency_us:,.1f}",
    "share": lambda work: f"{work.share:.1%}",
}


def studies_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the studies of a folder to stdout."""
    table = Table()
    for name in ("study", "task", "board", "seed", "evaluated", "trained", "finished", "int8 val"):
        table.add_column(name)
    for row in rows:
        if "error" in row:
            table.add_row(row["study"], Text(row["error"]))
            continue
        boards = ", ".join((row["board"], *row["also"]))
        cells = [str(row[name]) for name in ("seed", "evaluated", "trained", "finished")]
        table.add_row(row["study"], str(row["task"]), boards, *cells, _percent(row["accuracy_int8_val"]))
    _stdout().print(table)


def proxies_table(found: Mapping[str, Any]) -> None:
    """Print how each proxy ranks a study's networks, as `rank_proxies` gives it, to stdout."""
    title = f"{found['task']}: rank correlation with the int8 accuracy of {found['trained']} trained networks"
    table = Table(title=title, title_justify="left")
    for name in ("proxy", "Spearman", "Kendall", "p", "without a score"):
        table.add_column(name, justify="left" if name == "proxy" else "right", no_wrap=True)
    for each in found["proxies"]:
        figures = (each["spearman"], each["kendall"])
        known = [("-" if figure is None else f"{figure:+.3f}") for figure in figures]
        p_value = "-" if each["p_value"] is None else f"{each['p_value']:.2g}"
        table.add_row(each["proxy"], *known, p_value, str(each["degenerate"]))
    _stdout().print(table)


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.2%}"


def _stdout(width: int = 120) -> Console:
    """A file or a pipe has no width of its own: take one that no table is cut off at."""
    return Console() if sys.stdout.isatty() else Console(width=width)
