"""Models that are damaged or foreign: one clear error, in bounded time, naming the operator and what is supported."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutation import Anatomy, dissect, mutate
from random_models import MODELS, draw_models
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network
from tinynas.errors import ConfigError, MalformedModelError, UnsupportedError

REFERENCES = Path(__file__).parents[3] / "shared" / "models"


def small_model() -> bytes:
    """Every kind of thing that a model has: weights, bias, per-channel scales, axes, a reshape, options."""
    rng = np.random.default_rng(7)
    tensors = [
        Tensor([1, 6, 6, 2], 0.1, 3, name="input"),
        Tensor([4, 3, 3, 2], [0.01, 0.02, 0.03, 0.04], data=rng.integers(-127, 128, (4, 3, 3, 2)), name="weights"),
        Tensor([4], [0.001, 0.002, 0.003, 0.004], dtype="int32", data=rng.integers(-99, 99, 4), name="bias"),
        Tensor([1, 3, 3, 4], 0.2, -128, name="features"),
        Tensor([2], None, dtype="int32", data=np.array([1, 2]), name="axes"),
        Tensor([1, 1, 1, 4], 0.1, 5, name="mean"),
        Tensor([2], None, dtype="int32", data=np.array([1, 4]), name="shape"),
        Tensor([1, 4], 0.1, 5, name="flat"),
        Tensor([1, 4], 1 / 256, -128, name="output"),
    ]
    operations = [
        Operation("CONV_2D", [0, 1, 2], [3], "Conv2D", {"strideH": 2, "strideW": 2, "fusedActivationFunction": 1}),
        Operation("MEAN", [3, 4], [5], "Reducer", {"keepDims": True}),
        Operation("RESHAPE", [5, 6], [7], "Reshape"),
        Operation("SOFTMAX", [7], [8], "Softmax", {"beta": 1.0}),
    ]
    return write_model(tensors, operations)


def survives(tflite: bytes) -> bool:
    """Whether it compiles; any error but the two that are meant for it fails the test."""
    try:
        compile_network(tflite)
        compile_network(tflite, patches="auto", optimize="size", fast_bytes=4096)
    except (MalformedModelError, UnsupportedError) as error:
        assert str(error)
        return False
    return True


@pytest.fixture(scope="module")
def corpus() -> list[Anatomy]:
    return [dissect(small_model()), *(dissect(draw_models(name, 1, start=3)[-1]) for name in MODELS)]


def test_mutations_end_in_a_program_or_a_clear_error(corpus: list[Anatomy]) -> None:
    """The short form of tests/nightly/fuzz_importer.py."""
    start = time.monotonic()
    outcomes = [survives(mutate(corpus, number)) for number in range(5000)]
    assert 200 < sum(outcomes) < 4800
    # Far above what it takes: a mutation that makes the reader work for a second would show.
    assert time.monotonic() - start < 60


@pytest.mark.skipif(not REFERENCES.is_dir(), reason="the reference networks are not beside the checkout")
def test_mutations_of_a_real_model_end_in_a_program_or_a_clear_error() -> None:
    tflite = dissect((REFERENCES / "kws.tflite").read_bytes())
    for number in range(200):
        survives(mutate([tflite], number))


def test_every_truncation_is_malformed() -> None:
    tflite = small_model()
    for length in range(0, len(tflite) - 4, 7):
        with pytest.raises((MalformedModelError, UnsupportedError)):
            compile_network(tflite[:length])


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0\0\0\0TFL3", b"\xff" * 64, b"\xff\xff\xff\x7fTFL3" + b"\0" * 64])
def test_what_is_no_model_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedModelError):
        compile_network(content)


def relu(source: dict[str, Any] | None = None, output: dict[str, Any] | None = None, **model: Any) -> bytes:
    tensors = [
        Tensor(**({"shape": [1, 4], "name": "x"} | (source or {}))),
        Tensor(**({"shape": [1, 4]} | (output or {}))),
    ]
    return write_model(tensors, [Operation(model.pop("name", "RELU"), [0], [1])], **model)


@pytest.mark.parametrize(
    ("tflite", "error", "message"),
    [
        (relu({"dtype": "int64"}), UnsupportedError, "model's input: tensor 'x' is INT64, supported is INT8 or UINT8"),
        (
            relu({"dtype": "float32"}),
            UnsupportedError,
            r"operator 0 \(RELU\): tensor 'x' is FLOAT32, supported is INT8",
        ),
        (relu({"dtype": "uint8"}), UnsupportedError, "is UINT8, supported is INT8"),
        (relu({"dtype": "int16"}), UnsupportedError, "is INT16, supported is INT8"),
        (relu(output={"dtype": "int16"}), UnsupportedError, r"operator 0 \(RELU\): tensor .* is INT16"),
        (relu({"signature": [-1, -1]}), UnsupportedError, r"dynamic shape \[-1, -1\]"),
        (relu({"shape": [1, -1]}), UnsupportedError, r"dynamic shape \[1, -1\]"),
        (relu({"shape": [1, 0]}), MalformedModelError, r"shape \[1, 0\]"),
        (relu({"shape": [1, 2**20, 2**20]}), MalformedModelError, "1 to 67,108,864 elements"),
        (relu({"shape": [1] * 7}), UnsupportedError, "has 7 dimensions: at most 6"),
        (relu({"scale": None}), UnsupportedError, "has 0 scales"),
        (relu({"scale": 0.0}), MalformedModelError, "a scale that is not a number above 0"),
        (relu({"scale": float("nan")}), MalformedModelError, "a scale that is not a number above 0"),
        (relu({"zero_point": 300}), MalformedModelError, "zero point 300"),
        (relu(inputs=[0, 0]), MalformedModelError, "names a tensor twice among its inputs"),
        (relu(outputs=[1, 1]), MalformedModelError, "names a tensor twice among its outputs"),
        (relu(inputs=[]), MalformedModelError, "has no input, or one"),
        (relu(inputs=[-1, 0]), MalformedModelError, "has no input, or one that is a constant or missing"),
        (relu(outputs=[]), MalformedModelError, "has no output, or one"),
        (relu(name="LSTM"), UnsupportedError, r"operator 0 \(LSTM\): not supported; supported are ADD, AVERAGE_POOL"),
        (relu(output={"shape": [1, 5]}), MalformedModelError, r"operator 0 \(RELU\): \[1, 4\] -> \[1, 5\]"),
    ],
)
def test_foreign_models_are_refused_by_name(tflite: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compile_network(tflite)


def reduction(axes: list[int], shape: Sequence[int] = (1, 4, 5, 2), output: Sequence[int] = (1, 2)) -> bytes:
    tensors = [Tensor(shape), Tensor([len(axes)], None, dtype="int32", data=np.array(axes)), Tensor(output)]
    return write_model(tensors, [Operation("SUM", [0, 1], [2], "Reducer")])


def mirrored(mode: int, before: int, size: int) -> bytes:
    paddings = Tensor([2, 2], None, dtype="int32", data=np.array([[0, 0], [before, 0]]))
    tensors = [Tensor([1, 4]), paddings, Tensor([1, size])]
    return write_model(tensors, [Operation("MIRROR_PAD", [0, 1], [2], "MirrorPad", {"mode": mode})])


def pair(name: str, kind: str, second: Sequence[int], scale: float = 1.0) -> bytes:
    constant = Tensor(second, scale, data=np.ones(second))
    return write_model([Tensor([1, 4]), constant, Tensor([1, 4])], [Operation(name, [0, 1], [2], kind)])


def curve(name: str, kind: str = "", scale: float = 1.0, zero_point: int = 0, **options: Any) -> bytes:
    tensors = [Tensor([1, 4]), Tensor([1, 4], scale, zero_point)]
    return write_model(tensors, [Operation(name, [0], [1], kind, options)])


@pytest.mark.parametrize(
    ("tflite", "error", "message"),
    [
        (reduction([4]), MalformedModelError, r"\(SUM\): dimensions \[4\] of 4"),
        (reduction([-5]), MalformedModelError, r"dimensions \[-5\] of 4"),
        (reduction([1, 2], output=(1, 3)), MalformedModelError, r"over \[1, 2\] -> \[1, 3\]"),
        (reduction([0, 2, 4], (2,) * 6, (2, 2, 2)), UnsupportedError, "at most two runs of neighbours"),
        (mirrored(2, 1, 5), MalformedModelError, r"\(MIRROR_PAD\): mode 2"),
        (mirrored(0, 4, 8), MalformedModelError, "too small to be mirrored"),
        (mirrored(1, 5, 9), MalformedModelError, "too small to be mirrored"),
        (pair("SUB", "Sub", [3]), MalformedModelError, r"\(SUB\): \[1, 4\] and \[3\] -> \[1, 4\]"),
        (pair("PRELU", "", [1, 3]), MalformedModelError, r"\(PRELU\): \[1, 4\] and \[1, 3\]"),
        (pair("MAXIMUM", "MaximumMinimum", [4], 0.5), UnsupportedError, r"\(MAXIMUM\): .* different scales"),
        (curve("LOG_SOFTMAX", "LogSoftmax"), UnsupportedError, "output scale 1, zero point 0; supported are 1/16"),
        (curve("TANH"), UnsupportedError, r"\(TANH\): output scale 1, zero point 0"),
        (curve("LEAKY_RELU", "LeakyRelu", alpha=float("nan")), UnsupportedError, r"\(LEAKY_RELU\): alpha nan"),
        (curve("LEAKY_RELU", "LeakyRelu", alpha=-1.0), UnsupportedError, "alpha -1; supported is 0 to"),
    ],
)
def test_options_and_shapes_that_no_kernel_takes_are_refused(
    tflite: bytes, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        compile_network(tflite)


def test_a_depth_multiplier_that_contradicts_the_weights_is_malformed() -> None:
    tensors = [Tensor([1, 4, 4, 2]), Tensor([1, 3, 3, 4], data=np.ones((1, 3, 3, 4))), Tensor([1, 4, 4, 4])]
    options = {"strideH": 1, "strideW": 1, "depthMultiplier": 1}
    with pytest.raises(MalformedModelError, match="depth multiplier 1, 4 filters need 2"):
        compile_network(write_model(tensors, [Operation("DEPTHWISE_CONV_2D", [0, 1], [2], "DepthwiseConv2D", options)]))


def test_a_batch_of_unknown_size_is_a_batch_of_one() -> None:
    assert compile_network(relu({"signature": [-1, 4]})).inputs[0].shape == (1, 4)


def test_an_operator_that_reads_what_nothing_has_written_is_malformed() -> None:
    tensors = [Tensor([1, 4]) for _ in range(3)]
    operations = [Operation("RELU", [2], [1]), Operation("RELU", [0], [2])]
    with pytest.raises(MalformedModelError, match=r"operator 0 \(RELU\): reads tensor 2"):
        compile_network(write_model(tensors, operations, outputs=[1]))


def test_an_operator_without_outputs_is_refused() -> None:
    operations = [Operation("ASSIGN_VARIABLE", [0], []), Operation("RELU", [0], [1])]
    with pytest.raises(UnsupportedError, match=r"operator 0 \(ASSIGN_VARIABLE\) has no output"):
        compile_network(write_model([Tensor([1, 4]), Tensor([1, 4])], operations))


def test_a_tensor_that_is_written_twice_is_malformed() -> None:
    operations = [Operation("RELU", [0], [1]), Operation("RELU", [0], [1])]
    with pytest.raises(MalformedModelError, match=r"operator 1 \(RELU\): writes tensor 1"):
        compile_network(write_model([Tensor([1, 4]), Tensor([1, 4])], operations))


def test_names_in_a_model_cannot_leave_their_comment() -> None:
    hostile = '*/ int main() { } /* \\\n"??/'
    program = compile_network(relu({"name": hostile}, {"name": hostile}))
    for content in program.files.values():
        assert b"int main" not in content


@pytest.mark.parametrize("name", ["", "Net", "a-b", "1st", "a" * 50, "a;b", "softmax", "mve"])
def test_a_name_that_is_no_c_identifier_or_a_kernels_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a network"):
        compile_network(small_model(), name=name)


def test_constants_used_again_and_again_are_bounded() -> None:
    """600 operators share 128 KB of weights: 75 MB of constants, which is refused before they are written."""
    weights = Tensor([512, 256], 0.01, data=np.ones((512, 256)))
    tensors = [Tensor([1, 256]), weights, *(Tensor([1, 512]) for _ in range(600))]
    operations = [Operation("FULLY_CONNECTED", [0, 1], [2 + i], "FullyConnected") for i in range(600)]
    with pytest.raises(UnsupportedError, match="B of constants"):
        compile_network(write_model(tensors, operations))
