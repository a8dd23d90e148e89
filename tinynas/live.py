"""What a person sees: a search while it runs, and tables of what was found."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tinynas.cost import Cost, Costs
from tinynas.study.arena import text_picture
from tinynas.study.profile import Profile, Work
from tinynas.study.screening import Screening
from tinynas.study.session import Event
from tinynas.study.store import Finalist, Trial
from tinynas.study.subspaces import LEAST_FEASIBLE, Refinement
from tinynas.study.summary import search_front
from tinynas.study.testbed import Lab

_SHOWN_TRIALS = 8
_SHOWN_FRONT = 8
_DISPLACED = 0.001
_WIDE = 110


@contextmanager
def watched(study: Path) -> Iterator[Callable[[Event], None]]:
    """Show a run's events on stderr: a live table on a terminal, a line per verdict elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda event: _print_line(console, event)
    else:
        view = _View(study)
        with Live(console=console, refresh_per_second=4, get_renderable=view.render):
            yield view.take


def _print_line(console: Console, event: Event) -> None:
    line = None
    if event.kind == "opened" and event.lab is not None:
        line = (
            f"task {event.lab.task.name} ({event.lab.task.source}), space {event.lab.space.name}, "
            f"{_boards(event.lab)}: {event.judged} of {event.budget} evaluated"
        )
    elif event.kind == "sharing":
        line = f"a supernet is trained for {event.budget} epochs, if it is not there"
    elif event.kind == "judged" and event.trial is not None:
        line = f"[{event.judged}/{event.budget}] trial {event.trial.number} {_verdict(event.trial)}"
    elif event.kind == "measuring":
        line = f"{event.budget} of the front were estimated, and are measured now"
    elif event.kind == "measured" and event.trial is not None:
        line = f"trial {event.trial.number} {_verdict(event.trial)}"
    elif event.kind == "finishing":
        line = f"{event.budget} finalists train longer, {event.judged} are done"
    elif event.kind == "finalist" and event.finalist is not None:
        line = f"finalist {event.number}: {event.finalist.method}, int8 val {event.finalist.accuracy_int8_val:.2%}"
    elif event.kind == "scored" and event.finalist is not None:
        line = f"finalist {event.number}: int8 test {event.finalist.accuracy_int8_test:.2%}"
    if line is not None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _boards(lab: Lab) -> str:
    boards = [testbed.board for testbed in lab.testbeds]
    named = ", ".join(f"{board.name} ({'emulated' if board.emulated else 'measured'})" for board in boards)
    return f"board{'s' if len(boards) > 1 else ''} {named}"


def _verdict(trial: Trial) -> str:
    if trial.accuracy_int8_val is not None:
        return f"complete: int8 val {trial.accuracy_int8_val:.2%}, {_figures(trial.costs)}"
    return f"{trial.state}: {trial.reason}"


def _figures(costs: Costs | None) -> str:
    """Those of several boards behind the boards' names."""
    if costs is None:
        return ""
    validity = costs.main.validity
    if validity is None or not costs.also:
        return _figures_of(costs.main)
    return "; ".join(f"{board} {_figures_of(cost)}" for board, cost in costs.by_board(validity.board).items())


def _figures_of(cost: Cost) -> str:
    parts = []
    if cost.latency_us is not None:
        estimated = " estimated" if cost.latency_source == "estimated" else ""
        parts.append(f"{cost.latency_us / 1000:.2f} ms{estimated}")
    if cost.sram is not None:
        parts.append(f"{cost.sram.total:,} B SRAM")
    if cost.flash is not None:
        parts.append(f"{cost.flash.total:,} B flash")
    return ", ".join(parts)


# The phase before a search with a supernet.
_SHARING = "training the supernet"


