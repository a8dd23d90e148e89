"""A study as one HTML file that works offline: it refers to no network, and nothing from a store runs in it."""

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tinynas.cost import Cost, Costs
from tinynas.errors import InfrastructureError, StoreError
from tinynas.study import charts
from tinynas.study.drawing import BOX_WIDTH, MARGIN, Drawing, draw
from tinynas.study.quantities import QUANTITIES, duration, figures_on, percent, source_of, title_of, written
from tinynas.study.reading import CompiledLayer, Study, read_study
from tinynas.study.store import Finalist, Store, Trial
from tinynas.study.summary import FrontPoint, config_of, front

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
    def most_macs(self) -> int:
        return max((layer.macs for layer in self.layers), default=0) or 1


def write_report(store: Store, path: Path) -> None:
    """Write the study's report to `path`, replacing what is there; it appears whole or not at all.

    Raises:
        ConfigError: the study's settings are of another version of tinynas.
        StoreError: the study is damaged.
        InfrastructureError: the file cannot be written.
    """
    page = render(store)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(page, encoding="utf-8", newline="\n")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise InfrastructureError(f"report {path} cannot be written: {error.strerror}") from error


def render(store: Store) -> str:
    """The report's HTML. Raises ConfigError and StoreError as `write_report`."""
    config = config_of(store)
    study = read_study(store)
    try:
        points = front(store)
        figures = {
            "front": charts.front_chart(study, points, config.search.objectives),
            "hypervolume": charts.hypervolume_chart(study, config.search.objectives),
            "time": charts.time_chart(study),
        }
    except ValueError as error:
        raise StoreError(f"study {store.path} is damaged: {error}") from error
    rows = _rows(study, points)
    environment = _environment()
    script = _source(environment, "report.js")
    return environment.get_template("report.html.j2").render(
        name=store.path.stem,
        config=config,
        facts=study.facts,
        study=study,
        counts=Counter(trial.state for trial in study.trials),
        points=points,
        columns=figures_on(study.facts.boards),
        sources=_sources(study),
        figures=figures,
        stages=_stage_shares(study),
        rows=rows,
        details=[_detail(study, row) for row in rows if study.networks[row.trial.number] or row.costs],
        style=Markup(_source(environment, "report.css")),
        plotly=Markup(_plotly()),
        script=Markup(script),
        script_hashes=[_hash(_plotly()), _hash(script)],
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tinynas.study", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "BOX_WIDTH": BOX_WIDTH,
        "MARGIN": MARGIN,
        "QUANTITIES": QUANTITIES,
        "SOURCE_NOTES": _SOURCE_NOTES,
        "source_of": source_of,
        "title_of": title_of,
    }
    environment.filters |= {"written": lambda value, figure: written(figure, value)}
    environment.filters |= {"percent": percent, "duration": duration, "shape": lambda sizes: "×".join(map(str, sizes))}
    return environment


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()


def _plotly() -> str:
    """Plotly's script. A byte-order mark or a carriage return would change its hash once a browser has parsed it."""
    script: str = get_plotlyjs()
    return script.replace("\r\n", "\n").strip()


def _hash(script: str) -> str:
    """The script's name in a Content-Security-Policy, which lets a browser run it and nothing else."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _rows(study: Study, points: Iterable[FrontPoint]) -> list[Row]:
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


def _detail(study: Study, row: Row) -> Detail:
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
        layers=study.layers[row.trial.number],
        costs=[(title, cost) for title, cost in titled if cost is not None],
    )


def _sources(study: Study) -> Mapping[str, Sequence[str]]:
    """Figure -> where its values come from, over all candidates that reached the board."""
    records = study.records
    costs = [cost for each in records for cost in (each.cost, *each.also_cost.values()) if cost is not None]
    found = {figure: {source_of(cost, figure) for cost in costs} - {None} for figure in QUANTITIES}
    return {figure: sorted(str(source) for source in sources) for figure, sources in found.items() if sources}


def _stage_shares(study: Study) -> list[Mapping[str, Any]]:
    """Each stage's total wall time [s], its share of all in [0, 1] and its colour."""
    totals: Counter[str] = Counter()
    for each in study.records:
        totals.update(dict(each.seconds))
    whole = sum(totals.values()) or 1.0
    return [
        {"name": stage, "seconds": totals[stage], "share": totals[stage] / whole, "color": charts.stage_color(stage)}
        for stage in charts.stages_of(study)
    ]
