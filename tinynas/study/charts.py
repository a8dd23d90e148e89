"""The report's charts as Plotly figures in plain JSON values: front, hypervolume, and where the time went.

Plotly reads some HTML in texts, so every text from the study is escaped here; the page escapes the JSON once more.
"""

import html
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import plotly.io

from tinynas.cost import Figures
from tinynas.study.progress import progress
from tinynas.study.quantities import figures_on, percent, quantity_of, source_of, written
from tinynas.study.reading import Study
from tinynas.study.store import Finalist, Trial
from tinynas.study.subspaces import Refinement
from tinynas.study.subspaces import written as written_values
from tinynas.study.summary import FrontPoint, search_front

_Figure = dict[str, Any]

_INK = "#33404d"
_GRID = "#e8ecef"
_TRAINED = "#9db8d2"
_FRONT = "#1f6fb2"
_FINAL = "#d97a1d"
_REFUSED = "#b9a7a2"
_LIMIT = "#c2453b"
STAGES = {
    "estimate": "#cfd8dc",
    "convert": "#9fb8c8",
    "compile": "#7fa8a1",
    "build": "#5b8fb9",
    "measure": "#3f6f9c",
    "reference": "#b7a5cf",
    "train": "#e0a458",
    "qat": "#c97b4a",
    "score": "#a9bd7f",
}
_OTHER_STAGE = "#b0b0b0"
_HOVER_WIDTH = 60


def front_chart(study: Study, points: Sequence[FrontPoint], objectives: Sequence[str]) -> _Figure:
    """Accuracy against the first objective that is no error. What was refused has no accuracy: a strip below."""
    figure = next((name for name in objectives if name != "error"), "latency_us")
    trials = study.trials
    complete = [trial for trial in trials if trial.state == "complete" and trial.cost is not None]
    refused = [trial for trial in trials if trial.state != "complete"]
    chosen = {point.trial.number for point in points}
    stairs = len(objectives) == 2 and "error" in objectives
    traces = [
        *_search_front_traces(study, figure, objectives if stairs else ()),
        *_trained_traces([trial for trial in complete if trial.number not in chosen], figure),
        _front_trace(points, figure, stairs=stairs),
        *_finalist_traces(study, figure),
        *_refused_traces(refused, figure),
    ]
    layout = _layout(520)
    layout["xaxis"] |= {"title": {"text": html.escape(quantity_of(figure).axis)}, "anchor": "y2", **_x_scale(traces)}
    layout["yaxis"] |= {"title": {"text": "int8 accuracy [%]"}, "domain": [0.2, 1]}
    layout["yaxis2"] = {
        **_axis(),
        "domain": [0, 0.12],
        "range": [-1, 1],
        "showticklabels": False,
        "showgrid": False,
        "ticks": "",
        "fixedrange": True,
        "title": {"text": "refused", "font": {"size": 11}},
    }
    bound = study.facts.bounds.get(figure)
    if bound is not None:
        _draw_limit(layout, bound * quantity_of(figure).scale, f"limit {written(figure, bound)}")
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def _search_front_traces(study: Study, figure: str, objectives: Sequence[str]) -> Iterator[_Figure]:
    """Once finalists make the front, the staircase that the search itself had found."""
    if study.facts.finished and objectives:
        found = sorted(search_front(study.trials, objectives), key=lambda point: point.costs.figure(figure) or 0.0)
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": "front of the search",
            "x": [_scaled(point.costs, figure) for point in found],
            "y": [100 * point.accuracy_int8_val for point in found],
            "line": {"shape": "hv", "color": _TRAINED, "width": 1.5},
            "hoverinfo": "skip",
        }


def _trained_traces(trials: Sequence[Trial], figure: str) -> Iterator[_Figure]:
    yield _markers(
        "trained",
        [_scaled(trial.costs, figure) for trial in trials],
        [100 * (trial.accuracy_int8_val or 0.0) for trial in trials],
        trials,
        {"color": _TRAINED, "size": 9, "line": {"color": "white", "width": 1}},
    )


def _front_trace(points: Sequence[FrontPoint], figure: str, *, stairs: bool) -> _Figure:
    """The front; a staircase bounds what it dominates when accuracy and `figure` are the only objectives."""
    ordered = sorted(points, key=lambda point: point.costs.figure(figure) or 0.0)
    trace = _markers(
        "front",
        [_scaled(point.costs, figure) for point in ordered],
        [100 * point.accuracy_int8_val for point in ordered],
        [point.trial for point in ordered],
        {"color": _FRONT, "size": 12, "line": {"color": "white", "width": 1.5}},
        texts=[_hover(point.trial, point.finalist) for point in ordered],
    )
    if stairs:
        trace |= {"mode": "lines+markers", "line": {"shape": "hv", "color": _FRONT, "width": 1.5}}
    return trace


