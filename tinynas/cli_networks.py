"""The commands that take one network, a .tflite file. Imports are inside the subcommands, as in cli.py."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tinynas.cli_output import print_found
from tinynas.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)

BoardOption = Annotated[str, typer.Option("--board", help="Board of a .tflite file: see tinynas boards.")]
PortOption = Annotated[str | None, typer.Option(help="Serial port or URL of a physical board.")]
BenchOption = Annotated[Path | None, typer.Option("--bench", help="A bench.toml, which says where the boards are.")]
KeepOption = Annotated[
    bool, typer.Option("--keep-constant-channels", help="Compute channels, too, that cannot influence the output.")
]
PatchesOption = Annotated[
    str,
    typer.Option(
        "--patches",
        metavar="off|auto|N",
        help="Run the first layers on a few rows at a time where that takes less SRAM; N: in so many patches at most.",
    ),
]
OptimizeOption = Annotated[str, typer.Option("--optimize", help="speed, or size: less code, somewhat slower.")]
FastOption = Annotated[
    str,
    typer.Option(
        "--fast-memory",
        metavar="off|auto|SIZE",
        help="Keep the most read constants in memory that never makes the CPU wait: auto for what the board has of it, "
        "a size such as '16 KB' of SRAM where it has none.",
    ),
]
ClockOption = Annotated[
    str | None,
    typer.Option("--clock", help="One of the board's clock steps, such as '120 MHz'. [default: its manifest's clock]"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]


@app.command(
    epilog="Examples: tinynas export studies/digits-netduinoplus2-1.db 3 --to platformio --output out; "
    "tinynas export model.tflite --to c --output out; tinynas export kws.tflite --to mlperf --name kws01; "
    "tinynas export studies/digits-netduinoplus2-1.db --to csv --output trials.csv"
)
def export(
    source: Annotated[Path, typer.Argument(help="A study, or a .tflite file.", metavar="STUDY|MODEL.tflite")],
    trial: Annotated[int | None, typer.Argument(help="The trial. [default: the front's most accurate]")] = None,
    to: Annotated[
        str, typer.Option(help="c, tflm, platformio or mlperf; or all trials of a study as csv, parquet or optuna.")
    ] = "c",
    output: Annotated[
        Path | None,
        typer.Option(help="Folder to write, of trials a file. [default: export; the study's name with .csv and so on]"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name in the C code; for mlperf the benchmark: kws01, vww01, ic01, ad01 or strww01. "
            "[default: network; the benchmark whose input it takes]"
        ),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option(help="Board of a .tflite file, or one of the study's. [default: netduinoplus2; the main one]"),
    ] = None,
    patches: Annotated[
        str | None,
        typer.Option(
            metavar="off|auto|N",
            help="As for tinynas compile. [default: without --optimize, too, a trial's as it was measured; else off]",
        ),
    ] = None,
    optimize: Annotated[str | None, typer.Option(help="speed or size. [default: as for --patches; else speed]")] = None,
    force: Annotated[bool, typer.Option(help="Replace what is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Export a network: a C library, arrays for TensorFlow Lite Micro, a PlatformIO project, or one for MLPerf Tiny.

    Or all trials of a study, one row each: a CSV or Parquet table, or a study that Optuna's tools read.
    """
    from tinynas.study.conclude import export_model, export_trial
    from tinynas.study.export import TRIAL_FORMS
    from tinynas.study.export_trials import export_trials

    if to in TRIAL_FORMS and source.suffix != ".tflite":
        asked = {"a trial": trial, "--name": name, "--board": board, "--patches": patches, "--optimize": optimize}
        _refuse_network_options(to, asked)
        print_found(export_trials(source, to=to, path=output, force=force), as_json=as_json)
        return
    folder = output or Path("export")
    options = _options(patches=patches or "off", optimize=optimize or "speed")
    if source.suffix == ".tflite":
        kind = board or "netduinoplus2"
        written = export_model(source, to=to, folder=folder, board=kind, name=name, options=options, force=force)
    else:
        chosen = None if patches is None and optimize is None else options
        written = export_trial(source, trial, to=to, folder=folder, board=board, name=name, options=chosen, force=force)
    print_found(written, as_json=as_json)


def _refuse_network_options(to: str, asked: Mapping[str, Any]) -> None:
    given = [name for name, value in asked.items() if value is not None]
    if given:
        raise ConfigError(f"export to {to} writes all trials of a study: leave {' and '.join(given)} out")


