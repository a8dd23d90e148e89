"""A study and a candidate as a notebook shows them: one small piece of HTML without a script, every text escaped."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tinynas.cost import Figures
from tinynas.errors import ConfigError, StoreError
from tinynas.study import charts
from tinynas.study.pages import detail_of, environment, rows_of, source
from tinynas.study.quantities import figures_on, quantity_of
from tinynas.study.reading import Study, read_study
from tinynas.study.store import Store
from tinynas.study.summary import FrontPoint, config_of, front

_MOST_ROWS = 12
_MOST_DOTS = 400
# Of the picture, in its user units.
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _EDGE = 440, 220, 46, 34, 10


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One candidate in the picture: where, in which colour, and what a pointer is told."""

    x: float
    y: float
    radius: float
    color: str
    tip: str


@dataclass(frozen=True, kw_only=True)
class Scale:
    """From figures to places, by their logarithm where they span more than a factor of 30."""

    least: float
    most: float
    start: float
    end: float

    @property
    def wide(self) -> bool:
        return 0 < self.least * 30 < self.most

    def place(self, value: float) -> float:
        low, high, at = (math.log10(each) if self.wide else each for each in (self.least, self.most, value))
        return self.start + (self.end - self.start) * ((at - low) / (high - low) if high > low else 0.5)


def study_html(store: Store) -> str:
    """The front as a table and a picture. Raises as `read_study`, and ConfigError as `config_of`."""
    study, points = _read(store)
    objectives = config_of(store).search.objectives
    figure = next((name for name in objectives if name != "error"), "latency_us")
    templates = environment()
    return templates.get_template("notebook_study.html.j2").render(
        style=Markup(source(templates, "notebook.css")),
        name=store.path.stem,
        facts=study.facts,
        judged=len(study.trials),
        counts=Counter(trial.state for trial in study.trials),
        points=points[:_MOST_ROWS],
        left_out=max(0, len(points) - _MOST_ROWS),
        columns=figures_on(study.facts.boards),
        picture=_picture(study, points, figure),
    )


def candidate_html(store: Store, number: int) -> str:
    """One candidate's costs and its network. Raises as `study_html`, and

    Raises:
        ConfigError: the study has no such trial.
    """
    study, points = _read(store)
    rows = {row.trial.number: row for row in rows_of(study, points)}
    if number not in rows:
        raise ConfigError(f"study {store.path} has no trial {number}: it has {len(rows)}")
    templates = environment()
    return templates.get_template("notebook_candidate.html.j2").render(
        style=Markup(source(templates, "notebook.css")),
        name=store.path.stem,
        detail=detail_of(study, rows[number]),
        columns=figures_on(study.facts.boards),
    )


def _read(store: Store) -> tuple[Study, list[FrontPoint]]:
    study = read_study(store)
    try:
        return study, front(store)
    except ValueError as error:
        raise StoreError(f"study {store.path} is damaged: {error}") from error


def _picture(study: Study, points: Sequence[FrontPoint], figure: str) -> dict[str, object] | None:
    """Accuracy against `figure`; None where nothing has both."""
    chosen = {point.trial.number for point in points}
    trained = [
        (trial.number, trial.costs, trial.accuracy_int8_val)
        for trial in study.trials
        if trial.number not in chosen and trial.state == "complete"
    ][-_MOST_DOTS:]
    ends = [(point.trial.number, point.costs, point.accuracy_int8_val) for point in points]
    placed = [
        (number, value, accuracy, color)
        for each, color in ((trained, charts.look()["trained"]), (ends, charts.look()["front"]))
        for number, costs, accuracy in each
        if accuracy is not None and (value := _scaled(costs, figure)) is not None
    ]
    if not placed:
        return None
    values, accuracies = [each[1] for each in placed], [each[2] for each in placed]
    across = Scale(least=min(values), most=max(values), start=_LEFT + _EDGE, end=_WIDTH - _EDGE)
    up = Scale(least=min(accuracies), most=max(accuracies), start=_HEIGHT - _BOTTOM - _EDGE, end=_EDGE)
    return {
        "dots": [
            Dot(
                x=across.place(value),
                y=up.place(accuracy),
                radius=4.5 if number in chosen else 3,
                color=color,
                tip=f"trial {number}: {accuracy:.1%}, {value:,.4g} {quantity_of(figure).unit}",
            )
            for number, value, accuracy, color in placed
        ],
        "across": [(across.place(value), f"{value:,.3g}") for value in sorted({min(values), max(values)})],
        "up": [(up.place(value), f"{100 * value:.1f}") for value in sorted({min(accuracies), max(accuracies)})],
        "title": quantity_of(figure).axis,
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "bottom": _HEIGHT - _BOTTOM,
    }


def _scaled(costs: Figures | None, figure: str) -> float | None:
    value = None if costs is None else costs.figure(figure)
    return None if value is None else value * quantity_of(figure).scale
