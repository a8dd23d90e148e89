"""The command line: thin. Imports are inside the subcommands, so that --help answers at once.

Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 configuration, 3 no board,
4 infrastructure, 5 nothing feasible, 130 interrupted (a search can be resumed).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from tinynas import cli_bench, cli_boards, cli_cluster, cli_dashboard, cli_estimate, cli_networks, cli_spaces
from tinynas.cli_dashboard import dashboard_of
from tinynas.cli_output import print_found
from tinynas.cli_spaces import fixed_axes
from tinynas.errors import ConfigError, InfrastructureError, StoppedError, TinynasError

if TYPE_CHECKING:
    from tinynas.cluster.place import Place
    from tinynas.study.interruption import Interruption
    from tinynas.study.session import Notify

app = typer.Typer(
    name="tinynas",
    help="Search for the int8 network that fits a microcontroller best, measured on the board.",
    epilog="Exit codes: 0 done, 1 failed, 2 configuration, 3 no board, 4 infrastructure, 5 nothing feasible, "
    "130 interrupted (tinynas resume continues).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(cli_networks.app)
app.add_typer(cli_bench.app)
app.add_typer(cli_boards.app)
app.add_typer(cli_cluster.app)
app.add_typer(cli_cluster.worker_app)
app.add_typer(cli_estimate.app)
app.add_typer(cli_spaces.app)
app.add_typer(cli_dashboard.app)

StudyArgument = Annotated[Path, typer.Argument(help="The study's file.", metavar="STUDY")]
PortOption = Annotated[str | None, typer.Option(help="Serial port or URL of a physical board.")]
BenchOption = Annotated[Path | None, typer.Option("--bench", help="A bench.toml, which says where the boards are.")]
ClusterOption = Annotated[
    str | None, typer.Option(help="Run on a cluster: its file, or tls://HOST:PORT.", metavar="FILE|ADDRESS")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
DashboardOption = Annotated[
    bool, typer.Option("--dashboard", help="Serve a page that follows the search, as long as it runs.")
]
LogOption = Annotated[
    Path | None,
    typer.Option(help="Log, a JSON object a line: docs/logs.md. [default: the study's name with .log]"),
]

INTERRUPTED = StoppedError.exit_code


@app.command(epilog="Example: tinynas search --task digits --limit-latency '5 ms' --limit-sram '16 KB' --budget 24")
def search(
    config: Annotated[Path | None, typer.Option(help="TOML file with any of the settings below.")] = None,
    study: Annotated[Path | None, typer.Option(help="The study's file. [default: studies/TASK-BOARD-N.db]")] = None,
    task: Annotated[str | None, typer.Option(help="Builtin task: see tinynas tasks.")] = None,
    data: Annotated[Path | None, typer.Option(help="Your own data; goes with --kind.")] = None,
    kind: Annotated[str | None, typer.Option(help="What --data is: npz, images, audio or series.")] = None,
    space: Annotated[str | None, typer.Option(help="Search space: see tinynas spaces.")] = None,
    space_file: Annotated[Path | None, typer.Option(help="Python file that defines SPACE.")] = None,
    fix: Annotated[list[str] | None, typer.Option(help="Repeat for each axis with one value: width=50.")] = None,
    hardware: Annotated[
        list[str] | None, typer.Option(help="Repeat for each gene: optimize, patches, fast_memory, clock, activations.")
    ] = None,
    board: Annotated[str | None, typer.Option(help="Board name: see tinynas boards.")] = None,
    clock: Annotated[str | None, typer.Option(help="For example '120 MHz'. [default: the manifest's]")] = None,
    port: PortOption = None,
    bench: BenchOption = None,
    also: Annotated[
        list[str] | None, typer.Option(help="A further board that networks must serve as well. Repeat for more.")
    ] = None,
    estimate: Annotated[
        str | None,
        typer.Option(help="Latencies while searching: measured, analytic, or after calibrate table or learned."),
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="nsga2, nsga3, aging, local, bayesian, reinforce, gradient or random.")
    ] = None,
    predictor: Annotated[
        bool | None, typer.Option(help="Let a model choose among proposals. [default: where the strategy makes any]")
    ] = None,
    start: Annotated[
        list[str] | None, typer.Option(help="Begin with a known network, a genome or a study's front. Repeat for more.")
    ] = None,
    formulation: Annotated[str | None, typer.Option(help="pareto, weighted_product or chebyshev.")] = None,
    objective: Annotated[
        list[str] | None, typer.Option(help="Repeat: error, latency_us, latency_us@BOARD, sram_bytes…")
    ] = None,
    limit_latency: Annotated[str | None, typer.Option(help="For example '20 ms'.")] = None,
    limit_sram: Annotated[str | None, typer.Option(help="For example '32 KB'.")] = None,
    limit_flash: Annotated[str | None, typer.Option(help="For example '64 KB', for the network alone.")] = None,
    limit_energy: Annotated[str | None, typer.Option(help="For example '2 mJ'.")] = None,
    budget: Annotated[int | None, typer.Option(help="Evaluations.")] = None,
    time: Annotated[str | None, typer.Option(help="Time for the search itself, for example 30m.")] = None,
    population: Annotated[int | None, typer.Option(help="Candidates that parents are chosen from.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same result.")] = None,
    workers: Annotated[int | None, typer.Option(help="Training processes.")] = None,
    stop: Annotated[str | None, typer.Option(help="End trainings early: halving, curve or none.")] = None,
    cache: Annotated[
        bool | None, typer.Option(help="Take what earlier studies trained and measured. [default: no]")
    ] = None,
    dashboard: DashboardOption = False,
    cluster: ClusterOption = None,
    log: LogOption = None,
    dry_run: Annotated[bool, typer.Option(help="Check all settings, the data and the tools; search nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Search for the networks that fit a board best. Flags win over the file."""
    from tinynas.config import load_config

    flags: dict[str, dict[str, Any]] = {
        "task": {"name": task or (data.stem if data else None), "path": data, "kind": kind},
        "space": {"name": space, "file": space_file, "fix": fixed_axes(fix), "hardware": hardware or None},
        "board": {"name": board, "clock": clock, "port": port, "bench": bench},
        "also": {name: {} for name in also or ()},
        "estimate": {"latency": estimate},
        "search": {
            "strategy": strategy,
            "formulation": formulation,
            "start": start or None,
            "predictor": predictor,
            "objectives": objective or None,
            "budget": budget,
            "time": time,
            "population": population,
            "seed": seed,
            "workers": workers,
        },
        "stop": {"rule": stop},
        "cache": {"enabled": cache},
        "limits": {"latency": limit_latency, "sram": limit_sram, "flash": limit_flash, "energy": limit_energy},
    }
    given = {name: {key: value for key, value in keys.items() if value is not None} for name, keys in flags.items()}
    settings = load_config(config, given)
    path = study or _new_study(f"{settings.task.name}-{settings.board.name}")
    place = _place(cluster)
    if dry_run:
        from tinynas.study.run import check

        print_found(check(settings, place), as_json=as_json)
        return
    from tinynas.study.run import search as run_search

    with dashboard_of(path, wanted=dashboard), _followed(path, log) as (notify, interruption):
        run_search(settings, path, notify, place, interruption=interruption)
    _conclude(path, as_json=as_json)


