"""What a network costs on an emulated board, for the scripts beside this one."""

from pathlib import Path

from tinynas.boards import Board
from tinynas.compiler import Program
from tinynas.cost import Cost
from tinynas.deploy.build import build
from tinynas.device.bench import Bench
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import require_equal, to_cost
from tinynas.study.single import read_inputs, reference


def measured_cost(tflite: bytes, program: Program, board: Board, desk: Path, bench: Bench) -> Cost:
    """Of one random input, whose outputs must be tflite-micro's. Raises CandidateError where they are not."""
    inputs = read_inputs(None, program, samples=1)
    image = build(board, program, desk)
    measurement = flash_and_measure(bench, image, inputs, repeats=1)
    require_equal(measurement.outputs, reference(tflite, inputs), board.name)
    return to_cost(measurement, image, board)
