"""`tinynas cluster` and `tinynas worker`. Imports are inside the subcommands, as in cli.py."""

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tinynas.errors import ConfigError

app = typer.Typer(
    name="cluster",
    help="Make a cluster of machines and boards, and run its scheduler: docs/cluster.md.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
worker_app = typer.Typer(rich_markup_mode=None)

ClusterOption = Annotated[
    str | None, typer.Option("--cluster", help="The cluster's file. [default: cluster/cluster.toml]", metavar="FILE")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]


@app.command(epilog="Example: tinynas cluster init lab --host bench.example.org")
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("cluster"),
    host: Annotated[
        str | None, typer.Option(help="Name or address of the scheduler's machine. [default: this one's name]")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8786,
    as_json: JsonOption = False,
) -> None:
    """Make a cluster's file and certificates, with which its machines know each other and encrypt what they say."""
    import socket

    from tinynas.cluster.place import require_installed

    require_installed()
    from tinynas.cluster.certificates import init_cluster

    files = init_cluster(folder, host or socket.gethostname(), port)
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "files": files}, indent=2))
        return
    typer.echo(f"{folder}: a cluster's file and certificates")
    for role, names in files.items():
        typer.echo(f"  a {role} needs {', '.join(names)}")
    typer.echo("Keep ca.key where it is, and the others from strangers: who has one can run code on all machines.")


@app.command(epilog="Examples: tinynas cluster start --cluster lab/cluster.toml; tinynas cluster start --local")
def start(
    cluster: ClusterOption = None,
    local: Annotated[bool, typer.Option("--local", help="Without certificates, for this machine alone.")] = False,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="[default: that of the file, or 8786]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the scheduler until Ctrl-C. Without certificates it is heard on this machine alone."""
    from tinynas.cluster.place import DEFAULT_FILE, DEFAULT_PORT, find_place

    if cluster is None and (local or not DEFAULT_FILE.is_file()):
        place = find_place(f"tcp://127.0.0.1:{DEFAULT_PORT if port is None else port}")
    elif local:
        raise ConfigError(f"--local is a scheduler without certificates, {cluster} has some: leave one of them out")
    else:
        place = find_place(cluster)
    from tinynas.cluster.scheduler import run_scheduler

    _show_warnings()
    # The default cluster is found where the commands run.
    named = "" if place.file in (str(DEFAULT_FILE), place.address) else f" --cluster {place.file}"

    def say(facts: dict[str, Any]) -> None:
        encrypted = facts["encrypted"]
        address = f"{'tls' if encrypted else 'tcp'}://{place.host}:{facts['port']}"
        worker = f"tinynas worker --scheduler {address}{named if encrypted else ''}"
        search = f"tinynas search --cluster {place.file if encrypted and port is None else address}"
        dashboard = facts["dashboard"]
        if as_json:
            _tell(json.dumps({"scheduler": address, "worker": worker, "search": search, **facts}))
            return
        why = "" if encrypted else ", for this machine alone, since there are no certificates (tinynas cluster init)"
        shown = dashboard or "tinynas dashboard STUDY; with bokeh installed also one of the cluster"
        _tell(
            f"scheduler: {address}{why}",
            f"dashboard: {shown}",
            f"worker:    {worker} --train 2 --board netduinoplus2",
            f"search:    {search}",
        )

    run_scheduler(place, place.port if port is None else port, say)
    typer.echo("scheduler: ended; searches wait for it, and workers, to come back", err=True)


@app.command(epilog="Example: tinynas cluster status --cluster lab/cluster.toml --json")
def status(cluster: ClusterOption = None, as_json: JsonOption = False) -> None:
    """Show what a cluster's workers offer, and what of it is busy."""
    from tinynas.cluster.place import find_place
    from tinynas.cluster.remote import describe

    found = describe(find_place(cluster))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(f"scheduler: {found['scheduler']}")
    for row in found["workers"]:
        offers = ", ".join(f"{each['resource']} ({each['busy']} of {each['count']} busy)" for each in row["offers"])
        typer.echo(f"{row['host']}: {offers}")


@worker_app.command(
    epilog="Examples: tinynas worker --scheduler tls://lab:8786 --train 4; "
    "tinynas worker --board netduinoplus2 --board netduinoplus2; tinynas worker --bench bench.toml --board left"
)
def worker(
    scheduler: Annotated[
        str | None, typer.Option(help="tls://HOST:PORT. [default: that of the cluster's file]", metavar="ADDRESS")
    ] = None,
    cluster: ClusterOption = None,
    board: Annotated[
        list[str] | None,
        typer.Option(
            help="A board to offer: its USB serial number, its name in --bench, or a manifest's, which if that "
            "is an emulated one makes one. Repeat for more."
        ),
    ] = None,
    bench: Annotated[
        Path | None, typer.Option(help="A bench.toml; without --board all of its boards are offered.")
    ] = None,
    train: Annotated[
        int | None, typer.Option(min=0, max=256, help="Training slots. [default: 0 with boards, else 1 for each CPU]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Offer this machine's boards and training slots to a cluster until Ctrl-C. When the scheduler is gone, the worker
    waits for it to come back.
    """
    import os

    from tinynas.cluster.place import find_place

    place = find_place(cluster or scheduler, scheduler if cluster else None)
    boards = board or []
    slots = train if train is not None else 0 if boards or bench else os.cpu_count() or 1
    if not slots and not boards and bench is None:
        raise ConfigError("a worker offers something: --train, --board or --bench")
    from tinynas.cluster.offer import open_boards
    from tinynas.cluster.worker import run_worker

    _show_warnings()

    def say(facts: dict[str, Any]) -> None:
        offers = {each: facts["offers"].count(each) for each in dict.fromkeys(facts["offers"])}
        if as_json:
            _tell(json.dumps({**facts, "offers": offers}))
        else:
            said = ", ".join(f"{count} x {each}" for each, count in offers.items())
            _tell(f"worker {facts['host']}: {said}, to {facts['scheduler']}")

    with open_boards(boards, bench) as benches:
        run_worker(place, train=slots, benches=benches, say=say)
    typer.echo("worker: ended", err=True)


def _tell(*lines: str) -> None:
    """At once, also where stdout is a file: what follows takes days."""
    for line in lines:
        typer.echo(line)
    sys.stdout.flush()


def _show_warnings() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