class _View:
    """The state of the live table; events come from several threads."""

    def __init__(self, study: Path) -> None:
        self._study = study
        self._lock = threading.Lock()
        self._headline = "opening the board, the bench and the data"
        self._running: dict[int, str] = {}
        self._trials: list[Trial] = []
        self._finalists: dict[int, Finalist] = {}
        self._objectives: Sequence[str] = ()
        self._done = self._already = self._total = 0
        self._started = time.monotonic()
        self._deadline_s: float | None = None
        self._phase = "searching"

    def take(self, event: Event) -> None:
        with self._lock:
            self._take(event)

    def _take(self, event: Event) -> None:
        if event.kind == "opened" and event.lab is not None:
            lab = event.lab
            self._headline = (
                f"{lab.task.name} ({lab.task.sizes[0]:,} training samples), space {lab.space.name}, {_boards(lab)}"
            )
            self._objectives = lab.config.search.objectives
            self._deadline_s = event.deadline_s
            self._trials = list(event.known)
            self._begin(event)
        elif event.kind == "sharing":
            self._phase = _SHARING
        elif event.kind == "stage":
            self._phase = "searching" if self._phase == _SHARING else self._phase
            self._running[event.number] = event.stage
        elif event.kind == "judged" and event.trial is not None:
            self._running.pop(event.number, None)
            self._trials.append(event.trial)
            self._done = event.judged
        elif event.kind == "measuring":
            self._phase = "measuring what survived"
        elif event.kind == "measured" and event.trial is not None:
            self._running.pop(event.number, None)
            kept = [trial for trial in self._trials if trial.number != event.number]
            self._trials = [*kept, event.trial]
        elif event.kind == "finishing":
            self._phase = "finalists train longer"
            self._begin(event)
        elif event.kind in ("finalist", "scored") and event.finalist is not None:
            self._running.pop(event.number, None)
            self._done += event.kind == "finalist"
            self._finalists[event.number] = event.finalist

    def _begin(self, event: Event) -> None:
        self._done = self._already = event.judged
        self._total = event.budget
        self._started = time.monotonic()

    def render(self) -> RenderableType:
        with self._lock:
            bar = Table.grid(padding=(0, 1))
            bar.add_row(
                self._phase,
                ProgressBar(total=max(self._total, 1), completed=self._done, width=30),
                f"{self._done}/{self._total}",
                self._time_left(),
            )
            head = Text(f"{self._headline}\n{self._study}", style="bold")
            return Group(head, bar, self._running_line(), self._trial_table(), self._front_table())

    def _time_left(self) -> str:
        elapsed, new = time.monotonic() - self._started, self._done - self._already
        if new == 0:
            return f"{_clock(elapsed)} so far"
        left = elapsed / new * (self._total - self._done)
        if self._deadline_s is not None:
            left = min(left, max(0.0, self._deadline_s - elapsed))
        return f"about {_clock(left)} left"

    def _running_line(self) -> Text:
        running = ", ".join(f"{number} {stage}" for number, stage in sorted(self._running.items()))
        return Text(f"now: {running}" if running else "", style="dim")

    def _trial_table(self) -> Table:
        table = Table(title="last candidates", title_justify="left", box=None, expand=True)
        for name, justify in (("trial", "right"), ("state", "left"), ("int8 val", "right"), ("", "left")):
            table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
        for trial in self._trials[-_SHOWN_TRIALS:]:
            accuracy = "" if trial.accuracy_int8_val is None else f"{trial.accuracy_int8_val:.2%}"
            notes = _figures(trial.costs) if trial.state == "complete" else trial.reason or ""
            table.add_row(str(trial.number), trial.state, accuracy, Text(notes, overflow="ellipsis"))
        return table

    def _front_table(self) -> Table:
        table = Table(title="front so far", title_justify="left", box=None, expand=True)
        for name in ("trial", "int8 val", "final val", "test"):
            table.add_column(name, justify="right")
        table.add_column("")
        for point in search_front(self._trials, self._objectives)[:_SHOWN_FRONT]:
            finalist = self._finalists.get(point.trial.number)
            table.add_row(
                str(point.trial.number),
                f"{point.accuracy_int8_val:.2%}",
                "" if finalist is None else f"{finalist.accuracy_int8_val:.2%}",
                _percent(None if finalist is None else finalist.accuracy_int8_test),
                _figures(point.costs),
            )
        return table


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.2%}"


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


@contextmanager
def stages_shown() -> Iterator[Callable[[str], None]]:
    """Show the stage that one network is in on stderr, where that is a terminal."""
    with Console(stderr=True).status("") as status:
        yield status.update


@contextmanager
def calibration_shown(board: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show on stderr how many networks of a calibration there are: a bar on a terminal, a line for each elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total, network: console.print(
            f"[{done}/{total}] {network}", markup=False, highlight=False, soft_wrap=True
        )
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(f"networks on {board}", total=None)
        yield lambda done, total, _: bar.update(task, completed=done, total=total)


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
        cells = [str(row[name]) for name in ("task", "board", "seed", "evaluated", "trained", "finished")]
        table.add_row(row["study"], *cells, _percent(row["accuracy_int8_val"]))
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


def _stdout(width: int = 120) -> Console:
    """A file or a pipe has no width of its own: take one that no table is cut off at."""
    return Console() if sys.stdout.isatty() else Console(width=width)
