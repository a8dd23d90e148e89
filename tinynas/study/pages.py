"""What pages about a study have in common: its candidates as rows and in detail, and the templates that show them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tinynas.cost import Cost, Costs
from tinynas.study import charts
from tinynas.study.drawing import BOX_WIDTH, MARGIN, Drawing, draw
from tinynas.study.quantities import QUANTITIES, duration, percent, source_of, title_of, written
from tinynas.study.reading import CompiledLayer, Study
from tinynas.study.store import Finalist, Trial
from tinynas.study.summary import FrontPoint

_SOURCE_NOTES = {
    "measured": "on the board itself",
    "emulated": (
        "an emulator stands in for the board: executed instructions are counted, and their clock cycles modelled after "
        "the CPU's manual, with the waits for the board's flash"
    ),
    "estimated": "computed, not observed",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One candidate in the table. `costs` are the final ones of a finalist, else the trial's, else its estimates."""

    trial: Trial
    finalist: Finalist | None
    costs: Costs | None
    on_front: bool
    seconds: float

    @property
    def accuracy(self) -> float | None:
        return self.trial.accuracy_int8_val if self.finalist is None else self.finalist.accuracy_int8_val

    @property
    def never_built(self) -> bool:
        """Whether all its figures are estimates."""
        return self.finalist is None and self.trial.cost is None


@dataclass(frozen=True, kw_only=True)
class Detail:
    """What is shown of one candidate. `costs` are the table's columns: a title and a cost each."""

    row: Row
    drawing: Drawing | None
    layers: Sequence[CompiledLayer]
    costs: Sequence[tuple[str, Cost]]

    @property
    def curve_points(self) -> str:
        """The accuracies after two epochs or more as a line in a box of 300 by 70, from the least to the most."""
        curve = self.row.trial.curve
        least, spread = min(curve), max(curve) - min(curve) or 1.0
        places = ((300 * at / (len(curve) - 1), 68 - 66 * (each - least) / spread) for at, each in enumerate(curve))
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)

    @property
    def most_macs(self) -> int:
        return max((layer.macs for layer in self.layers), default=0) or 1


def rows_of(study: Study, points: Iterable[FrontPoint]) -> list[Row]:
    """All trials by number."""
    chosen = {point.trial.number for point in points}
    rows = []
    for trial in study.trials:
        finalist = study.finalists.get(trial.number)
        rows.append(
            Row(
                trial=trial,
                finalist=finalist,
                costs=trial.costs if finalist is None else finalist.costs,
                on_front=trial.number in chosen,
                seconds=sum(trial.seconds.values()) + (sum(finalist.seconds.values()) if finalist else 0.0),
            )
        )
    return rows


def detail_of(study: Study, row: Row) -> Detail:
    """What is known of one candidate."""
    network = study.networks[row.trial.number]
    trial, finalist = row.trial, row.finalist
    by_board = {study.facts.board: (trial.estimate, trial.cost, finalist.cost if finalist else None)}
    for board in study.facts.also:
        final = finalist.also_cost.get(board) if finalist else None
        by_board[board] = (trial.also_estimate.get(board), trial.also_cost.get(board), final)
    titled = [
        (f"{title}, {board}" if study.facts.also else title, cost)
        for board, costs in by_board.items()
        for title, cost in zip(("estimate", "candidate", "finalist"), costs, strict=True)
    ]
    return Detail(
        row=row,
        drawing=draw(network) if network else None,
        layers=study.final_layers.get(row.trial.number) or study.layers[row.trial.number],
        costs=[(title, cost) for title, cost in titled if cost is not None],
    )


def sources_of(study: Study) -> Mapping[str, Sequence[str]]:
    """Figure -> where its values come from, over all candidates that reached the board."""
    records = study.records
    costs = [cost for each in records for cost in (each.cost, *each.also_cost.values()) if cost is not None]
    found = {figure: {source_of(cost, figure) for cost in costs} - {None} for figure in QUANTITIES}
    return {figure: sorted(str(source) for source in sources) for figure, sources in found.items() if sources}


def stage_shares(study: Study) -> list[Mapping[str, Any]]:
    """Each stage's total wall time [s], its share of all in [0, 1] and its colour."""
    totals: Counter[str] = Counter()
    for each in study.records:
        totals.update(dict(each.seconds))
    whole = sum(totals.values()) or 1.0
    return [
        {"name": stage, "seconds": totals[stage], "share": totals[stage] / whole, "color": charts.stage_color(stage)}
        for stage in charts.stages_of(study)
    ]


def environment() -> Environment:
    """The templates. Whatever text they are given is escaped."""
    found = Environment(
        loader=PackageLoader("tinynas.study", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {
        "BOX_WIDTH": BOX_WIDTH,
        "MARGIN": MARGIN,
        "QUANTITIES": QUANTITIES,
        "SOURCE_NOTES": _SOURCE_NOTES,
        "source_of": source_of,
        "title_of": title_of,
    }
    found.filters |= {"written": lambda value, figure: written(figure, value)}
    found.filters |= {"percent": percent, "duration": duration, "shape": lambda sizes: "×".join(map(str, sizes))}
    return found


def source(templates: Environment, name: str) -> str:
    """A template's own text."""
    assert templates.loader is not None
    return templates.loader.get_source(templates, name)[0].strip()
