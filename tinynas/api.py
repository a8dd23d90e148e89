"""tinynas in a notebook.

    from tinynas.api import measure, search

    study = search("digits.db", task={"name": "digits"}, limits={"latency": "5 ms"}, search={"budget": 24})
    study                     # its front, as a picture and a table
    study.front()             # a list of objects, the most accurate first
    study.candidate(3)        # one candidate's network and costs
    study.report("digits.html")
    study.export(to="c", folder="out")
    study.trials()            # a list of objects with equal keys: pandas.DataFrame(study.trials())
    study.export_trials(to="csv", path="digits.csv")
    measure("model.tflite", board="netduinoplus2")["latency_us"]

Sections and keys are those of the TOML file.
"""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinynas.cluster.place import Place, find_place
from tinynas.compiler import DEFAULTS, Options
from tinynas.config import load_config
from tinynas.errors import TinynasError
from tinynas.live import watched
from tinynas.study import conclude, run, single
from tinynas.study.export_trials import export_trials
from tinynas.study.notebook import candidate_html, study_html
from tinynas.study.report import write_report
from tinynas.study.store import Store
from tinynas.study.summary import describe_trial, summary
from tinynas.study.trial_table import Row, read_trial_table

__all__ = ["Candidate", "Study", "measure", "search"]


@dataclass(frozen=True)
class Study:
    """A study's file and what can be asked of it."""

    path: Path

    def summary(self) -> dict[str, Any]:
        """What `tinynas show --json` prints."""
        with Store.open_to_read(self.path) as store:
            return summary(store)

    def _repr_html_(self) -> str:
        return _shown(self.path, study_html)

    def candidate(self, number: int) -> "Candidate":
        """One trial of the study."""
        return Candidate(self.path, number)

    def front(self) -> list[dict[str, Any]]:
        """The front, the most accurate network first."""
        return list(self.summary()["front"])

    def resume(
        self, *, budget: int | None = None, time: float | str | None = None, cluster: str | Path | None = None
    ) -> None:
        """Continue the search, with a larger budget or time if given; on a cluster as `search`."""
        with watched(self.path) as notify:
            run.resume(self.path, notify, budget, time, _place(cluster))

    def report(self, path: str | Path) -> None:
        """Write the HTML report."""
        with Store.open_to_read(self.path) as store:
            write_report(store, Path(path))

    def export(
        self,
        trial: int | None = None,
        *,
        to: str = "c",
        folder: str | Path = "export",
        board: str | None = None,
        name: str | None = None,
        options: Options | None = None,
        force: bool = False,
    ) -> dict[str, Any]:
        """Export a trial (default: the most accurate of the front) as `c`, `tflm`, `platformio` or `mlperf`.

        board: one of the study's boards, None: the main one. name: in the C code; for `mlperf` the benchmark.
        """
        return conclude.export_trial(
            self.path, trial, to=to, folder=Path(folder), board=board, name=name, options=options, force=force
        )

    def trials(self) -> list[Row]:
        """All trials, one object each: its genes, verdict, accuracies, costs with their sources, seconds."""
        with Store.open_to_read(self.path) as store:
            return list(read_trial_table(store).rows)

    def export_trials(self, *, to: str, path: str | Path | None = None, force: bool = False) -> dict[str, Any]:
        """Export all trials as `csv`, `parquet` or `optuna`; the file is by default beside the study. Raises as
        `study.export_trials.export_trials`.
        """
        return export_trials(self.path, to=to, path=None if path is None else Path(path), force=force)


@dataclass(frozen=True)
class Candidate:
    """One trial of a study and what can be asked of it."""

    path: Path
    number: int

    def describe(self) -> dict[str, Any]:
        """What `tinynas show --trial --json` prints. Raises ConfigError: the study has no such trial."""
        with Store.open_to_read(self.path) as store:
            return describe_trial(store, self.number)

    def _repr_html_(self) -> str:
        return _shown(self.path, lambda store: candidate_html(store, self.number))


def _shown(path: Path, render: Callable[[Store], str]) -> str:
    """What a notebook shows; where there is nothing to show, why."""
    try:
        with Store.open_to_read(path) as store:
            return render(store)
    except TinynasError as error:
        return f"<p>{html.escape(str(error))}</p>"


def search(
    path: str | Path,
    config: str | Path | None = None,
    *,
    cluster: str | Path | None = None,
    **sections: Mapping[str, Any],
) -> Study:
    """Run a search; `sections` lie over the TOML file `config`. `cluster`: a cluster's file or its scheduler's address.
    Raises as `study.run.search`.
    """
    study = Study(Path(path))
    with watched(study.path) as notify:
        settings = load_config(None if config is None else Path(config), sections)
        run.search(settings, study.path, notify, _place(cluster))
    return study


def _place(cluster: str | Path | None) -> Place | None:
    return None if cluster is None else find_place(str(cluster))


def measure(
    model: str | Path,
    *,
    board: str = "netduinoplus2",
    inputs: str | Path | None = None,
    task: str | Path | None = None,
    samples: int | None = None,
    clock: str | None = None,
    options: Options = DEFAULTS,
) -> dict[str, Any]:
    """Measure a .tflite file; `inputs` is a raw file. Instead, `task` (a builtin one, a study, or a TOML file) takes
    `samples` of its test split and adds their accuracy. `clock` is one of the board's, such as "120 MHz". Raises as
    `study.single.measure_file`.
    """
    source = None if inputs is None else Path(inputs)
    labelled = None if task is None else str(task)
    return single.measure_file(Path(model), board, source, task=labelled, samples=samples, clock=clock, options=options)
