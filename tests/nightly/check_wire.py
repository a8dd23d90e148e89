"""The wire's figures: `python tests/nightly/check_wire.py`, and `--help` for smaller numbers.

The real client talks to the real firmware through faults of every kind, compiled for this machine, and to the image of
a chip on an emulated board; both decoders read garbage; and libFuzzer, with address and undefined-behaviour sanitizers,
feeds the firmware. Ends with 1 if a wrong figure was accepted, a request stayed without answer after three resends,
garbage passed for a frame, or a sanitizer reported. Everything but the fuzzer and the emulated board repeats exactly
with the same seed.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "firmware"))
import emulated_wire
import wire

from tinynas.boards import load_board
from tinynas.device.link import RESENDS

RATES = (1e-4, 1e-3)


def check_exchanges(folder: Path, count: int, seed: int) -> bool:
    """Whether all figures arrived, and none was wrong, at each rate of faults."""
    fine, board = True, wire.build_board(folder)
    for rate in RATES:
        started = time.monotonic()
        delivery, faults = wire.exchange(board, count, rate, seed)
        resends = ", ".join(f"{number:,} after {times}" for times, number in sorted(delivery.resends.items()))
        damage = ", ".join(f"{number:,} times {kind}" for kind, number in sorted(faults.items()))
        print(
            f"{rate:g} faults a byte, {delivery.requests:,} requests and answers, {time.monotonic() - started:.0f} s:"
        )
        print(f"  delivered: {resends} resends; without answer: {delivery.lost:,}; wrong figures: {delivery.wrong:,}")
        print(f"  faults: {damage}", flush=True)
        fine = fine and not delivery.wrong and not delivery.lost and max(delivery.resends) <= RESENDS
    return fine


def check_long(folder: Path, count: int, seed: int) -> bool:
    """Whether all tensors of several frames arrived at each rate of faults, and none was wrong."""
    fine, board = True, wire.build_board(folder)
    for rate in RATES:
        started = time.monotonic()
        delivery, _ = wire.exchange_long(board, count // 2, rate, seed)
        print(
            f"{rate:g} faults a byte, {delivery.figures:,} tensors of {wire.LONG_BYTES:,} or "
            f"{wire.LONG_BYTES // 2:,} B in {delivery.requests:,} requests, {time.monotonic() - started:.0f} s: "
            f"not delivered: {delivery.missing:,}; wrong: {delivery.wrong:,}; frames given up for shorter ones: "
            f"{delivery.lost:,}",
            flush=True,
        )
        fine = fine and not delivery.wrong and not delivery.missing
    return fine


def check_emulated(folder: Path, count: int, seed: int) -> bool:
    """Whether all figures of an emulated board arrived, and none was wrong, at each rate of faults."""
    fine, emulated = True, emulated_wire.powered(load_board("netduinoplus2"), folder)
    for rate in RATES:
        delivery, _, seconds = emulated_wire.exchange(emulated.url, count, rate, seed)
        resends = ", ".join(f"{number:,} after {times}" for times, number in sorted(delivery.resends.items()))
        print(
            f"{rate:g} faults a byte, an emulated board, {delivery.requests:,} requests and answers, {seconds:.0f} s: "
            f"delivered: {resends} resends; without answer: {delivery.lost:,}; wrong figures: {delivery.wrong:,}",
            flush=True,
        )
        fine = fine and not delivery.wrong and not delivery.lost and max(delivery.resends) <= RESENDS
    emulated.power_off()
    return fine


def check_garbage(folder: Path, count: int, seed: int) -> bool:
    """Whether neither decoder takes garbage for a frame."""
    started = time.monotonic()
    host, in_c = wire.frames_in_garbage(wire.build_board(folder), count, seed)
    print(f"{count:,} garbage frames, {time.monotonic() - started:.0f} s: the host accepted {host}, the board {in_c}")
    return not host and not in_c


def check_fuzzer(folder: Path, inputs: int, seed: int) -> bool:
    """Whether no sanitizer reports."""
    corpus = folder / "corpus"
    corpus.mkdir()
    started = time.monotonic()
    try:
        wire.fuzz(wire.build_fuzzer(folder), inputs, corpus, seed)
    except subprocess.CalledProcessError as error:
        print(error.stderr[-6000:])
        return False
    kept = len(list(corpus.iterdir()))
    print(f"{inputs:,} inputs from libFuzzer, {time.monotonic() - started:.0f} s: no report; {kept:,} reached new code")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    parser.add_argument("--emulated", type=int, default=500_000)
    parser.add_argument("--tensors", type=int, default=100_000)
    parser.add_argument("--garbage", type=int, default=4_000_000)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, seed = Path(name), arguments.seed
        fine = [
            check_exchanges(folder, arguments.exchanges, seed),
            check_long(folder, arguments.tensors, seed),
            check_emulated(folder, arguments.emulated, seed),
            check_garbage(folder, arguments.garbage, seed),
            check_fuzzer(folder, arguments.inputs, seed),
        ]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
