"""The commands that look at a search space before a search. Imports are inside the subcommands, as in cli.py."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tinynas.cli_output import print_found
from tinynas.errors import ConfigError, InfrastructureError

app = typer.Typer(rich_markup_mode=None)


def fixed_axes(given: list[str] | None) -> dict[str, int] | None:
    """`["width=50"]` -> `{"width": 50}`; None for nothing.

    Raises:
        ConfigError: a text is no name and whole number with = between.
    """
    found: dict[str, int] = {}
    for text in given or ():
        name, _, value = text.partition("=")
        try:
            found[name.strip()] = int(value)
        except ValueError as error:
            raise ConfigError(f"--fix {text!r}: give an axis and its value, such as width=50") from error
    return found or None


@app.command(
    epilog="Example: tinynas refine --task fashion_mnist --space mobilenet --limit-sram '32 KB' --picture refine.html"
)
def refine(
    config: Annotated[Path | None, typer.Option(help="TOML file with a search's settings.")] = None,
    task: Annotated[str | None, typer.Option(help="Builtin task: see tinynas tasks.")] = None,
    space: Annotated[str | None, typer.Option(help="Search space: see tinynas spaces.")] = None,
    space_file: Annotated[Path | None, typer.Option(help="Python file that defines SPACE.")] = None,
    board: Annotated[str | None, typer.Option(help="Board name: see tinynas boards.")] = None,
    axis: Annotated[
        list[str] | None, typer.Option(help="Repeat for each axis to divide by. [default: resolution and width]")
    ] = None,
    limit_latency: Annotated[str | None, typer.Option(help="For example '20 ms'.")] = None,
    limit_sram: Annotated[str | None, typer.Option(help="For example '32 KB'.")] = None,
    limit_flash: Annotated[str | None, typer.Option(help="For example '64 KB', for the network alone.")] = None,
    limit_energy: Annotated[str | None, typer.Option(help="For example '2 mJ'.")] = None,
    samples: Annotated[int, typer.Option(min=20, max=100_000, help="Feasible networks from each sub-space.")] = 200,
    seed: Annotated[int | None, typer.Option(help="Same seed, same networks.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the distributions to this .html file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Find the resolution and width at which the most compute fits the limits, as TinyNAS does; nothing is trained."""
    from tinynas.config import load_config

    if picture is not None and picture.suffix != ".html":
        raise ConfigError(f"picture {picture} would be a page: name it *.html")
    flags: dict[str, dict[str, Any]] = {
        "task": {"name": task},
        "space": {"name": space, "file": space_file},
        "board": {"name": board},
        "search": {"seed": seed},
        "limits": {"latency": limit_latency, "sram": limit_sram, "flash": limit_flash, "energy": limit_energy},
    }
    given = {name: {key: value for key, value in keys.items() if value is not None} for name, keys in flags.items()}
    settings = load_config(config, given)
    from tinynas.live import stages_shown
    from tinynas.study.charts import refinement_page
    from tinynas.study.refine import refine as run_refine
    from tinynas.tables import refinement_table

    with stages_shown() as notify:
        found = run_refine(settings, axis or (), samples, notify)
    record = {**found.to_json(), "picture": None if picture is None else str(picture)}
    if picture is not None:
        _write(picture, refinement_page(found))
    if as_json:
        print_found(record, as_json=True)
        return
    refinement_table(found)
    if picture is not None:
        typer.echo(f"picture: {picture}")


@app.command(epilog="Example: tinynas screen --space image --board netduinoplus2 --factor 2")
def screen(
    space: Annotated[str, typer.Option(help="Search space: see tinynas spaces.")] = "image",
    space_file: Annotated[Path | None, typer.Option(help="Python file that defines SPACE.")] = None,
    board: Annotated[str, typer.Option(help="Board name: see tinynas boards.")] = "netduinoplus2",
    port: Annotated[str | None, typer.Option(help="Serial port or URL of a physical board.")] = None,
    bench: Annotated[
        Path | None, typer.Option("--bench", help="A bench.toml, which says where the boards are.")
    ] = None,
    optimize: Annotated[str, typer.Option(help="What networks are compiled for: speed or size.")] = "speed",
    factor: Annotated[
        float, typer.Option(min=1.0, help="Drop what takes more than so many times the best choice's time for a MAC.")
    ] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Time a space's operators on a board, and say which choices it does badly for their multiply-accumulates."""
    from tinynas.config import load_config

    where = {"name": board, "port": port, "bench": bench, "optimize": optimize}
    settings = load_config(
        None,
        {
            "space": {"name": space, "file": space_file},
            "board": {key: value for key, value in where.items() if value is not None},
        },
    )
    from tinynas.live import stages_shown
    from tinynas.study.screen import screen as run_screen
    from tinynas.tables import screening_table

    with stages_shown() as notify:
        found = run_screen(settings, factor, notify=notify)
    if as_json:
        print_found(found.to_json(), as_json=True)
    else:
        screening_table(found)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(f"picture {path} cannot be written: {error.strerror}") from error
