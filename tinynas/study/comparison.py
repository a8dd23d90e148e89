"""Candidates side by side: figure by figure, and where their genes differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tinynas.study.pages import Detail
from tinynas.study.quantities import duration, percent, title_of, written


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that is said of each candidate. `marked`: of figures the best ones, of genes those that differ."""

    title: str
    texts: tuple[str, ...]
    marked: tuple[bool, ...]


def figure_lines(details: Sequence[Detail], figures: Sequence[str]) -> list[Line]:
    """Accuracy, costs and size of each candidate; where all are alike none is the best."""
    rows = [detail.row for detail in details]
    lines = [_line("accuracy, validation", [row.accuracy for row in rows], percent, largest=True)]
    for figure in figures:
        values = [None if row.costs is None else row.costs.figure(figure) for row in rows]
        lines.append(_line(title_of(figure), values, partial(written, figure)))
    sizes: dict[str, Callable[[Detail], int]] = {
        "layers": lambda detail: len(detail.layers),
        "multiply-accumulates": lambda detail: sum(layer.macs for layer in detail.layers),
        "constants of layers [B]": lambda detail: sum(layer.constants_bytes for layer in detail.layers),
    }
    for title, size in sizes.items():
        counts = [size(detail) if detail.layers else None for detail in details]
        lines.append(_line(title, counts, lambda value: "–" if value is None else f"{value:,}"))
    worked = tuple(duration(row.seconds) for row in rows)
    return [*lines, Line(title="worked on for", texts=worked, marked=(False,) * len(rows))]


def _line(title: str, values: Sequence[float | None], text: Callable[[Any], str], *, largest: bool = False) -> Line:
    known = {value for value in values if value is not None}
    best = None if len(known) < 2 else max(known) if largest else min(known)
    marked = tuple(value is not None and value == best for value in values)
    return Line(title=title, texts=tuple(text(value) for value in values), marked=marked)


def gene_lines(details: Sequence[Detail], axes: Sequence[str]) -> list[Line]:
    """Each axis' value of each candidate; nothing where a genome is not of these axes."""
    genomes = [detail.row.trial.genome.partition(":")[2].split("-") for detail in details]
    if any(len(genome) != len(axes) for genome in genomes):
        return []
    return [
        Line(title=axis, texts=values, marked=(len(set(values)) > 1,) * len(values))
        for axis, values in zip(axes, zip(*genomes, strict=True), strict=True)
    ]
