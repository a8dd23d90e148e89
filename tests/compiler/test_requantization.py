"""From accumulator to int8 output: every factor of the reference networks, wherever the output changes.

Each step of the C kernels is monotone in the accumulator as long as nothing overflows, and so is the reference. Two
such functions that agree on both sides of each of the reference's steps and at the ends of their domain agree
everywhere.
"""

import ctypes
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from cases import HOST, WARNINGS, Case, reference_outputs, run_cases
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import TARGETS, compile_network
from tinynas.compiler.activation import fused_range
from tinynas.compiler.fixed_point import INT32_MAX, Multiplier, quantize_multiplier
from tinynas.compiler.graph import Operator, read_graph
from tinynas.compiler.layout import channel_multipliers
from tinynas.paths import FIRMWARE

MODELS = Path(__file__).parents[3] / "shared" / "models"
NAMES = ("ad", "ic", "kws", "sww", "vww")
# Options field of the fused activation, for the operators whose accumulators are requantised.
ACTIVATIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 0}
INT32_MIN = -(1 << 31)


@dataclass(frozen=True, kw_only=True)
class Factor:
    """What requantises a channel: its multiplier, and the output's zero point and range."""

    multiplier: Multiplier
    zero_point: int
    low: int
    high: int

    @property
    def fields(self) -> tuple[int, ...]:
        return self.multiplier.value, self.multiplier.shift, self.zero_point, self.low, self.high

    def apply(self, accumulators: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """gemmlowp's MultiplyByQuantizedMultiplier with its divisions written out, then zero point and clamp."""
        left, right = max(self.multiplier.shift, 0), max(-self.multiplier.shift, 0)
        wrapped = ((accumulators << left) + (1 << 31)) % (1 << 32) - (1 << 31)
        product = wrapped * self.multiplier.value
        nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
        high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))
        magnitude = (np.abs(high) + ((1 << right) >> 1)) >> right
        rescaled = np.where(high >= 0, magnitude, -magnitude) + self.zero_point
        return np.clip((rescaled + (1 << 31)) % (1 << 32) - (1 << 31), self.low, self.high)

    def edges(self, least: int, most: int) -> npt.NDArray[np.int32]:
        """Accumulators from `least` to `most`: each where the output changes, two to either side, and the extremes."""
        outputs = np.arange(self.low + 1, self.high + 1)
        below, above = np.full(outputs.shape, least - 1), np.full(outputs.shape, most + 1)
        # Bisection for the first accumulator that gives each output or more.
        while np.any(above - below > 1):
            middle = (below + above) >> 1
            reached = self.apply(middle) >= outputs
            above, below = np.where(reached, middle, above), np.where(reached, below, middle)
        around = (above[:, None] + np.arange(-3, 3)).reshape(-1)
        extremes = [*range(least, least + 3), *range(-3, 4), *range(most - 2, most + 1)]
        found = np.unique(np.concatenate([around, extremes]))
        return found[(found >= least) & (found <= most)].astype(np.int32)


def factors_of(operator: Operator) -> Iterator[Factor]:
    weights = operator.inputs[1]
    assert weights is not None
    multipliers = channel_multipliers(operator, weights)
    if operator.name == "FULLY_CONNECTED" and len(weights.scales) == 1:
        product = np.float32(operator.activation().scale) * weights.scales[0]
        multipliers = [quantize_multiplier(float(product) / operator.output.scale)]
    limits = fused_range(operator, ACTIVATIONS[operator.name])
    for each in multipliers:
        yield Factor(multiplier=each, zero_point=operator.output.zero_point, low=limits.low, high=limits.high)


def domains(factor: Factor) -> dict[str, int]:
    """The kernels that may be used with this factor, and the largest magnitude of an accumulator."""
    found = {"general": (INT32_MAX - 128) >> max(factor.multiplier.shift, 0)}
    if factor.multiplier.shift <= -1:
        found["plain"] = INT32_MAX - (1 << (-factor.multiplier.shift - 1))
    if -22 <= factor.multiplier.shift <= -1:
        found["dsp_clamped"] = (1 << 23) - 1
        if (factor.low, factor.high) == (-128, 127):
            found["dsp_relu" if factor.zero_point == -128 else "dsp_signed"] = (1 << 23) - 1
            if factor.zero_point == -128 and -9 <= factor.multiplier.shift <= -3:
                found["dsp_3x3"] = (1 << 23) - 1
            if factor.zero_point == -128 and -16 <= factor.multiplier.shift <= -10:
                found["dsp_3x3_far"] = (1 << 23) - 1
            if factor.zero_point == -128 and -11 <= factor.multiplier.shift <= -5:
                found["pair_first"] = found["pair_second"] = (1 << 23) - 1
    return found


