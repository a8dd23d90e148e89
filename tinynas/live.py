"""What a person sees of work while it goes on, on stderr."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tinynas.cost import Cost, Costs
from tinynas.study.session import Event
from tinynas.study.store import Finalist, Trial
from tinynas.study.summary import FrontPoint, search_front
from tinynas.study.testbed import Lab

_SHOWN_TRIALS = 8
_SHOWN_FRONT = 8


@contextmanager
def watched(study: Path) -> Iterator[Callable[[Event], None]]:
    """Show a run's events on stderr: a live table on a terminal, with a line where the front moves, a line per verdict
    elsewhere.
    """
    console, front = Console(stderr=True), _Front()
    if not console.is_terminal:
        yield lambda event: _say(console, _line(event), front.take(event))
    else:
        view = _View(study, front)

        def take(event: Event) -> None:
            notice = view.take(event)
            # What is printed meanwhile scrolls by above the table.
            _say(console, notice, _STOPPING if event.kind == "stopping" else None)

        with Live(console=console, refresh_per_second=2, get_renderable=view.render):
            yield take


def _say(console: Console, *lines: str | None) -> None:
    for line in filter(None, lines):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


_STOPPING = (
    "stopping after the candidates that are under way; Ctrl-C again stops at once, and loses nothing that is finished"
)


def _line(event: Event) -> str | None:
    """What is said of an event where there is no table."""
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
    elif event.kind == "stopping":
        line = _STOPPING
    return line


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


class _Front:
    """The networks that no other one dominates so far."""

    def __init__(self) -> None:
        self._trials: dict[int, Trial] = {}
        self._objectives: Sequence[str] = ()
        self.points: Sequence[FrontPoint] = ()

    def take(self, event: Event) -> str | None:
        """What the event changes about the front, in a sentence."""
        if event.kind == "opened" and event.lab is not None:
            self._objectives = event.lab.config.search.objectives
            self._trials = {trial.number: trial for trial in event.known}
            self.points = search_front(list(self._trials.values()), self._objectives)
        if event.kind not in ("judged", "measured") or event.trial is None:
            return None
        before = {point.trial.number for point in self.points}
        self._trials[event.number] = event.trial
        self.points = search_front(list(self._trials.values()), self._objectives)
        now = {point.trial.number for point in self.points}
        moves = [
            f"{', '.join(map(str, sorted(numbers)))} {verb}"
            for numbers, verb in ((now - before, "joins"), (before - now, "left behind"))
            if numbers
        ]
        return f"the front moves: {'; '.join(moves)}; networks on it: {len(now)}" if moves else None


class _View:
    """The state of the live table; events come from several threads."""

    def __init__(self, study: Path, front: _Front) -> None:
        self._study = study
        self._front = front
        self._lock = threading.Lock()
        self._headline = "opening the board, the bench and the data"
        self._running: dict[int, str] = {}
        self._latest: list[Trial] = []
        self._finalists: dict[int, Finalist] = {}
        self._done = self._already = self._total = 0
        self._started = time.monotonic()
        self._deadline_s: float | None = None
        self._phase = "searching"
        self._hint = "Ctrl-C: stop after these, twice: at once"

    def take(self, event: Event) -> str | None:
        """Take note of an event. Returns what it changes about the front, in a sentence."""
        with self._lock:
            self._take(event)
            return self._front.take(event)

    def _take(self, event: Event) -> None:
        if event.kind == "opened" and event.lab is not None:
            lab = event.lab
            self._headline = (
                f"{lab.task.name} ({lab.task.sizes[0]:,} training samples), space {lab.space.name}, {_boards(lab)}"
            )
            self._deadline_s = event.deadline_s
            self._latest = list(event.known[-_SHOWN_TRIALS:])
            self._begin(event)
        elif event.kind == "sharing":
            self._phase = _SHARING
        elif event.kind == "stage":
            self._phase = "searching" if self._phase == _SHARING else self._phase
            self._running[event.number] = event.stage
        elif event.kind == "judged" and event.trial is not None:
            self._running.pop(event.number, None)
            self._latest = [*self._latest, event.trial][-_SHOWN_TRIALS:]
            self._done = event.judged
        elif event.kind == "measuring":
            self._phase = "measuring what survived"
        elif event.kind == "measured" and event.trial is not None:
            self._running.pop(event.number, None)
            kept = [trial for trial in self._latest if trial.number != event.number]
            self._latest = [*kept, event.trial][-_SHOWN_TRIALS:]
        elif event.kind == "finishing":
            self._phase = "finalists train longer"
            self._begin(event)
        elif event.kind in ("finalist", "scored"):
            self._running.pop(event.number, None)
            self._done += event.kind == "finalist"
            if event.finalist is not None:
                self._finalists[event.number] = event.finalist
        elif event.kind == "stopping":
            self._hint = "stopping after these; Ctrl-C again: at once"

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
        return Text(f"now: {running}\n({self._hint})" if running else "", style="dim")

    def _trial_table(self) -> Table:
        table = Table(title="last candidates", title_justify="left", box=None, expand=True)
        for name, justify in (("trial", "right"), ("state", "left"), ("int8 val", "right"), ("", "left")):
            table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
        for trial in self._latest:
            accuracy = "" if trial.accuracy_int8_val is None else f"{trial.accuracy_int8_val:.2%}"
            notes = _figures(trial.costs) if trial.state == "complete" else trial.reason or ""
            table.add_row(str(trial.number), trial.state, accuracy, Text(notes, overflow="ellipsis"))
        return table

    def _front_table(self) -> Table:
        table = Table(title="front so far", title_justify="left", box=None, expand=True)
        for name in ("trial", "int8 val", "final val", "test"):
            table.add_column(name, justify="right")
        table.add_column("")
        for point in self._front.points[:_SHOWN_FRONT]:
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