def _finalist_traces(study: Study, figure: str) -> Iterator[_Figure]:
    """The finalists' accuracy on the test split, which the search never saw."""
    by_number = {trial.number: trial for trial in study.trials}
    scored = [each for each in study.finalists.values() if each.accuracy_int8_test is not None]
    yield _markers(
        "finalist, test split",
        [_scaled(finalist.costs, figure) for finalist in scored],
        [100 * (finalist.accuracy_int8_test or 0.0) for finalist in scored],
        [by_number[finalist.trial] for finalist in scored],
        {"color": _FINAL, "size": 10, "symbol": "diamond", "line": {"color": "white", "width": 1}},
        texts=[_hover(by_number[finalist.trial], finalist) for finalist in scored],
    )


def _refused_traces(trials: Sequence[Trial], figure: str) -> Iterator[_Figure]:
    """Estimated figures get another symbol than those that a board gave."""
    known = [(trial, trial.costs) for trial in trials]
    placed = [(trial, cost) for trial, cost in known if cost is not None and cost.figure(figure) is not None]
    for title, symbol, estimated in (
        ("refused", "line-ns-open", False),
        ("refused on its estimate", "circle-open", True),
    ):
        chosen = [(trial, cost) for trial, cost in placed if (source_of(cost, figure) == "estimated") is estimated]
        marker = {"color": _REFUSED, "size": 9, "symbol": symbol, "line": {"color": _REFUSED, "width": 1.5}}
        trace = _markers(
            title,
            [_scaled(cost, figure) for _, cost in chosen],
            [-0.4 if estimated else 0.4] * len(chosen),
            [trial for trial, _ in chosen],
            marker,
        )
        yield {**trace, "yaxis": "y2"}


def _markers(
    name: str,
    x: Sequence[float | None],
    y: Sequence[float],
    trials: Sequence[Trial],
    marker: Mapping[str, Any],
    *,
    texts: Sequence[str] | None = None,
) -> _Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        "customdata": [trial.number for trial in trials],
        "text": list(texts) if texts is not None else [_hover(trial, None) for trial in trials],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": dict(marker),
    }


def _scaled(cost: Figures | None, figure: str) -> float | None:
    value = None if cost is None else cost.figure(figure)
    return None if value is None else value * quantity_of(figure).scale


def _hover(trial: Trial, finalist: Finalist | None) -> str:
    lines = [f"<b>trial {trial.number}</b>, {trial.state}", *_escaped(trial.genome)]
    if trial.accuracy_int8_val is not None:
        lines.append(f"accuracy {percent(trial.accuracy_int8_val)} (int8, validation)")
    if finalist is not None:
        lines.append(
            f"finished: {percent(finalist.accuracy_int8_val)} (validation), "
            f"{percent(finalist.accuracy_int8_test)} (test), {finalist.method.upper()}"
        )
    costs = trial.costs if finalist is None else finalist.costs
    if costs is not None:
        validity = costs.main.validity
        boards = [] if validity is None else [*costs.by_board(validity.board)]
        lines += [
            html.escape(f"{quantity_of(name).title} {written(name, costs.figure(name))} ({source_of(costs, name)})")
            for name in figures_on(boards)
            if costs.figure(name) is not None
        ]
    if trial.reason:
        lines += _escaped(trial.reason)
    return "<br>".join(lines)


def _escaped(text: str) -> list[str]:
    return [html.escape(line) for line in textwrap.wrap(text[:600], _HOVER_WIDTH)]


def _draw_limit(layout: _Figure, position: float, label: str) -> None:
    layout["shapes"] = [
        {
            "type": "line",
            "x0": position,
            "x1": position,
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "line": {"color": _LIMIT, "width": 1.5, "dash": "dash"},
            "label": {
                "text": label,
                "textposition": "end",
                "textangle": 0,
                "xanchor": "right",
                "yanchor": "top",
                "font": {"color": _LIMIT, "size": 11},
            },
        }
    ]