@pytest.fixture(scope="module")
def library(cc: str, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("requantization")
    trap = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", *WARNINGS]
    command = [cc, "-O2", *trap, "-shared", "-fPIC", f"-I{FIRMWARE / 'lib'}", "-o", folder / "factors.so"]
    subprocess.run([*command, Path(__file__).with_name("machines") / "factors.c"], check=True)
    return ctypes.CDLL(str(folder / "factors.so"))


def check(library: ctypes.CDLL, factor: Factor) -> int:
    """How many accumulators were compared."""
    fields, compared = (ctypes.c_int32 * 5)(*factor.fields), 0
    for kernel, largest in domains(factor).items():
        accumulators = factor.edges(-largest, largest)
        if kernel == "general":
            accumulators = np.append(accumulators, np.array([INT32_MIN, INT32_MIN + 1, INT32_MAX], np.int32))
        found = np.zeros(len(accumulators), np.int8)
        pointer = ctypes.c_void_p(accumulators.ctypes.data)
        getattr(library, kernel)(fields, len(accumulators), pointer, ctypes.c_void_p(found.ctypes.data))
        expected = factor.apply(accumulators.astype(np.int64))
        wrong = np.flatnonzero(expected != found)
        assert wrong.size == 0, (
            f"{kernel}, {factor}: {accumulators[wrong[0]]} gives {found[wrong[0]]}, not {expected[wrong[0]]}"
        )
        compared += len(accumulators)
    return compared


@pytest.mark.skipif(not MODELS.is_dir(), reason="the reference networks are not beside the checkout")
@pytest.mark.parametrize("name", NAMES)
def test_every_factor_of_a_reference_network_is_exact_at_every_edge(library: ctypes.CDLL, name: str) -> None:
    operators = read_graph((MODELS / f"{name}.tflite").read_bytes()).operators
    factors = {factor for each in operators if each.name in ACTIVATIONS for factor in factors_of(each)}
    compared = sum(check(library, factor) for factor in factors)
    print(f"{name}: {len(factors):,} factors, {compared:,} accumulators")
    assert compared > 1000 * len(factors)


def test_factors_of_any_size_are_exact_at_every_edge(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(4)
    for value in [1 << 30, (1 << 30) + 1, INT32_MAX, *rng.integers(1 << 30, 1 << 31, 60).tolist()]:
        for shift in range(-31, 3):
            zero_point = int(rng.choice([-128, -128, 0, 127, rng.integers(-128, 128)]))
            low, high = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.3 else (-128, 127)
            multiplier = Multiplier(value=value, shift=shift)
            check(library, Factor(multiplier=multiplier, zero_point=zero_point, low=low, high=high))


def test_an_edge_that_is_off_by_one_is_found(library: ctypes.CDLL) -> None:
    exact = Factor(multiplier=Multiplier(value=1_500_000_000, shift=-9), zero_point=3, low=-128, high=127)

    class Shifted:
        fields = (1_500_100_000, -9, 3, -128, 127)

        def __getattr__(self, name: str) -> object:
            return getattr(exact, name)

    with pytest.raises(AssertionError, match="gives"):
        check(library, Shifted())  # type: ignore[arg-type]  # A kernel that is given another multiplier.


def additions() -> Iterator[tuple[str, Operator]]:
    for name in NAMES if MODELS.is_dir() else ():
        for operator in read_graph((MODELS / f"{name}.tflite").read_bytes()).operators:
            if operator.name == "ADD":
                yield f"{name} {operator.label}", operator


@pytest.mark.skipif(not MODELS.is_dir(), reason="the reference networks are not beside the checkout")
def test_every_addition_of_a_reference_network_is_exact_for_all_pairs(tmp_path: Path) -> None:
    """65,536 pairs: the first input holds each value 256 times, the second is a constant with all values in turn."""
    values = np.arange(-128, 128).astype(np.int8)
    inputs, partner = np.repeat(values, 256)[None], np.tile(values, 256)
    cases = []
    for title, operator in additions():
        first, second = (Tensor([1, 1 << 16], each.scale, each.zero_point) for each in operator.inputs if each)
        second.data = partner
        output = Tensor([1, 1 << 16], operator.output.scale, operator.output.zero_point)
        options = {"fusedActivationFunction": operator.option(0, "b")}
        model = write_model([first, second, output], [Operation("ADD", [0, 1], [2], "Add", options)])
        expected = reference_outputs(model, inputs)
        for target in TARGETS:
            program = compile_network(model, name=f"n{len(cases)}", constants="arrays", target=target)
            cases.append(Case(title=title, model=model, program=program, inputs=inputs, expected=expected))
    assert len(cases) >= 3
    assert run_cases(HOST, cases, tmp_path) == []
