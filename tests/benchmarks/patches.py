"""What patches save and cost on an emulated board: `python tests/benchmarks/patches.py [--board B]`.

vww and ic of MLPerf Tiny, and a MobileNetV2 for images of 160x160 with random weights, without patches, with as many as
make the arena smallest, and with fewer. Outputs must be tflite-micro's. Beside it stands how many multiply-accumulates
would be computed again if no patch left rows to the next one.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from measured import measured_cost

from tinynas.boards import load_board
from tinynas.compiler import Patches, Program, compile_network
from tinynas.compiler.graph import read_graph
from tinynas.compiler.passes import fold_activations, fold_padding
from tinynas.compiler.rows import plan_rows, reach_of
from tinynas.cost import Cost
from tinynas.device.bench import open_bench

sys.path.insert(0, str(Path(__file__).parents[1] / "compiler"))
from tflite_writer import Operation, Tensor, write_model

MODELS = Path(__file__).parents[3] / "shared" / "models"
CHOICES: tuple[Patches, ...] = ("off", "auto", 20, 8)
# Expansion, channels, repetitions and stride of each group of blocks: Sandler et al., "MobileNetV2", 2018, table 2, at
# a width of 0.35, in multiples of 8.
BLOCKS = ((1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 4, 2), (6, 32, 3, 1), (6, 56, 3, 2), (6, 112, 1, 1))
SIDE = 160


class MobileNet:
    """MobileNetV2 under construction. `tip` is the number of the tensor to go on from."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._tensors = [Tensor([1, SIDE, SIDE, 3], 1 / 128, 0)]
        self._operations: list[Operation] = []
        self.tip = 0

    def model(self) -> bytes:
        self._convolve(16, 3, 2)
        for expansion, channels, count, stride in BLOCKS:
            for number in range(count):
                self._block(expansion, channels, stride if number == 0 else 1)
        self._convolve(256, 1, 1)
        axes = self._add(Tensor([2], None, dtype="int32", data=np.array([1, 2])))
        self._apply("MEAN", [self.tip, axes], Tensor([1, 256], 6 / 255, -128), "Reducer")
        weights = self._add(Tensor([10, 256], 0.002, data=self._rng.integers(-127, 128, (10, 256))))
        self._apply("FULLY_CONNECTED", [self.tip, weights], Tensor([1, 10], 0.05, 0), "FullyConnected")
        return write_model(self._tensors, self._operations)

    def _block(self, expansion: int, channels: int, stride: int) -> None:
        source = self.tip
        inputs = self._tensors[source].shape[3]
        if expansion > 1:
            self._convolve(expansion * inputs, 1, 1)
        self._convolve(None, 3, stride)
        self._convolve(channels, 1, 1, linear=True)
        if stride == 1 and inputs == channels:
            self._apply("ADD", [source, self.tip], Tensor(self._tensors[source].shape, 0.05, 0), "Add")

    def _convolve(self, channels: int | None, size: int, stride: int, *, linear: bool = False) -> None:
        """channels: None convolves each channel by itself."""
        _, height, width, inputs = self._tensors[self.tip].shape
        depth = size * size * (inputs if channels else 1)
        shape = (channels, size, size, inputs) if channels else (1, size, size, inputs)
        # Sums spread about as far as inputs do.
        weights = Tensor(shape, 0.02 / depth**0.5, 0, data=self._rng.integers(-127, 128, shape))
        options = {"padding": 0, "strideH": stride, "strideW": stride, "fusedActivationFunction": 0 if linear else 3}
        output = [1, -(-height // stride), -(-width // stride), channels or inputs]
        name, kind = ("CONV_2D", "Conv2D") if channels else ("DEPTHWISE_CONV_2D", "DepthwiseConv2D")
        options |= {} if channels else {"depthMultiplier": 1}
        quantization = (0.05, 0) if linear else (6 / 255, -128)
        self._apply(name, [self.tip, self._add(weights)], Tensor(output, *quantization), kind, **options)

    def _add(self, tensor: Tensor) -> int:
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _apply(self, name: str, inputs: list[int], output: Tensor, kind: str, **options: int) -> None:
        self.tip = self._add(output)
        self._operations.append(Operation(name, inputs, [self.tip], kind, options))


def networks() -> Iterator[tuple[str, Callable[[], bytes]]]:
    for name in ("vww", "ic"):
        if MODELS.is_dir():
            yield name, (MODELS / f"{name}.tflite").read_bytes
    yield f"MobileNetV2 {SIDE}", MobileNet().model


def recomputed_macs(tflite: bytes, program: Program) -> int:
    """Multiply-accumulates that patches would repeat if each computed all rows that it needs."""
    if program.patched is None:
        return 0
    operators = fold_padding(fold_activations(read_graph(tflite))).operators[: program.patched.layers]
    reaches = [reach for operator in operators if (reach := reach_of(operator)) is not None]
    spans = plan_rows(operators, reaches, program.patched.rows)
    assert spans is not None
    again = 0
    for patch in range(program.patched.patches):
        needed = {operators[-1].output.index: spans[operators[-1].output.index][patch].start}
        for position in reversed(range(len(operators))):
            operator, layer = operators[position], program.layers[position]
            span = spans[operator.output.index][patch]
            first = needed.get(operator.output.index, span.start)
            again += layer.macs // operator.output.shape[1] * max(span.start - first, 0)
            for tensor in operator.activations:
                row = max(reaches[position].first(first), 0)
                needed[tensor.index] = min(needed.get(tensor.index, row), row)
    return again


def figures(program: Program, cost: Cost) -> str:
    assert cost.instructions is not None
    assert cost.cycles is not None
    assert cost.flash is not None
    return f"{program.arena_bytes:>9,} {cost.instructions:>12,} {cost.cycles:>12,} {cost.flash.code:>8,}"


def described(tflite: bytes, program: Program) -> str:
    found = program.patched
    if found is None:
        return f"{'-':>7} {'-':>7} {'-':>9} {'-':>10} {'-':>12}"
    again = recomputed_macs(tflite, program)
    return f"{found.layers:>7} {found.patches:>7} {found.moved_bytes:>9,} {found.recomputed_macs:>10,} {again:>12,}"


def main() -> None:
    parser = argparse.ArgumentParser(description="What patches save and cost.")
    parser.add_argument("--board", default="mps2_an386")
    board = load_board(parser.parse_args().board)
    if not board.emulated:
        parser.error(f"board {board.name} counts no instructions: choose an emulated one")
    print(f"board {board.name} (emulated), target {board.target}; memory in bytes")
    print(
        f"{'':<16} {'patches':>7} {'arena':>9} {'instructions':>12} {'cycles':>12} {'code':>8}"
        f" {'layers':>7} {'patches':>7} {'moved':>9} {'recomputed':>10} {'else':>12}"
    )
    with tempfile.TemporaryDirectory() as home:
        os.environ["TINYNAS_HOME"] = home
        with open_bench(board, directory=Path(home) / "bench") as bench:
            for name, read in networks():
                tflite = read()
                for choice in CHOICES:
                    program = compile_network(tflite, target=board.target, patches=choice, keep_constant_channels=True)
                    cost = measured_cost(tflite, program, board, Path(home) / "desk", bench)
                    print(f"{name:<16} {choice:>7} {figures(program, cost)} {described(tflite, program)}", flush=True)


if __name__ == "__main__":
    main()