@contextmanager
def _followed(study: Path, log: Path | None) -> "Iterator[tuple[Notify, Interruption]]":
    """Show and log a search as it goes on, and hear Ctrl-C once and twice; when that ends it, say how to go on."""
    from tinynas.live import watched
    from tinynas.study.interruption import heard
    from tinynas.study.logbook import logbook

    try:
        with watched(study) as notify, logbook(study, log, notify) as told, heard() as interruption:
            yield told, interruption
    except KeyboardInterrupt:
        next_command = f"tinynas resume {study} goes on" if study.exists() else "nothing was begun yet"
        raise StoppedError(f"stopped at once, nothing that was finished is lost: {next_command}") from None


def _place(cluster: str | None) -> "Place | None":
    if cluster is None:
        return None
    from tinynas.cluster.place import find_place

    return find_place(cluster)


def _new_study(stem: str) -> Path:
    number = 1
    while (path := Path("studies") / f"{stem}-{number}.db").exists():
        number += 1
    return path


@app.command(epilog="Example: tinynas resume studies/digits-netduinoplus2-1.db --budget 100")
def resume(
    study: StudyArgument,
    budget: Annotated[int | None, typer.Option(help="A larger number of evaluations.")] = None,
    time: Annotated[str | None, typer.Option(help="A longer time, for example 2h.")] = None,
    dashboard: DashboardOption = False,
    cluster: ClusterOption = None,
    log: LogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Continue a search that was interrupted or killed, or extend one that is done."""
    place = _place(cluster)
    from tinynas.study.run import resume as run_resume

    with dashboard_of(study, wanted=dashboard), _followed(study, log) as (notify, interruption):
        run_resume(study, notify, budget, time, place, interruption=interruption)
    _conclude(study, as_json=as_json)


def _conclude(path: Path, *, as_json: bool) -> None:
    """The front, the report and the exported best network."""
    from tinynas.study.conclude import conclude
    from tinynas.study.store import Store
    from tinynas.study.summary import summary
    from tinynas.tables import front_table

    results = conclude(path)
    with Store.open_to_read(path) as store:
        found = {**summary(store), **{name: str(where) for name, where in results.items()}}
    if as_json:
        print_found(found, as_json=True)
        return
    front_table(found)
    for name, where in results.items():
        typer.echo(f"{name}: {where}")
    typer.echo(f"study: {path}")


@app.command(name="list", epilog="Example: tinynas list studies --json")
def list_(
    folder: Annotated[Path, typer.Argument(help="Folder with studies.")] = Path("studies"), as_json: JsonOption = False
) -> None:
    """List the studies in a folder."""
    from tinynas.study.summary import list_studies
    from tinynas.tables import studies_table

    if not folder.is_dir():
        raise ConfigError(f"folder {folder} does not exist: name the folder of the studies, or start a search")
    rows = list_studies(folder)
    if as_json:
        print_found(rows, as_json=True)
    else:
        studies_table(rows)


@app.command(epilog="Example: tinynas show studies/digits-netduinoplus2-1.db --trial 3")
def show(
    study: StudyArgument,
    trial: Annotated[int | None, typer.Option(help="One trial instead of the front.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a study's front, or one trial."""
    from tinynas.study.store import Store
    from tinynas.study.summary import describe_trial, summary
    from tinynas.tables import front_table

    with Store.open_to_read(study) as store:
        found = summary(store) if trial is None else describe_trial(store, trial)
    if as_json or trial is not None:
        print_found(found, as_json=as_json)
    else:
        front_table(found)


@app.command(epilog="Example: tinynas report studies/digits-netduinoplus2-1.db --output front.html")
def report(
    study: StudyArgument,
    output: Annotated[Path | None, typer.Option(help="[default: the study's name with .html]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a study's report: one HTML file that works offline."""
    from tinynas.study.report import write_report
    from tinynas.study.store import Store

    path = output or study.with_suffix(".html")
    with Store.open_to_read(study) as store:
        write_report(store, path)
    print_found({"report": str(path)}, as_json=as_json)


@app.command(epilog="Example: tinynas proxies studies/digits-netduinoplus2-1.db --json")
def proxies(
    study: StudyArgument,
    samples: Annotated[int, typer.Option(min=2, max=1024, help="Training samples in the minibatch.")] = 64,
    as_json: JsonOption = False,
) -> None:
    """Show how well zero-cost proxies rank a study's trained networks, beside their sizes."""
    from tinynas.live import stages_shown
    from tinynas.study.ranking import rank_proxies
    from tinynas.tables import proxies_table

    with stages_shown() as notify:
        found = rank_proxies(study, samples, notify)
    if as_json:
        print_found(found, as_json=True)
    else:
        proxies_table(found)


@app.command()
def tasks(as_json: JsonOption = False) -> None:
    """List the builtin tasks; your own data goes with --data and --kind."""
    from tinynas.model.data import task_names

    print_found(dict(task_names()), as_json=as_json)


@app.command()
def spaces(as_json: JsonOption = False) -> None:
    """List the search spaces with their axes."""
    from tinynas.space.registry import load_space, space_names

    found = {name: {axis.name: list(axis.choices) for axis in load_space(name, None).axes} for name in space_names()}
    print_found(found, as_json=as_json)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check that everything tinynas needs is here; exit code 4 when something is not."""
    from tinynas.study.doctor import examine

    findings = examine()
    if as_json:
        print_found([{"what": each.what, "found": each.found, "mend": each.mend} for each in findings], as_json=True)
    else:
        for each in findings:
            typer.echo(f"{'ok     ' if each.mend is None else 'MISSING'} {each.what}: {each.mend or each.found}")
    if any(each.mend for each in findings):
        raise typer.Exit(4)


def main() -> None:
    """Run the command line; every error that tinynas raises on purpose is one line and an exit code."""
    try:
        exit_code = app(standalone_mode=False)
    except TinynasError as error:
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        exit_code = INTERRUPTED
    except OSError as error:
        _fail(f"{error.filename or 'tinynas'}: {error.strerror or error}", InfrastructureError.exit_code)
    except Exception as error:
        # Usage errors come with a message and exit code 2; whatever else arrives here is a bug and shows its traceback.
        if not hasattr(error, "format_message"):
            raise
        _fail(f"{error.format_message()}: see --help", ConfigError.exit_code)
    # Typer may answer Ctrl-C by itself, with this exit code.
    if exit_code == INTERRUPTED:
        _fail(
            "interrupted: nothing is lost, tinynas resume STUDY continues a search, the same command a calibration",
            INTERRUPTED,
        )
    sys.exit(exit_code if isinstance(exit_code, int) else 0)


def _fail(message: str, exit_code: int) -> NoReturn:
    typer.echo(f"tinynas: {message}", err=True)
    sys.exit(exit_code)
