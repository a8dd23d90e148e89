"""What RAM networks really need on an emulated board, beside the prediction: `python tests/benchmarks/memory.py`.

Each network runs in less and less RAM until it fails (tinynas/device/memory_truth.py). The figures are those of images
with the firmware; the prediction is the linker's layout and the painted stack of a run with enough of it.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tinynas.boards import load_board
from tinynas.device.emulator import EmulatedBoard
from tinynas.device.station import EmulatedStation
from tinynas.study.memory import memory_truth

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, default=sorted(MODELS.glob("*.tflite")), metavar="MODEL.tflite")
    parser.add_argument("--board", default="netduinoplus2")
    arguments = parser.parse_args()
    board = load_board(arguments.board)
    print(f"{board.name}, RAM with the firmware [B]; emulated")
    print(f"{'network':<16}{'predicted':>12}{'smallest':>12}{'error':>8}")
    with tempfile.TemporaryDirectory() as folder:
        station = EmulatedStation(EmulatedBoard(board, Path(folder)), board)
        station.claim()
        for model in arguments.models:
            truth = memory_truth(station, model.read_bytes())
            if truth is None:
                sys.exit(f"{board.name}: an Arduino core lays out its RAM, of which nothing can be taken away")
            print(f"{model.stem:<16}{truth.predicted_bytes:>12,}{truth.smallest_bytes:>12,}{truth.error_bytes:>+8,}")
        station.power_off()
        station.give_up()
    return 0


if __name__ == "__main__":
    sys.exit(main())