@app.command(name="compile", epilog="Example: tinynas compile model.tflite --output generated")
def compile_(
    model: Annotated[Path, typer.Argument(help="An int8 .tflite file.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path("generated"),
    keep_constant_channels: KeepOption = False,
    patches: PatchesOption = "off",
    optimize: OptimizeOption = "speed",
    as_json: JsonOption = False,
) -> None:
    """Compile an int8 .tflite file to C."""
    from tinynas.study.single import compile_file

    options = _options(keep_constant_channels=keep_constant_channels, patches=patches, optimize=optimize)
    print_found(compile_file(model, output, options=options), as_json=as_json)


@app.command(epilog="Example: tinynas measure model.tflite --board netduinoplus2 --input input.bin --json")
def measure(
    model: Annotated[Path, typer.Argument(help="An int8 .tflite file.")],
    board: BoardOption = "netduinoplus2",
    input_: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="Raw file of one or more inputs; several of one inference one after the other. [default: 16 random]",
        ),
    ] = None,
    accuracy: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="Run test samples of a builtin task, a study, or a TOML file with [task]."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="How many of them. [default: 100, or all of fewer]")
    ] = None,
    port: PortOption = None,
    bench: BenchOption = None,
    meter: Annotated[
        str | None, typer.Option(help="Instrument for energy_uj: emulated, or a TOML file with a [meter].")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="Timed inferences for each input.")] = 3,
    keep_constant_channels: KeepOption = False,
    patches: PatchesOption = "off",
    optimize: OptimizeOption = "speed",
    fast_memory: FastOption = "off",
    clock: ClockOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure an int8 .tflite file on a board; its outputs must equal tflite-micro's byte for byte.

    With --accuracy, the inputs are labelled samples, and what the board makes of them is scored, too.
    """
    from tinynas.live import stages_shown
    from tinynas.study.single import measure_file

    options = _options(
        keep_constant_channels=keep_constant_channels,
        patches=patches,
        optimize=optimize,
        fast_memory=fast_memory,
        board=board,
    )
    with stages_shown() as notify:
        found = measure_file(
            model,
            board,
            input_,
            task=accuracy,
            samples=samples,
            port=port,
            bench=bench,
            meter=meter,
            repeats=repeats,
            clock=clock,
            options=options,
            notify=notify,
        )
    if not as_json:
        found["outputs"] = f"{len(found['outputs'])} equal to tflite-micro's, byte for byte (--json prints them)"
    print_found(found, as_json=as_json)


@app.command(epilog="Example: tinynas profile model.tflite --board netduinoplus2 --picture arena.svg")
def profile(
    model: Annotated[Path, typer.Argument(help="An int8 .tflite file.")],
    board: BoardOption = "netduinoplus2",
    input_: Annotated[
        Path | None, typer.Option("--input", help="Raw file; its first input is run. [default: a random one]")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the arena over time to this .svg file.")] = None,
    keep_constant_channels: KeepOption = False,
    patches: PatchesOption = "off",
    optimize: OptimizeOption = "speed",
    fast_memory: FastOption = "off",
    clock: ClockOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where a network's time and memory go, layer by layer, on an emulated board."""
    from tinynas.live import stages_shown
    from tinynas.study.profile import profile_file, require_svg, write_picture
    from tinynas.tables import profile_table

    if picture is not None:
        require_svg(picture)
    options = _options(
        keep_constant_channels=keep_constant_channels,
        patches=patches,
        optimize=optimize,
        fast_memory=fast_memory,
        board=board,
    )
    with stages_shown() as notify:
        found = profile_file(model, board, input_, clock=clock, options=options, notify=notify)
    if picture is not None:
        write_picture(found, picture)
    if as_json:
        print_found({**found.to_json(), "picture": None if picture is None else str(picture)}, as_json=True)
        return
    profile_table(found)
    if picture is not None:
        typer.echo(f"picture: {picture}")


def _options(
    *,
    keep_constant_channels: bool = False,
    patches: str,
    optimize: str,
    fast_memory: str = "off",
    board: str | None = None,
) -> Any:
    """What the compiler is to do, which refuses whatever it does not know."""
    from tinynas.boards import load_board
    from tinynas.compiler import Options
    from tinynas.study.single import fast_bytes

    given: dict[str, Any] = {
        "keep_constant_channels": keep_constant_channels,
        "patches": int(patches) if patches.isdecimal() else patches,
        "optimize": optimize,
    }
    return Options(
        **given,
        fast_bytes=0 if board is None else fast_bytes(load_board(board), fast_memory),
    )
