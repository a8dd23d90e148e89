"""What `tinynas boards check` does: build the self-test for a board, and have the board run it."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tinynas import paths
from tinynas.boards import load_board
from tinynas.compiler import compile_network
from tinynas.deploy.build import build_selftest
from tinynas.deploy.desks import held_desk
from tinynas.device.bench import open_bench
from tinynas.device.meters import open_meter, read_meter
from tinynas.device.selftest import Known, self_test
from tinynas.study.single import reference

# Beside the manifest's: half and twice the usual one.
_OTHER_SPEEDS = (57_600, 230_400)
_SAMPLES = 8


def check_kind(
    board_name: str,
    *,
    port: str | None = None,
    bench: Path | None = None,
    meter: str | None = None,
    notify: Callable[[str], None] = lambda stage: None,
) -> dict[str, Any]:
    """Have a board try its memories, stack, clock, sync pin, kernels and link. Arguments as those of `measure_file`.

    notify: told each stage when it begins.

    Returns:
        The object that `tinynas boards check --json` prints: `board`, `name` of the one that was tried, `passed`, and
        `findings`, each with `what`, `passed` (None: no means to try it), `said` and `seconds`.

    Raises:
        ConfigError: unknown board or meter.
        BenchError, InfrastructureError: no board or no toolchain.
        LimitError: the self-test does not fit the board.
    """
    board = load_board(board_name)
    instrument = None if meter is None else open_meter(read_meter(meter), board)
    tflite = (paths.FIRMWARE / "selftest" / "known.tflite").read_bytes()
    program = compile_network(tflite, name="known", target=board.target, constants=board.constants)
    inputs = np.random.default_rng(0).integers(-128, 128, (_SAMPLES, program.inputs_bytes)).astype(np.int8)
    notify("reference")
    known = Known(inputs=inputs, outputs=reference(tflite, inputs))
    # simavr's line keeps the pace that the manifest gives it.
    paced = board.emulator is not None and board.emulator.program == "simavr"
    speeds = [baud for baud in _OTHER_SPEEDS if baud != board.baud and not paced]
    notify("build")
    with held_desk() as desk:
        image = build_selftest(board, program, desk)
        others = {baud: build_selftest(board.model_copy(update={"baud": baud}), program, desk) for baud in speeds}
    with (
        instrument or nullcontext(),
        open_bench(board, port=port, directory=paths.home() / "bench", file=bench, meter=instrument) as boards,
        boards.lease() as station,
    ):
        findings = self_test(station, image, known, others, notify)
        boards.note(station.name, "flash", seconds=findings[0].seconds, detail=image.build_id)
        name = station.name
    return {
        "board": board.name,
        "name": name,
        "passed": all(finding.passed is not False for finding in findings),
        "findings": [asdict(finding) for finding in findings],
    }
