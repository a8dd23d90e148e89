"""How much RAM a network really takes on a board, beside what was predicted."""

from collections.abc import Callable

from tinynas.compiler import compile_network
from tinynas.deploy.build import Image, build
from tinynas.deploy.desks import held_desk
from tinynas.device.memory_truth import MemoryTruth, find_memory_truth
from tinynas.device.station import Station
from tinynas.study.single import read_inputs


def memory_truth(
    station: Station, tflite: bytes, flashed: Callable[[Image, float], None] = lambda image, seconds: None
) -> MemoryTruth | None:
    """Run the network in less and less RAM on a board that this process has claimed. None: an Arduino core lays out the
    board's RAM, so that nothing can be taken away. `flashed` is told each image and the seconds that flashing it took.

    Raises:
        CandidateError: the compiler refuses the network, or it does not fit the board.
        BenchError: the board does not run it.
    """
    board = station.board
    if not board.own_memory_map:
        return None
    program = compile_network(tflite, target=board.target, constants=board.constants)
    inputs = read_inputs(None, program, samples=2)
    with held_desk() as desk:

        def build_with(stack_bytes: int) -> Image:
            return build(board.model_copy(update={"stack_bytes": stack_bytes}), program, desk)

        return find_memory_truth(station, build_with, inputs, flashed)
