"""What stands at the end of a search: the report, and networks exported from a study or a file."""

from pathlib import Path
from typing import Any

from tinynas.boards import Board, load_board
from tinynas.compiler import DEFAULTS, Options, compile_network
from tinynas.cost import Cost
from tinynas.errors import ConfigError
from tinynas.study.deployment import export_options
from tinynas.study.export import Provenance, export, require_form, require_free
from tinynas.study.export_mlperf import benchmark_of
from tinynas.study.reading import read_study
from tinynas.study.report import write_report
from tinynas.study.single import read_inputs, read_model, reference, tflm_arena_bytes
from tinynas.study.store import Store
from tinynas.study.summary import FrontPoint, front


def conclude(path: Path) -> dict[str, Path]:
    """Write the report and export the most accurate network as a C library, beside the study."""
    page, folder = path.with_suffix(".html"), path.with_suffix(".export")
    with Store.open_to_read(path) as store:
        write_report(store, page)
    export_trial(path, None, to="c", folder=folder, force=True)
    return {"report": page, "exported": folder}


def export_trial(
    study: Path,
    number: int | None,
    *,
    to: str,
    folder: Path,
    board: str | None = None,
    name: str | None = None,
    options: Options | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Export one trial of a study, by default the front's most accurate. Returns what `export` returns.

    board: for which of the study's boards; None: the main one.
    options: how its C is compiled; None: as it was measured, fast memory excepted. A project's firmware sets the clock
    that it was measured at.

    Raises:
        ConfigError: the study has no such board or trial, or that trial was never trained; as `export`.
    """
    require_form(to, name)
    require_free(folder, force=force)
    with Store.open_to_read(study) as store:
        # A store is untrusted: this checks every value that ends up in the export.
        boards = read_study(store).facts.boards
        point = _chosen(store, number)
        kind = "model" if point.finalist is None else "final"
        parts = [store.artifact(point.trial.number, f"{kind}.{part}") for part in ("tflite", "inputs", "outputs")]
        task = store.fact("task") or {}
    chosen = board or boards[0]
    if chosen not in boards:
        raise ConfigError(f"study {study} is not for board {chosen}: it is for {', '.join(boards)}")
    tflite, inputs, outputs = parts
    if tflite is None or inputs is None or outputs is None:
        raise ConfigError(f"study {study}: trial {point.trial.number} has no network: it was never trained")
    return export(
        tflite,
        to=to,
        folder=folder,
        inputs=inputs,
        outputs=outputs,
        provenance=Provenance(
            origin=f"trial {point.trial.number} of study {study.name}",
            task=task.get("name"),
            board=chosen,
            genome=point.trial.genome,
            class_names=tuple(task.get("class_names", ())),
            accuracy_int8_val=point.accuracy_int8_val,
            accuracy_int8_test=point.accuracy_int8_test,
            cost=point.costs.on(chosen),
        ),
        name=name,
        board=_board_at(chosen, point.costs.on(chosen)),
        arena_bytes=tflm_arena_bytes(tflite) if to == "tflm" else None,
        options=export_options(point.trial.deployment) if options is None else options,
        force=force,
    )


def _board_at(name: str, cost: Cost) -> Board:
    """The board of that name at the clock that `cost` is valid for, if its manifest has that as a step."""
    board = load_board(name)
    steps = (step.hz for step in board.clock_steps if cost.validity is not None and step.hz == cost.validity.clock_hz)
    return board.at(next(steps, None))


def _chosen(store: Store, number: int | None) -> FrontPoint:
    """A trial with its final form, if it has one."""
    if number is None:
        points = front(store)
        if not points:
            raise ConfigError(f"study {store.path} has no front yet: tinynas resume {store.path}")
        return points[0]
    finalists = {finalist.trial: finalist for finalist in store.finalists()}
    for trial in store.trials():
        if trial.number == number:
            if trial.state != "complete":
                raise ConfigError(f"study {store.path}: trial {number} is {trial.state}: {trial.reason}")
            return FrontPoint(trial=trial, finalist=finalists.get(number))
    raise ConfigError(f"study {store.path} has no trial {number}: tinynas show {store.path} lists the front")


def export_model(
    path: Path,
    *,
    to: str,
    folder: Path,
    board: str = "netduinoplus2",
    name: str | None = None,
    options: Options = DEFAULTS,
    force: bool = False,
) -> dict[str, Any]:
    """Export a .tflite file; its test vector is four random inputs with tflite-micro's outputs. Raises as `export`."""
    require_form(to, name)
    require_free(folder, force=force)
    manifest = load_board(board)
    tflite = read_model(path)
    program = compile_network(tflite)
    if to == "mlperf":
        benchmark_of(program, name)
    inputs = read_inputs(None, program, samples=4)
    return export(
        tflite,
        to=to,
        folder=folder,
        inputs=inputs.tobytes(),
        outputs=reference(tflite, inputs).tobytes(),
        provenance=Provenance(origin=path.name, board=board if to in ("platformio", "mlperf") else None),
        name=name,
        board=manifest,
        arena_bytes=tflm_arena_bytes(tflite) if to == "tflm" else None,
        options=options,
        force=force,
    )
