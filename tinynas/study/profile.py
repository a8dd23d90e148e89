"""Where a network's time and memory go, layer by layer: what `tinynas profile` does.

A profile build marks the start of the inference and the end of each layer, and the emulator counts between marks. The
layers' code is that of the ordinary build, which gives the totals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinynas import paths
from tinynas.boards import Board
from tinynas.compiler import DEFAULTS, LayerInfo, Options, Program, compile_network
from tinynas.cost import Cost
from tinynas.deploy.build import Image, build
from tinynas.deploy.desks import held_desk
from tinynas.device.bench import Bench, open_bench
from tinynas.device.counter import CLASSES, Interval, total
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import Measurement, require_equal, to_cost
from tinynas.errors import BenchError, ConfigError, InfrastructureError
from tinynas.files import write_whole
from tinynas.study.arena import svg_picture
from tinynas.study.single import board_at, patched_object, read_inputs, read_model, reference

# Intervals before the first layer: from the sync pin's rise to a mark, from that to another one with nothing between
# them, from that to the inference's own mark. After the last layer: to the sync pin's fall.
_BEFORE, _MARK_ALONE, _AFTER = 3, 1, 1


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a layer, or the whole inference, does once.

    cycles: modelled, with memory that never makes the core wait; wait_cycles: what the board's flash adds; loads,
    stores: in words; by_class: instructions by kind; share: part of the inference's time, in [0, 1].
    """

    macs: int
    instructions: int
    cycles: int
    wait_cycles: int
    loads: int
    stores: int
    latency_us: float
    share: float
    by_class: Mapping[str, int]

    @property
    def instructions_per_mac(self) -> float | None:
        return self.instructions / self.macs if self.macs else None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "instructions_per_mac": self.instructions_per_mac}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A network on an emulated board.

    layers: as in `program`; outside: the call itself; both without what marks take. whole, cost: of the ordinary build.
    """

    board: Board
    model: str
    program: Program
    layers: tuple[Work, ...]
    outside: Work
    whole: Work
    cost: Cost

    @property
    def displaced(self) -> float:
        """How much more time layers and outside take than the whole, as a share of it.

        Marks move code and tables to other addresses, on which waits for flash depend.
        """
        return sum(work.share for work in (*self.layers, self.outside)) - 1

    def to_json(self) -> dict[str, Any]:
        """The object that `tinynas profile --json` prints."""
        cost = self.cost.to_json()
        return {
            "board": self.board.name,
            "model": self.model,
            "source": "emulated",
            "clock_hz": self.board.clock_hz,
            **self.whole.to_json(),
            "sram_bytes": cost["sram_bytes"],
            "flash_bytes": cost["flash_bytes"],
            "channels_left_out": self.program.channels_left_out,
            "patched": patched_object(self.program),
            "layers": [
                {**_described(layer), **work.to_json()}
                for layer, work in zip(self.program.layers, self.layers, strict=True)
            ],
            "outside_layers": self.outside.to_json(),
            "displaced": self.displaced,
            "arena": {
                "bytes": self.program.arena_bytes,
                "lower_bound_bytes": self.program.arena_lower_bound_bytes,
                "blocks": [asdict(block) for block in self.program.arena],
            },
            "validity": cost["validity"],
        }


def _described(layer: LayerInfo) -> dict[str, Any]:
    return {**asdict(layer), "output_shape": list(layer.output_shape)}


def profile_file(
    path: Path,
    board_name: str,
    input_path: Path | None = None,
    *,
    clock: str | None = None,
    options: Options = DEFAULTS,
    notify: Callable[[str], None] = lambda stage: None,
) -> Profile:
    """Run a .tflite file on an emulated board and count each layer's work in one inference.

    input_path: raw file, of which the first input is taken; without one, a random input (seed 0). clock: as for
    `board_at`. notify: told the name of each stage as it begins.

    Raises:
        ConfigError: unknown board or clock, one that is not emulated, unreadable file, input of the wrong size.
        CandidateError: the network is refused, does not fit, or computes something else than tflite-micro.
        BenchError, InfrastructureError: the emulator or the toolchain is missing or fails.
    """
    board = board_at(board_name, clock)
    require_emulated(board)
    tflite = read_model(path)
    notify("compile")
    program = compile_network(tflite, target=board.target, constants=board.constants, **options.arguments)
    inputs = read_inputs(input_path, program, samples=1)[:1]
    notify("build")
    with held_desk() as desk:
        ordinary, marked = (build(board, program, desk, profile=profile) for profile in (False, True))
    notify("reference")
    expected = reference(tflite, inputs)
    notify("run")
    with open_bench(board, count=1, directory=paths.home() / "bench") as bench:
        whole, parts = (_run(bench, board, image, inputs, expected) for image in (ordinary, marked))
    return make_profile(
        board,
        program,
        model=str(path),
        cost=to_cost(whole, ordinary, board),
        whole=total(counted_intervals(whole)),
        marked=counted_intervals(parts),
    )


def require_emulated(board: Board) -> None:
    """Refuse a board whose layers nothing counts.

    Raises:
        ConfigError: the board is a physical one.
    """
    if not board.emulated:
        raise ConfigError(
            f"board {board.name} is a physical one, and only an emulator can count layers yet: profile on an emulated "
            f"board (see tinynas boards), or time the whole network with tinynas measure --board {board.name}"
        )


def _run(bench: Bench, board: Board, image: Image, inputs: np.ndarray, expected: np.ndarray) -> Measurement:
    measurement = flash_and_measure(bench, image, inputs, repeats=1)
    require_equal(measurement.outputs, expected, board.name)
    return measurement


def counted_intervals(measurement: Measurement) -> tuple[Interval, ...]:
    """Of the one inference that was measured."""
    if measurement.intervals is None:
        raise BenchError("the emulator counted nothing: is the firmware the one that came with this tinynas?")
    return measurement.intervals[0]


def make_profile(
    board: Board, program: Program, *, model: str, cost: Cost, whole: Interval, marked: Sequence[Interval]
) -> Profile:
    """The profile of an inference that took `whole`, and `marked` in the profile build, from mark to mark.

    Raises:
        BenchError: there are not as many intervals as the program has layers.
    """

    def work(macs: int, taken: Interval) -> Work:
        return Work(
            macs=macs,
            instructions=taken.instructions,
            cycles=taken.cycles,
            wait_cycles=taken.wait_cycles,
            loads=taken.loads,
            stores=taken.stores,
            latency_us=_time(taken) / board.clock_hz * 1e6,
            share=_time(taken) / _time(whole),
            by_class=taken.by_class,
        )

    counts, outside = layer_intervals(program, marked)
    layers = [work(layer.macs, taken) for layer, taken in zip(program.layers, counts, strict=True)]
    return Profile(
        board=board,
        model=model,
        program=program,
        layers=tuple(layers),
        outside=work(0, outside),
        whole=work(sum(layer.macs for layer in program.layers), whole),
        cost=cost,
    )


def _time(taken: Interval) -> int:
    """In cycles of the board's clock."""
    return taken.cycles + taken.wait_cycles


