"""The kernels for vectors on an emulated Cortex-M55, and their twins in C on the host."""

import re
from pathlib import Path

import numpy as np
import pytest
from cases import CORTEX_M55, HOST, Case, Machine, make_cases, run_cases
from random_models import convolution_options, weights_and_bias
from test_depthwise import depthwise
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network

NONE, RELU = 0, 1
INT32_MAX = (1 << 31) - 1
MACHINES = {"host": HOST, "Cortex-M55": CORTEX_M55}


def run(machine: Machine, cases: list[Case], folder: Path) -> list[str]:
    if machine.missing():
        pytest.skip(f"{machine.missing()} is not on PATH")
    return run_cases(machine, cases, folder)


def at_the_edges(rng: np.random.Generator, factor: float, zero_point: int, count: int) -> np.ndarray:
    """Sums whose product with `factor` lies beside a half, below and above `zero_point`, or at the ends of int32."""
    levels = rng.integers(-128, 128, count) - zero_point + 0.5
    sums = np.floor(levels / factor) + rng.integers(-1, 2, count)
    sums[: count // 4] = rng.choice([-INT32_MAX - 1, -INT32_MAX, -(1 << 30), 1 << 30, INT32_MAX], count // 4)
    # An input from -128 to 127 comes on top.
    return np.clip(sums, 128 - INT32_MAX - 1, INT32_MAX - 127).astype(np.int32)


def requantizing(
    rng: np.random.Generator, pixels: int, activation: int, zero_point: int, least_shift: int = 0
) -> bytes:
    """One input value times 1, plus a bias, in hundreds of channels whose factors shift by 0 to 31."""
    each = 12
    shifts = range(least_shift, 32)
    factors = np.concatenate([[0.5 * 2.0**-shift, rng.uniform(0.5, 1) * 2.0**-shift] for shift in shifts])
    biases = np.concatenate([at_the_edges(rng, factor, zero_point, each) for factor in factors])
    channels = len(biases)
    tensors = [
        Tensor([1, 1, pixels, 1]),
        Tensor([channels, 1, 1, 1], np.repeat(factors, each), data=np.ones(channels)),
        Tensor([channels], np.repeat(factors, each), dtype="int32", data=biases),
        Tensor([1, 1, pixels, channels], 1.0, zero_point),
    ]
    geometry = {"padding": 1, "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}
    options = convolution_options(geometry, activation)
    return write_model(tensors, [Operation("CONV_2D", range(3), [3], "Conv2D", options)])


@pytest.mark.parametrize("machine", MACHINES)
def test_requantization_is_exact_beside_every_half(tmp_path: Path, machine: str) -> None:
    rng = np.random.default_rng(0)
    models = [
        requantizing(rng, pixels, activation, zero_point)
        for pixels in (1, 4)
        for activation, zero_point in ((NONE, 3), (NONE, -128), (RELU, -128), (RELU, 20))
    ]
    models.append(requantizing(rng, 4, NONE, 3, least_shift=1))
    cases = make_cases(models, "requantization", targets=["cortex-m55"])
    sources = b"".join(case.program.files[f"n{number}.c"] for number, case in enumerate(cases))
    called = set(re.findall(rb"tn_mve_(conv_whole_\w+|fully_connected_\w+)\(", sources))
    wholes = {b"conv_whole_" + form for form in (b"relu", b"signed", b"short_relu", b"short_signed")}
    assert called == wholes | {b"fully_connected_relu", b"fully_connected_signed"}
    assert run(MACHINES[machine], cases, tmp_path) == []


def convolution(
    rng: np.random.Generator,
    *,
    depth: int,
    channels: int,
    image: tuple[int, int] = (3, 5),
    window: tuple[int, int] = (1, 1),
    stride: int = 1,
    output_scale: float = 0.5,
    zero_point: int | None = None,
) -> bytes:
    constants = weights_and_bias(rng, (channels, *window, depth), 0, 0.05, True, True)
    output = [1, *(-(-size // stride) for size in image), channels]
    source = Tensor([1, *image, depth], 0.05, int(rng.integers(-128, 128)))
    geometry = {"padding": 0, "stride_h": stride, "stride_w": stride, "dilation_h": 1, "dilation_w": 1}
    zero_point = int(rng.integers(-128, 128)) if zero_point is None else zero_point
    tensors = [source, *constants, Tensor(output, output_scale, zero_point)]
    options = convolution_options(geometry, NONE)
    return write_model(tensors, [Operation("CONV_2D", range(3), [3], "Conv2D", options)])


SLIDING = ((1, 3, (3, 3), 1), (5, 6, (3, 3), 2), (16, 4, (1, 5), 1), (3, 2, (5, 2), 2))


@pytest.mark.parametrize("machine", MACHINES)
def test_vectors_need_not_come_out_even(tmp_path: Path, machine: str) -> None:
    """Depths around multiples of 16, channels around multiples of 4, pixels around multiples of 3."""
    rng = np.random.default_rng(1)
    models = [
        convolution(rng, depth=depth, channels=int(rng.integers(1, 13)), image=(1, int(rng.integers(1, 8))))
        for depth in (1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 100)
        for _ in range(2)
    ]
    models += [
        convolution(rng, depth=depth, channels=channels, image=(1, 8), window=(1, window), zero_point=zero_point)
        for depth, window in ((1, 1), (3, 5), (8, 1), (5, 3), (16, 1))
        for channels in (4, 8, 20)
        for zero_point in (-128, 7)
    ]
    models += [convolution(rng, depth=20, channels=channels, image=(2, 4)) for channels in range(1, 10)]
    models += [
        convolution(rng, depth=depth, channels=channels, window=window, stride=stride)
        for depth, channels, window, stride in SLIDING
    ]
    cases = make_cases(models, "uneven", targets=["cortex-m55"])
    assert {kernel for case in cases for kernel in case.program.kernels} == {
        "tn_mve_conv.h",
        "tn_mve_fully_connected.h",
    }
    assert run(MACHINES[machine], cases, tmp_path) == []


def test_a_factor_that_shifts_to_the_left_takes_another_kernel() -> None:
    rng = np.random.default_rng(2)
    model = convolution(rng, depth=16, channels=8, output_scale=1e-5)
    assert compile_network(model, target="cortex-m55").kernels != ("tn_mve_conv.h",)
    assert compile_network(model, target="cortex-m55") == compile_network(model, target="cortex-m4")


def test_an_output_trails_behind_the_input_that_is_read_in_place() -> None:
    rng = np.random.default_rng(3)
    model = convolution(rng, depth=64, channels=64, image=(10, 10))
    program = compile_network(model, target="cortex-m55")
    assert program.arena_bytes == 100 * 64 + 3 * 64


def forms(cases: list[Case]) -> set[bytes]:
    """Those of the depthwise kernel that are called."""
    sources = b"".join(case.program.files[f"n{number}.c"] for number, case in enumerate(cases))
    return set(re.findall(rb"    tn_mve_depthwise_(\w+)\(", sources))


@pytest.mark.parametrize("machine", MACHINES)
def test_windows_over_images_of_every_width(tmp_path: Path, machine: str) -> None:
    """Squares and rows of outputs end everywhere; channels are staged by sixteen."""
    rng = np.random.default_rng(4)
    models = [
        depthwise(
            rng,
            image=(int(rng.integers(3, 9)), width),
            channels=int(rng.integers(2, 40)),
            stride=(stride, stride),
            same=same,
            **options,
        )
        for width in range(4, 14)
        for stride in (1, 2)
        for same, options in ((True, {}), (False, {}), (True, {"activation": NONE, "zero_point": 5}))
    ]
    cases = make_cases(models, "3x3", targets=["cortex-m55"], samples=2)
    assert forms(cases) == {b"square_relu", b"square_signed", b"row_relu", b"row_signed"}
    assert run(MACHINES[machine], cases, tmp_path) == []


@pytest.mark.parametrize("machine", MACHINES)
def test_windows_of_any_size_up_to_four(tmp_path: Path, machine: str) -> None:
    rng = np.random.default_rng(5)
    models = [
        depthwise(
            rng,
            window=(height, width),
            image=(height + 4, width + 7),
            channels=int(rng.integers(2, 20)),
            stride=(int(rng.integers(1, 4)), int(rng.integers(1, 4))),
            same=bool(rng.integers(0, 2)),
        )
        for height in range(1, 5)
        for width in range(1, 5)
    ]
    cases = make_cases(models, "windows", targets=["cortex-m55"], samples=2)
    assert forms(cases) == {b"square_relu", b"row_relu"}
    assert run(MACHINES[machine], cases, tmp_path) == []


@pytest.mark.parametrize("machine", MACHINES)
def test_lines_of_any_length(tmp_path: Path, machine: str) -> None:
    """Upright and level, windows of up to sixteen taps, outputs that are not whole turns of four."""
    rng = np.random.default_rng(8)
    models = []
    for taps in range(2, 17):
        for same, upright in ((True, True), (False, True), (False, False)):
            pixels = 1 if taps > 13 else int(rng.integers(2, 30))
            image, window = (pixels + (taps - 1 if not same else 0), 1), (taps, 1)
            models.append(
                depthwise(
                    rng,
                    window=window if upright else window[::-1],
                    image=image if upright else image[::-1],
                    channels=int(rng.integers(2, 40)),
                    same=same,
                    activation=taps % 2,
                    zero_point=-128 if taps % 2 else -20,
                )
            )
    # Of this one, GCC 12's vectorizer makes a constant that its assembler refuses: the board's flags turn it off.
    models.append(depthwise(rng, window=(1, 1), image=(3, 1), same=False, activation=NONE, zero_point=-19))
    cases = make_cases(models, "lines", targets=["cortex-m55"], samples=2)
    assert forms(cases) == {b"line_relu", b"line_signed"}
    assert run(MACHINES[machine], cases, tmp_path) == []


def test_depthwise_outputs_lie_on_their_inputs() -> None:
    rng = np.random.default_rng(6)
    program = compile_network(depthwise(rng, image=(30, 30), channels=16), target="cortex-m55")
    staged, kept = 64 * (1 + 30 + 1), 2 * 30 * 16
    assert program.arena_bytes == 30 * 30 * 16 + staged + kept
    strided = compile_network(depthwise(rng, image=(30, 30), channels=16, stride=(2, 2)), target="cortex-m55")
    assert strided.arena_bytes < 30 * 30 * 16 + 64 * 36


def test_a_clamp_inside_int8_and_windows_that_are_too_large_take_other_kernels() -> None:
    rng = np.random.default_rng(7)
    for options in ({"zero_point": 20}, {"window": (5, 5)}, {"image": (20, 1), "window": (14, 1)}):
        program = compile_network(depthwise(rng, **options), target="cortex-m55")
        assert "tn_mve_depthwise.h" not in program.kernels


@pytest.mark.parametrize("machine", MACHINES)
def test_pools_whose_numbers_are_the_same(tmp_path: Path, machine: str) -> None:
    """The compiler gives equal numbers one register, which the kernel must not count down for all of them."""
    models = []
    for height, width, channels in ((8, 8, 64), (3, 3, 3), (4, 4, 4), (2, 5, 7), (1, 1, 1)):
        options = {"padding": 1, "strideH": height, "strideW": width, "filterHeight": height, "filterWidth": width}
        tensors = [Tensor([1, height, 2 * width, channels]), Tensor([1, 1, 2, channels])]
        models.append(write_model(tensors, [Operation("AVERAGE_POOL_2D", [0], [1], "Pool2D", options)]))
    cases = make_cases(models, "pools", targets=["cortex-m55"])
    assert run(MACHINES[machine], cases, tmp_path) == []