def _x_scale(traces: Sequence[_Figure]) -> _Figure:
    """Logarithmic once the figures span more than a factor of 30: the small networks would be one heap else."""
    values = [value for trace in traces for value in trace["x"] if value is not None and value > 0]
    if not values or max(values) <= 30 * min(values):
        return {"rangemode": "tozero"}
    decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    steps = (1, 2, 5) if len(decades) <= 4 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return {"type": "log", "tickmode": "array", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def hypervolume_chart(study: Study, objectives: Sequence[str]) -> _Figure:
    """The share of the objective space that the front dominates, after each evaluation."""
    shares = progress(study.trials, objectives, study.facts.bounds)
    layout = _layout(300)
    layout["xaxis"] |= {"title": {"text": "evaluations"}, "rangemode": "tozero"}
    layout["yaxis"] |= {"title": {"text": "hypervolume [%]"}, "rangemode": "tozero"}
    layout["showlegend"] = False
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": list(range(len(shares) + 1)),
        "y": [0.0, *(100 * share for share in shares)],
        "line": {"shape": "hv", "color": _FRONT, "width": 2},
        "fill": "tozeroy",
        "fillcolor": "rgba(31,111,178,0.10)",
        "hovertemplate": "after %{x}: %{y:.2f} %<extra></extra>",
    }
    return {"data": [trace] if shares else [], "layout": layout}


def time_chart(study: Study) -> _Figure:
    """Wall time per candidate and per finalist, stacked by stage."""
    bars = [(f"{trial.number}", trial.number, trial.seconds) for trial in study.trials]
    bars += [(f"final {number}", number, finalist.seconds) for number, finalist in study.finalists.items()]
    layout = _layout(320)
    layout["barmode"] = "stack"
    layout["showlegend"] = False
    layout["bargap"] = 0.15
    layout["xaxis"] |= {"title": {"text": "candidate"}, "type": "category", "showgrid": False, "nticks": 20}
    layout["yaxis"] |= {"title": {"text": "wall time [s]"}}
    traces = [
        {
            "type": "bar",
            "name": stage,
            "x": [label for label, _, _ in bars],
            "y": [seconds.get(stage, 0.0) for _, _, seconds in bars],
            "customdata": [number for _, number, _ in bars],
            "marker": {"color": stage_color(stage)},
            "hovertemplate": f"%{{x}}: {html.escape(stage)} %{{y:.2f}} s<extra></extra>",
        }
        for stage in stages_of(study)
    ]
    return {"data": traces, "layout": layout}


def stages_of(study: Study) -> list[str]:
    """All stages that took time, in the order of the pipeline; unknown ones last."""
    found = {stage for each in study.records for stage in each.seconds}
    return [stage for stage in STAGES if stage in found] + sorted(found - set(STAGES))


def stage_color(stage: str) -> str:
    return STAGES.get(stage, _OTHER_STAGE)


def look() -> _Figure:
    """What charts that a page draws by itself have in common with these, as JSON values."""
    return {
        "layout": _layout(300),
        "trained": _TRAINED,
        "front": _FRONT,
        "final": _FINAL,
        "refused": _REFUSED,
        "limit": _LIMIT,
        "stages": list(STAGES),
    }


def _axis() -> _Figure:
    return {
        "gridcolor": _GRID,
        "linecolor": "#c9d1d8",
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "#c9d1d8",
        "automargin": True,
    }


def refinement_page(found: Refinement) -> str:
    """A page that needs no network: for each sub-space the share of its feasible networks below so many MACs, the
    chosen one drawn strongly.
    """
    layout = _layout(620)
    layout["xaxis"] |= {"title": {"text": "multiply-accumulates of an inference"}, "type": "log"}
    layout["yaxis"] |= {"title": {"text": "feasible networks with at most so many [%]"}, "range": [0, 100]}
    layout["legend"] = {"orientation": "v"}
    layout["margin"] |= {"t": 60}
    layout["title"] = {"text": html.escape(f"Space {found.space} on {found.board}: sub-spaces by their compute")}
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": html.escape(f"{written_values(each.values)} ({len(each.macs)} of {each.sampled} feasible)"),
            "x": list(each.macs),
            "y": [100 * (number + 1) / len(each.macs) for number in range(len(each.macs))],
            "line": {"shape": "hv", "width": 4 if each is found.chosen else 1.2},
        }
        for each in found.subspaces
        if each.macs
    ]
    page: str = plotly.io.to_html({"data": data, "layout": layout}, include_plotlyjs=True, validate=False)
    return page


def _layout(height: int) -> _Figure:
    return {
        "height": height,
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": _INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 50, "r": 16, "t": 10, "b": 44},
        "hovermode": "closest",
        "modebar": {"bgcolor": "rgba(255,255,255,0)", "color": "#b6c0c8", "activecolor": _INK},
        "hoverlabel": {"align": "left", "bgcolor": "white", "bordercolor": "#c9d1d8", "font": {"color": _INK}},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "xaxis": _axis(),
        "yaxis": _axis(),
    }