def _less(whole: Interval, *parts: Interval) -> Interval:
    """What remains of `whole` without `parts`."""
    rest = total(parts)
    return Interval(
        instructions=whole.instructions - rest.instructions,
        cycles=whole.cycles - rest.cycles,
        wait_cycles=whole.wait_cycles - rest.wait_cycles,
        loads=whole.loads - rest.loads,
        stores=whole.stores - rest.stores,
        by_class={name: whole.by_class[name] - rest.by_class[name] for name in CLASSES},
    )


def layer_intervals(program: Program, marked: Sequence[Interval]) -> tuple[list[Interval], Interval]:
    """What each layer took in all its patches, and what was outside of them, of `marked` from mark to mark.

    A mark alone takes what lies between two adjacent ones.

    Raises:
        BenchError: there are not as many intervals as the program has layers.
    """
    expected = _BEFORE + len(program.turns) + _AFTER
    if len(marked) != expected:
        raise BenchError(f"the emulator counted {len(marked)} intervals between marks, the image has {expected}")
    mark = marked[_MARK_ALONE]
    turns: list[list[Interval]] = [[] for _ in program.layers]
    for layer, taken in zip(program.turns, marked[_BEFORE:-_AFTER], strict=True):
        turns[layer].append(_less(taken, mark))
    return [total(each) for each in turns], _less(total([marked[0], marked[_BEFORE - 1], marked[-1]]), mark, mark)


def require_svg(path: Path) -> None:
    """Refuse a picture of another kind before any work starts.

    Raises:
        ConfigError: `path` does not end in .svg.
    """
    if path.suffix != ".svg":
        raise ConfigError(f"picture {path} cannot be drawn: only SVG can, give its name the ending .svg")


def write_picture(profile: Profile, path: Path) -> None:
    """Draw the arena over time as SVG.

    Raises:
        InfrastructureError: the file cannot be written.
    """
    picture = svg_picture(profile.program, f"{Path(profile.model).name} on {profile.board.name}")
    try:
        write_whole(path, picture.encode())
    except OSError as error:
        raise InfrastructureError(f"picture {path} cannot be written: {error.strerror}") from error
