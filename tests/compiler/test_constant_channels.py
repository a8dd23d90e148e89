"""Constant and unread channels: what is left out changes no output, and what is known of the others is true."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import reference_outputs
from drawing import draw_examples
from planted import Network, networks
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network
from tinynas.compiler.graph import read_graph
from tinynas.compiler.passes import drop_constant_channels, facts
from tinynas.compiler.passes.facts import find_facts
from tinynas.errors import UnsupportedError

MODELS = Path(__file__).parents[3] / "shared" / "models"
needs_references = pytest.mark.skipif(not MODELS.is_dir(), reason="the reference networks are not beside the checkout")


def drawn(count: int) -> list[Network]:
    """`count` random networks, the same every time."""
    return draw_examples(networks(), count)


def macs(tflite: bytes, **arguments: Any) -> int:
    return sum(layer.macs for layer in compile_network(tflite, **arguments).layers)


def test_networks_with_planted_channels_give_the_references_outputs(
    check_equal: Callable[..., None], breadth: Callable[[int, int], int]
) -> None:
    models = [network.model() for network in drawn(breadth(20, 150))]
    smaller = [model for model in models if macs(model) < macs(model, keep_constant_channels=True)]
    assert len(smaller) > len(models) / 3
    check_equal(models, "planted")


def test_no_value_leaves_its_interval() -> None:
    constants, values = 0, 0
    for network in drawn(60):
        facts = find_facts(read_graph(network.model()))
        size = int(np.prod(network.tensors[0].shape))
        inputs = np.random.default_rng(size).integers(-128, 128, (5, size)).astype(np.int8)
        inputs[0], inputs[1] = -128, 127
        for number in network.activations():
            interval = facts.intervals[number]
            found = reference_outputs(network.model(number), inputs).reshape(-1, len(interval.low))
            assert np.all((interval.low <= found) & (found <= interval.high)), network.operations
            constants, values = constants + int(interval.constant.sum()), values + len(interval.low)
    assert values * 0.05 < constants < values * 0.95


def test_a_second_pass_finds_nothing() -> None:
    for network in drawn(60):
        once = drop_constant_channels(read_graph(network.model()))
        assert drop_constant_channels(once) is once


NEVER, ALWAYS = -(1 << 24), 1 << 24
SAME, VALID = 0, 1


def two_convolutions(
    bias: list[int], padding: int, weights: np.ndarray | None = None, last_bias: int = 0, *, beside: bool = False
) -> bytes:
    """1x1 to as many channels as biases, with a RELU, then 3x3 to 4 channels. weights: of the second.

    beside: a function of constants is computed, too.
    """
    rng, count = np.random.default_rng(5), len(bias)
    first = rng.integers(-127, 128, (count, 1, 1, 3))
    second = rng.integers(-127, 128, (4, 3, 3, count)) if weights is None else weights
    side = 5 if padding == SAME else 3
    tensors = [
        Tensor([1, 5, 5, 3], 0.1, -3),
        Tensor(first.shape, 0.01, data=first),
        Tensor([count], 0.001, dtype="int32", data=np.array(bias)),
        Tensor([1, 5, 5, count], 0.1, -128),
        Tensor(second.shape, 0.01, data=second),
        Tensor([4], 0.001, dtype="int32", data=np.full(4, last_bias)),
        Tensor([1, side, side, 4], 1.5, 7),
    ]
    relu = {"strideH": 1, "strideW": 1, "fusedActivationFunction": 1}
    operations = [
        Operation("CONV_2D", [0, 1, 2], [3], "Conv2D", relu),
        Operation("CONV_2D", [3, 4, 5], [6], "Conv2D", {"strideH": 1, "strideW": 1, "padding": padding}),
    ]
    if beside:
        tensors += [Tensor([1, 4], 0.1, data=np.arange(4)), Tensor([1, 4], 1 / 256, -128)]
        operations.append(Operation("SOFTMAX", [7], [8], "Softmax", {"beta": 1.0}))
    return write_model(tensors, operations, outputs=[6])


def middle_channels(tflite: bytes) -> int:
    return compile_network(tflite).layers[0].output_shape[-1]


@pytest.mark.parametrize(
    ("constant", "padding", "left"),
    [(NEVER, SAME, 4), (NEVER, VALID, 4), (ALWAYS, VALID, 4), (ALWAYS, SAME, 8)],
    ids=["zero, padded", "zero, unpadded", "largest, unpadded", "largest, padded"],
)
def test_a_constant_goes_unless_its_convolution_finds_another_value_beyond_the_edge(
    check_equal: Callable[..., None], constant: int, padding: int, left: int
) -> None:
    tflite = two_convolutions([0, constant, 0, constant, 0, constant, constant, 0], padding)
    assert middle_channels(tflite) == left
    check_equal([tflite])


def test_a_function_of_constants_is_refused_where_channels_are_left_out() -> None:
    biases = [0, NEVER, 0, NEVER, 0, NEVER, NEVER, 0]
    assert middle_channels(two_convolutions(biases, VALID)) == 4
    with pytest.raises(UnsupportedError, match=r"operator 2 \(SOFTMAX\): input 0 is a constant"):
        compile_network(two_convolutions(biases, VALID, beside=True))


def test_a_channel_that_only_zeros_read_goes(check_equal: Callable[..., None]) -> None:
    weights = np.random.default_rng(6).integers(1, 128, (4, 3, 3, 8))
    weights[..., ::2] = 0
    tflite = two_convolutions([0] * 8, SAME, weights)
    assert middle_channels(tflite) == 4
    check_equal([tflite])


def test_channels_stay_multiples_of_four(check_equal: Callable[..., None]) -> None:
    tflite = two_convolutions([NEVER, 0, 0, 0, 0, 0, NEVER, NEVER, NEVER, NEVER, NEVER], VALID)
    assert middle_channels(tflite) == 8
    check_equal([tflite])


def test_nothing_is_folded_where_a_sum_may_leave_int32(check_equal: Callable[..., None]) -> None:
    bias = [0, 0, 0, 0, ALWAYS, ALWAYS, ALWAYS, ALWAYS]
    assert middle_channels(two_convolutions(bias, VALID, last_bias=(1 << 31) - (1 << 22))) == 4
    tflite = two_convolutions(bias, VALID, last_bias=(1 << 31) - 1)
    assert middle_channels(tflite) == 8
    check_equal([tflite])


def test_the_networks_output_keeps_its_constant_channels(check_equal: Callable[..., None]) -> None:
    tensors = [
        Tensor([1, 2, 2, 3], 0.1, 0),
        Tensor([8, 1, 1, 3], 0.01, data=np.zeros((8, 1, 1, 3))),
        Tensor([1, 2, 2, 8], 0.1, 5),
    ]
    operations = [Operation("CONV_2D", [0, 1], [2], "Conv2D", {"strideH": 1, "strideW": 1})]
    tflite = write_model(tensors, operations)
    assert compile_network(tflite).outputs[0].shape == (1, 2, 2, 8)
    check_equal([tflite])


def test_a_network_beyond_reason_is_compiled_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    tflite = two_convolutions([0, NEVER, 0, NEVER, 0, NEVER, NEVER, 0], SAME)
    monkeypatch.setattr(facts, "_MOST_WEIGHTS", 100)
    assert compile_network(tflite) == compile_network(tflite, keep_constant_channels=True)


@needs_references
@pytest.mark.parametrize("name", ["ad", "ic", "kws", "sww"])
def test_a_network_without_such_channels_stays_as_it_is(name: str) -> None:
    tflite = (MODELS / f"{name}.tflite").read_bytes()
    assert compile_network(tflite) == compile_network(tflite, keep_constant_channels=True)


@needs_references
def test_half_the_work_of_vww_goes_away(check_equal: Callable[..., None]) -> None:
    tflite = (MODELS / "vww.tflite").read_bytes()
    assert macs(tflite, keep_constant_channels=True) == 7_489_664
    assert macs(tflite) <= 3_766_476
    assert compile_network(tflite).constants_bytes <= 41_500
    started = time.process_time()
    drop_constant_channels(read_graph(tflite))
    # Far above what it takes, 0.03 s.
    assert time.process_time() - started < 1
    check_equal([tflite], samples=10)


@needs_references
def test_the_generated_code_tells_what_was_left_out() -> None:
    program = compile_network((MODELS / "vww.tflite").read_bytes())
    assert program.channels_left_out > 2000
    assert f" * Left out {program.channels_left_out:,} channels" in program.files["network.h"].decode()
    source = program.files["network.c"].decode().replace("\n *", "")
    assert "68 of 128 input channels and 96 of 128 output channels left out: constant or unread. 69,120 MAC" in source
    whole = compile_network((MODELS / "vww.tflite").read_bytes(), keep_constant_channels=True)
    assert whole.channels_left_out == 0
    assert b"left out" not in b"".join(whole.files.values())
