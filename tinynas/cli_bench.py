"""`tinynas bench`: a lab's boards from the command line. Imports are inside the subcommands, as in cli.py."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tinynas.errors import BenchError, ConfigError, InfrastructureError

app = typer.Typer(
    name="bench",
    help="Look after a lab's boards, which bench.toml lists.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FileOption = Annotated[Path, typer.Option("--bench", help="The bench's file.")]
NameArgument = Annotated[str, typer.Argument(help="The board's name in the bench's file.", metavar="BOARD")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
WhyOption = Annotated[str, typer.Option(help="Why, for whoever finds the board held.")]
_FILE = Path("bench.toml")
_FINDING = {True: "ok     ", False: "FAILED ", None: "-      "}


@app.command(epilog="Example: tinynas bench scan --output bench.toml")
def scan(
    output: Annotated[Path | None, typer.Option(help="File to write. [default: stdout]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a bench.toml from the boards that are attached over USB."""
    from tinynas.study.inspect import scan as run_scan

    text = run_scan()
    if output is not None:
        try:
            with output.open("x", encoding="utf-8") as stream:
                stream.write(text)
        except FileExistsError as error:
            raise ConfigError(f"{output} exists already: name another file, or move it away") from error
        except OSError as error:
            raise InfrastructureError(f"{output} cannot be written: {error.strerror}") from error
    if as_json:
        typer.echo(json.dumps({"toml": text, "output": None if output is None else str(output)}, indent=2))
    elif output is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(f"{output}: name the boards, then try them with tinynas bench check --bench {output}")


@app.command(name="list", epilog="Example: tinynas bench list --bench lab/bench.toml --json")
def list_(bench: FileOption = _FILE, as_json: JsonOption = False) -> None:
    """Show the boards: where they are, what they do, and what they have been through."""
    from tinynas.study.inspect import overview

    rows = overview(bench)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        _show(rows)


@app.command(epilog="Example: tinynas bench watch --interval 5")
def watch(
    bench: FileOption = _FILE,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
    count: Annotated[int | None, typer.Option(min=1, help="Looks. [default: until Ctrl-C]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array a line for each look.")] = False,
) -> None:
    """Show the boards again and again: state, last candidate, failures."""
    from tinynas.study.inspect import overview

    looks = 0
    while count is None or looks < count:
        if looks:
            time.sleep(interval)
        rows = overview(bench)
        looks += 1
        if as_json:
            typer.echo(json.dumps(rows))
        else:
            _show(rows, afresh=count != 1)


@app.command(epilog="Examples: tinynas bench check; tinynas bench check left --model kws.tflite --json")
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Boards. [default: all]", metavar="[BOARD]...")] = None,
    bench: FileOption = _FILE,
    model: Annotated[
        Path | None, typer.Option(help="The .tflite whose RAM is looked for. [default: a small one of tinynas's]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try boards: flash them, reset them, prove by the boot count that a power cycle really cuts their power, and look
    for the smallest RAM in which a network runs, beside what was predicted.
    """
    from tinynas.study.inspect import check as run_check

    found = run_check(bench, names or [], model)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for row in found:
            typer.echo(f"{row['name']} ({row['board']}){': ' + row['reason'] if 'reason' in row else ''}")
            for finding in row["findings"]:
                typer.echo(f"  {_FINDING[finding['passed']]}{finding['what']}: {finding['said']}")
    if any(row["passed"] is False for row in found):
        raise typer.Exit(BenchError.exit_code)


@app.command(epilog="Example: tinynas bench reserve left --why 'Ada solders a header on'")
def reserve(name: NameArgument, bench: FileOption = _FILE, why: WhyOption = "", as_json: JsonOption = False) -> None:
    """Keep searches off a board until it is released; a measurement that runs on it ends first."""
    _hold(bench, name, "reserve", why or "by hand", as_json=as_json)


@app.command(epilog="Example: tinynas bench quarantine left --why 'its regulator gets hot'")
def quarantine(name: NameArgument, bench: FileOption = _FILE, why: WhyOption = "", as_json: JsonOption = False) -> None:
    """Take a broken board out until it is released."""
    _hold(bench, name, "quarantine", why or "by hand", as_json=as_json)


@app.command(epilog="Example: tinynas bench release left")
def release(name: NameArgument, bench: FileOption = _FILE, as_json: JsonOption = False) -> None:
    """Give a board that was reserved or quarantined back to searches, which go on with it at once."""
    _hold(bench, name, "release", "", as_json=as_json)


@app.command(name="power-cycle", epilog="Example: tinynas bench power-cycle left")
def power_cycle(name: NameArgument, bench: FileOption = _FILE, as_json: JsonOption = False) -> None:
    """Cut a board's power for a moment, with the command that the bench's file has for it."""
    from tinynas.study.inspect import power_cycle as run_power_cycle

    run_power_cycle(bench, name)
    _tell({"name": name, "done": "power_cycle"}, as_json=as_json)


def _hold(bench: Path, name: str, kind: Any, reason: str, *, as_json: bool) -> None:
    from tinynas.study.inspect import hold

    hold(bench, name, kind, reason)
    _tell({"name": name, "done": kind}, as_json=as_json)


def _tell(done: Mapping[str, str], *, as_json: bool) -> None:
    typer.echo(json.dumps(done) if as_json else f"{done['name']}: {done['done']}, done")


def _show(rows: Sequence[Mapping[str, Any]], *, afresh: bool = False) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, show_edge=False, pad_edge=False, collapse_padding=True)
    for title in ("name", "board", "state", "last candidate"):
        table.add_column(title, no_wrap=title != "board", overflow="fold")
    for title in ("measured", "flashes", "leased", "up", "faults"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        last = f"{row['last'][:8]}, {_ago(row['last_at'])}" if row["last"] else "-"
        counts = (f"{row[name]:,}" for name in ("measurements", "flashes"))
        spans = (_duration(row[name]) for name in ("leased_s", "uptime_s"))
        table.add_row(row["name"], row["board"], row["state"], last, *counts, *spans, f"{row['faults']:,}")
    console = Console()
    if afresh:
        console.clear()
    console.print(table)
    for row in rows:
        if row["reason"]:
            # A board's words may be among the reasons: no markup is read from them.
            console.print(Text(f"{row['name']}, {row['state']}: {row['reason']}"))


def _ago(at: float) -> str:
    return f"{_duration(max(0.0, time.time() - at))} ago"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
