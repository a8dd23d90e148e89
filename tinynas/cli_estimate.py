"""`tinynas calibrate`: what estimates are made of. Imports are inside the subcommand, as in cli.py."""

from pathlib import Path
from typing import Annotated

import typer

from tinynas.cli_output import print_found
from tinynas.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)


@app.command(epilog="Examples: tinynas calibrate; tinynas calibrate --board my_board --port COM3 --networks 100 --json")
def calibrate(
    board: Annotated[str, typer.Option(help="Board name: see tinynas boards.")] = "netduinoplus2",
    networks: Annotated[
        int, typer.Option(min=1, max=20_000, help="Random networks in all; errors are reported on every fourth.")
    ] = 200,
    space: Annotated[
        list[str] | None, typer.Option(help="Repeat for each space to draw from. [default: image, series, mlp]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Same seed, same networks.")] = 0,
    optimize: Annotated[str, typer.Option(help="What networks are compiled for: speed or size.")] = "speed",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Networks at a time, on an emulated board.")] = 2,
    port: Annotated[str | None, typer.Option(help="Serial port or URL of a physical board.")] = None,
    bench: Annotated[
        Path | None, typer.Option("--bench", help="A bench.toml, which says where the boards are.")
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Begin again instead of going on with what is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")] = False,
) -> None:
    """Run random networks on a board, layer by layer where it is emulated, so that latencies can be estimated for it.

    Interrupted, the same command goes on. With latency = "table" or "learned" in [estimate], a search then measures
    only what survives.
    """
    from tinynas.live import calibration_shown
    from tinynas.study.calibrate import SPACES, Settings
    from tinynas.study.calibrate import calibrate as run_calibrate
    from tinynas.tables import calibration_table

    if optimize not in ("speed", "size"):
        raise ConfigError(f"networks are not optimised for {optimize!r}: speed or size is known")
    settings = Settings(
        board=board,
        networks=networks,
        seed=seed,
        spaces=tuple(space or SPACES),
        optimize="size" if optimize == "size" else "speed",
        workers=workers,
        port=port,
        bench=bench,
        anew=anew,
    )
    with calibration_shown(board) as notify:
        found = run_calibrate(settings, notify)
    if as_json:
        print_found(found, as_json=True)
    else:
        calibration_table(found)
