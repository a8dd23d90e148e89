"""A study as one HTML file that works offline: it refers to no network, and nothing from a store runs in it."""

import base64
import hashlib
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tinynas.errors import InfrastructureError, StoreError
from tinynas.study import charts
from tinynas.study.pages import detail_of, environment, rows_of, source, sources_of, stage_shares
from tinynas.study.quantities import figures_on
from tinynas.study.reading import read_study
from tinynas.study.store import Store
from tinynas.study.summary import config_of, front


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
    rows = rows_of(study, points)
    templates = environment()
    script = source(templates, "report.js")
    return templates.get_template("report.html.j2").render(
        name=store.path.stem,
        config=config,
        facts=study.facts,
        study=study,
        counts=Counter(trial.state for trial in study.trials),
        points=points,
        columns=figures_on(study.facts.boards),
        sources=sources_of(study),
        figures=figures,
        stages=stage_shares(study),
        rows=rows,
        details=[detail_of(study, row) for row in rows if study.networks[row.trial.number] or row.costs],
        style=Markup(source(templates, "report.css")),
        plotly=Markup(plotly_script()),
        script=Markup(script),
        script_hashes=[_hash(plotly_script()), _hash(script)],
    )


def plotly_script() -> str:
    """Plotly's script. A byte-order mark or a carriage return would change its hash once a browser has parsed it."""
    script: str = get_plotlyjs()
    return script.replace("\r\n", "\n").strip()


def _hash(script: str) -> str:
    """The script's name in a Content-Security-Policy, which lets a browser run it and nothing else."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
