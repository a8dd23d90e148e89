"""Where the seconds of build and upload go: `python tests/benchmarks/build_and_upload.py MODEL.tflite`.

Goals for 64 KB of constants on an idle machine with two cores: build below 1.2 s, upload below 0.7 s.
"""

import dataclasses
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tinynas.boards import load_board
from tinynas.compiler import Program, compile_network
from tinynas.deploy.build import baseline, build
from tinynas.deploy.upload import upload

ROUNDS = 7


def median_s(work: Callable[[], object]) -> float:
    durations = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def another(program: Program) -> Program:
    """The same network to the linker, a new one to SCons."""
    changed = program.files["network.c"] + f"/* {time.time_ns()} */\n".encode()
    return dataclasses.replace(program, files={**program.files, "network.c": changed})


def main(model: Path) -> None:
    board = load_board("netduinoplus2")
    program = compile_network(model.read_bytes())
    with tempfile.TemporaryDirectory() as home:
        os.environ["TINYNAS_HOME"] = home
        desk, station = Path(home) / "desk", Path(home) / "board"
        started = time.perf_counter()
        empty = baseline(board, desk)
        print(f"{time.perf_counter() - started:6.2f} s  the empty network, once: {empty.sizes}")
        started = time.perf_counter()
        image = build(board, program, desk)
        print(f"{time.perf_counter() - started:6.2f} s  first build in a folder: {image.sizes}")
        overhead_s = median_s(lambda: build(board, program, desk))
        build_s = median_s(lambda: build(board, another(program), desk))
        station.mkdir()
        upload_s = median_s(lambda: upload(image, board, str(station / "flash.bin"), station))
        print(f"{build_s:6.2f} s  build of a new network, of which")
        print(f"{overhead_s:6.2f} s    PlatformIO and SCons starting and finding nothing to do")
        print(f"{build_s - overhead_s:6.2f} s    compiling and linking")
        print(f"{upload_s:6.2f} s  upload")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
