"""The command that shows a study as a local web page, and the page of a search while it runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tinynas.errors import ConfigError, InfrastructureError

app = typer.Typer(rich_markup_mode=None)

PortOption = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port on this machine. [default: 8642, or any that is free]")
]


@app.command(epilog="Example: tinynas dashboard studies/digits-netduinoplus2-1.db --open")
def dashboard(
    study: Annotated[Path, typer.Argument(help="The study's file.", metavar="STUDY")],
    port: PortOption = None,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser.")] = False,
) -> None:
    """Show a study as a web page on this machine, also while it is searched; Ctrl-C ends it.

    The front filling up, hypervolume, boards, what is under way, failures, and candidates side by side. It only reads.
    """
    import webbrowser

    from tinynas.dashboard import open_socket, serve, url_of

    if not study.is_file():
        raise ConfigError(f"study {study} does not exist: tinynas list shows the studies of a folder")
    listening = open_socket(port)
    typer.echo(url_of(listening))
    sys.stdout.flush()
    if open_:
        webbrowser.open(url_of(listening))
    serve(study, listening)


@contextmanager
def dashboard_of(study: Path, *, wanted: bool) -> Iterator[None]:
    """Serve the page of a search as long as the block lasts, if it is `wanted`. Without the page the search goes on."""
    if not wanted:
        yield
        return
    from contextlib import ExitStack

    from tinynas.dashboard import served

    with ExitStack() as stack:
        try:
            typer.echo(f"dashboard: {stack.enter_context(served(study))}", err=True)
        except InfrastructureError as error:
            typer.echo(f"tinynas: {error}", err=True)
        yield
