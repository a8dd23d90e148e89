"""Depthwise convolutions on CPUs with DSP instructions: sizes, strides and shifts that need a way of their own."""

from pathlib import Path

import numpy as np
import pytest
from cases import CORTEX_M4, HOST, Case, Machine, make_cases, run_cases
from random_models import convolution_options, weights_and_bias
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network

NONE, RELU = 0, 1
Pair = tuple[int, int]


def depthwise(
    rng: np.random.Generator,
    *,
    window: Pair = (3, 3),
    image: Pair = (9, 9),
    channels: int = 4,
    stride: Pair = (1, 1),
    same: bool = True,
    output_scale: float = 1.0,
    activation: int = RELU,
    zero_point: int = -128,
) -> bytes:
    """One layer, by default with RELU and zero point -128, as converters write it."""
    extents = [
        -(-size // step) if same else (size - reach) // step + 1
        for size, reach, step in zip(image, window, stride, strict=True)
    ]
    constants = weights_and_bias(rng, (1, *window, channels), 3, 0.05, True, True)
    source = Tensor([1, *image, channels], 0.05, int(rng.integers(-128, 128)))
    output = Tensor([1, *extents, channels], output_scale, zero_point)
    geometry = {"padding": 0 if same else 1, "stride_h": stride[0], "stride_w": stride[1]}
    options = convolution_options(geometry | {"dilation_h": 1, "dilation_w": 1}, activation) | {"depthMultiplier": 1}
    operation = Operation("DEPTHWISE_CONV_2D", range(3), [3], "DepthwiseConv2D", options)
    return write_model([source, *constants, output], [operation])


def every_width() -> list[Case]:
    """3x3 over images of every width, so that strips end everywhere, and of odd and even heights."""
    rng = np.random.default_rng(0)
    models = []
    for width in (*range(1, 19), 30):
        for stride in (1, 2):
            for same in (True, False):
                image = (int(rng.integers(2, 5)) * stride + int(rng.integers(0, 2)) + 2, width + 2 * (not same))
                channels = int(rng.integers(4, 10))
                models.append(depthwise(rng, image=image, channels=channels, stride=(stride, stride), same=same))
    return make_cases(models, "3x3", targets=["cortex-m4"], samples=2)


@pytest.mark.parametrize("machine", [HOST, CORTEX_M4])
def test_windows_of_3x3_over_images_of_every_width(tmp_path: Path, machine: Machine) -> None:
    if machine.missing():
        pytest.skip(f"{machine.missing()} is not on PATH")
    cases = every_width()
    assert {case.program.kernels for case in cases} >= {("tn_depthwise_3x3.h",)}
    assert run_cases(machine, cases, tmp_path) == []


@pytest.mark.parametrize("machine", [HOST, CORTEX_M4])
def test_every_shift_is_exact(tmp_path: Path, machine: Machine) -> None:
    """The short way takes shifts 3 to 9, the others go the long way, channel by channel."""
    if machine.missing():
        pytest.skip(f"{machine.missing()} is not on PATH")
    rng = np.random.default_rng(1)
    models = [
        depthwise(rng, image=image, channels=int(rng.integers(4, 8)), stride=stride, output_scale=2.0**exponent)
        for exponent in range(-8, 12)
        for stride in ((1, 1), (2, 2))
        for image in ((5, 5), (9, 17))
    ]
    cases = make_cases(models, "shifts", targets=["cortex-m4"], samples=2)
    assert run_cases(machine, cases, tmp_path) == []


FORMS = {b"line_5", b"line_10", b"doubled_signed", b"doubled_clamped", b"staged_signed", b"staged_clamped"}
WINDOWS = [(1, 3), (1, 5), (3, 1), (5, 1), (10, 1), (15, 1), (1, 4), (2, 2), (3, 3), (4, 6), (5, 5), (7, 7), (1, 1)]


@pytest.mark.parametrize("machine", [HOST, CORTEX_M4])
def test_windows_of_any_size(tmp_path: Path, machine: Machine) -> None:
    """Signed and clamped outputs, over rows whose last outputs are one to four."""
    if machine.missing():
        pytest.skip(f"{machine.missing()} is not on PATH")
    rng = np.random.default_rng(4)
    models = []
    for number, window in enumerate([*WINDOWS, *WINDOWS, *WINDOWS]):
        image = tuple(size + 3 + int(rng.integers(0, 12)) if size > 1 else 1 + number % 2 for size in window)
        options = {"activation": NONE, "zero_point": 3} if number % 3 else {"activation": RELU, "zero_point": -7}
        stride = (1, 1) if number < 2 * len(WINDOWS) else (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        channels, same = int(rng.integers(4, 10)), bool(rng.integers(0, 2))
        models.append(
            depthwise(rng, window=window, image=image, channels=channels, stride=stride, same=same, **options)
        )
    cases = make_cases(models, "staged", targets=["cortex-m4"], samples=2)
    sources = b"".join(case.program.files[f"n{number}.c"] for number, case in enumerate(cases))
    assert {form for form in FORMS if b"tn_depthwise_" + form in sources} == FORMS
    assert run_cases(machine, cases, tmp_path) == []


def test_the_output_takes_the_place_of_its_input() -> None:
    rng = np.random.default_rng(2)
    staged = compile_network(depthwise(rng, image=(30, 30), channels=16), target="cortex-m4")
    assert staged.kernels == ("tn_depthwise_3x3.h",)
    scratch = 32 * 128
    assert staged.arena_bytes == 30 * 30 * 16 + scratch


def test_an_output_that_would_lie_on_unread_inputs_has_a_place_of_its_own() -> None:
    rng = np.random.default_rng(3)
    strided = compile_network(depthwise(rng, image=(30, 30), channels=16, stride=(2, 2)), target="cortex-m4")
    assert strided.kernels == ("tn_depthwise_3x3.h",)
    assert strided.arena_bytes >= 30 * 30 * 16 + 15 * 15 * 16
