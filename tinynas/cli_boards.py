"""`tinynas boards`: the kinds of boards from the command line. Imports are inside the subcommands, as in cli.py."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tinynas.errors import BenchError

app = typer.Typer(
    name="boards",
    help="List the boards, try one, or begin a manifest.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
_FINDING = {True: "ok     ", False: "FAILED ", None: "-      "}


@app.callback()
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the boards, try one, or begin a manifest."""
    if context.invoked_subcommand is not None:
        return
    from tinynas.boards import board_names, load_board

    rows = [load_board(name).model_dump(mode="json", exclude={"path"}) for name in board_names()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        kib = row["sram_bytes"] // 1024, row["flash_bytes"] // 1024
        memory = f"{kib[0]:,} KB SRAM, {kib[1]:,} KB flash, {row['clock_hz'] / 1e6:.0f} MHz"
        typer.echo(f"{row['name']:20} {row['title']:32} {memory}, {row['link']}, verified: {row['verified']}")


@app.command(epilog="Examples: tinynas boards check netduinoplus2; tinynas boards check my_board --port COM3 --json")
def check(
    board: Annotated[str, typer.Argument(help="Board name: see tinynas boards.")],
    port: Annotated[str | None, typer.Option(help="Serial port or URL of a physical board.")] = None,
    bench: Annotated[Path | None, typer.Option(help="A bench.toml, which says where the boards are.")] = None,
    meter: Annotated[
        str | None, typer.Option(help="Instrument on the sync pin: emulated, or a TOML file with a [meter].")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Flash a self-test: memory sizes, stack painting, clock, sync pin, kernels, and the link at several speeds."""
    from tinynas.live import stages_shown
    from tinynas.study.selftest import check_kind

    with stages_shown() as notify:
        found = check_kind(board, port=port, bench=bench, meter=meter, notify=notify)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(f"{found['name']} ({found['board']})")
        for finding in found["findings"]:
            typer.echo(f"  {_FINDING[finding['passed']]}{finding['what']}: {finding['said']}")
    if not found["passed"]:
        raise typer.Exit(BenchError.exit_code)


@app.command(epilog="Example: tinynas boards new my_board")
def new(name: Annotated[str, typer.Argument(help="Small letters, digits and underscores.")]) -> None:
    """Write the skeleton of a physical board's manifest, to be filled in from its datasheet."""
    from tinynas.boards import new_board

    path = new_board(name)
    typer.echo(f"{path}: fill in what is 0 or empty; boards/README.md has the fields", err=True)
    typer.echo(path)
