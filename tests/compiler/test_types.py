"""Networks whose inputs, outputs or activations are no int8."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network
from tinynas.errors import MalformedModelError, UnsupportedError

# What the converter says of every model.
pytestmark = pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected")


def every_form(keras: Any) -> Any:
    """A residual network with all that search spaces build images of."""
    layers = keras.layers
    source = layers.Input((8, 8, 3), batch_size=1)
    x = layers.Conv2D(8, 3, padding="same", activation="relu6")(source)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", activation="relu")(x)
    y = layers.Conv2D(8, 1)(layers.MaxPooling2D(2, padding="same")(x))
    x = layers.Add()([layers.AveragePooling2D(2, padding="same")(x), y])
    return keras.Model(source, layers.Dense(4)(layers.GlobalAveragePooling2D()(layers.ReLU()(x))))


@pytest.fixture(scope="module")
def network(tensorflow: None) -> Any:
    """A convolution, a dense layer."""
    import tinynas.model  # noqa: F401, it chooses the Keras

    keras = pytest.importorskip("tf_keras")
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.layers.Input((8, 8, 3), batch_size=1),
            keras.layers.Conv2D(6, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )


def converted(network: Any, *, wide: bool = False, ends: str = "float32") -> bytes:
    """The network as TensorFlow Lite converts it; wide: int16 activations; ends: the type of input and output."""
    tf = pytest.importorskip("tensorflow")
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    rng = np.random.default_rng(1)
    converter.representative_dataset = lambda: ([rng.normal(size=(1, 8, 8, 3)).astype(np.float32)] for _ in range(20))
    mode = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8" if wide else "TFLITE_BUILTINS_INT8"
    converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, mode)]
    converter.inference_input_type = converter.inference_output_type = getattr(tf, ends)
    tflite: bytes = converter.convert()
    return tflite


def ends(tflite: bytes) -> tuple[str, str]:
    program = compile_network(tflite)
    return program.inputs[0].dtype, program.outputs[0].dtype


def test_a_network_with_float_ends_gives_the_references_values(check_equal: Callable[..., None], network: Any) -> None:
    tflite = converted(network)
    assert ends(tflite) == ("float32", "float32")
    check_equal([tflite])


def test_a_network_with_uint8_ends_gives_the_references_values(check_equal: Callable[..., None], network: Any) -> None:
    tflite = converted(network, ends="uint8")
    assert ends(tflite) == ("uint8", "uint8")
    check_equal([tflite])


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_a_network_with_int16_activations_gives_the_references_values(
    check_equal: Callable[..., None], network: Any, dtype: str
) -> None:
    tflite = converted(network, wide=True, ends=dtype)
    assert ends(tflite) == (dtype, dtype)
    assert [layer.comment.split(",")[0].split("; ")[-1] for layer in compile_network(tflite).layers if layer.macs] == [
        "int16",
        "int16",
    ]
    check_equal([tflite])


def test_a_residual_network_with_int16_activations_gives_the_references_values(
    check_equal: Callable[..., None],
) -> None:
    import tinynas.model  # noqa: F401, it chooses the Keras

    keras = pytest.importorskip("tf_keras")
    keras.utils.set_random_seed(6)
    tflite = converted(every_form(keras), wide=True, ends="int16")
    layers = compile_network(tflite).layers
    expected = {"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D", "MEAN"}
    assert {layer.op for layer in layers if "int16" in layer.comment} == expected
    check_equal([tflite])


def test_the_header_says_what_the_values_are() -> None:
    tensors = [
        Tensor([1, 4], None, dtype="float32", name="real"),
        Tensor([1, 4], 0.5, 3, name="inside"),
        Tensor([1, 4], 0.25, 7, dtype="uint8", name="bytes"),
    ]
    program = compile_network(write_model(tensors, [Operation("QUANTIZE", [0], [1]), Operation("QUANTIZE", [1], [2])]))
    header = program.files["network.h"].decode().splitlines()
    for line in (
        " * Input    real: 4; float",
        " * Output   bytes: 4; value = 0.25 * (uint8 - 7)",
        "#define TN_NETWORK_INPUT_BYTES 16",
        "float *tn_network_input(void);",
        "const uint8_t *tn_network_output(void);",
    ):
        assert line in header


def test_a_value_far_outside_or_none_at_all_saturates(build: Callable[..., Any]) -> None:
    tensors = [Tensor([1, 6], None, dtype="float32"), Tensor([1, 6], 0.5, 3)]
    program = compile_network(write_model(tensors, [Operation("QUANTIZE", [0], [1])]), name="q")
    values = np.array([[1e30, -1e30, np.inf, -np.inf, np.nan, 1.25]], np.float32)
    assert build({"q": program}).run("q", values.view(np.int8)).tolist() == [[127, -128, 127, -128, -128, 6]]


def dense(**changes: Any) -> bytes:
    """int16 values times int8 weights."""
    given = {"zero_point": 0, "scale": 0.001, "bias": "int64", "values": 3, "largest": 9, "output": "int16"} | changes
    tensors = [
        Tensor([1, 2], 0.001, given["zero_point"], "int16"),
        Tensor([3, 2], 0.1, data=np.ones((3, 2), np.int64)),
        Tensor([given["values"]], 0.0001, dtype=given["bias"], data=np.full(given["values"], given["largest"])),
        Tensor([1, 3], given["scale"], 0, given["output"]),
    ]
    return write_model(tensors, [Operation("FULLY_CONNECTED", [0, 1, 2], [3], "FullyConnected")])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"zero_point": 1}, UnsupportedError, "is INT16 with zero point 1; supported is INT16 with 0 throughout"),
        ({"zero_point": 1 << 15}, MalformedModelError, "zero point 32768, int16 holds -32,768 to 32,767"),
        ({"output": "int8"}, UnsupportedError, "is INT8 with zero point 0; supported is INT16 with 0 throughout"),
        ({"bias": "int32"}, UnsupportedError, "input 2 is constant INT32; supported is constant INT64"),
        ({"values": 4}, MalformedModelError, "a bias of 4 values for 3 channels"),
        ({"largest": -(1 << 63)}, UnsupportedError, "sums may leave 48 bits"),
        ({"scale": 1e-7}, UnsupportedError, r"a factor of 2\^7 or more"),
    ],
)
def test_what_the_reference_cannot_compute_is_refused_by_name(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    assert compile_network(dense()).layers[0].macs == 6
    with pytest.raises(error, match=message):
        compile_network(dense(**changes))


def test_types_that_do_not_become_one_another_are_named() -> None:
    tensors = [Tensor([1, 4], 0.5, 3, "uint8"), Tensor([1, 4], 0.5, 0, "int16")]
    with pytest.raises(UnsupportedError, match=r"operator 0 \(QUANTIZE\): UINT8 becomes INT16; supported is INT8"):
        compile_network(write_model(tensors, [Operation("QUANTIZE", [0], [1])]))


@pytest.mark.parametrize(
    ("side", "operation", "message"),
    [
        (
            200,
            Operation(
                "AVERAGE_POOL_2D",
                [0],
                [1],
                "Pool2D",
                {"padding": 1, "strideH": 1, "strideW": 1, "filterHeight": 200, "filterWidth": 200},
            ),
            "a window of 40,000 int16 values; supported are up to 32,768",
        ),
        (200, Operation("MEAN", [0, 2], [1], "Reducer", {"keepDims": True}), "40,000 values become one"),
        (1, Operation("ADD", [0, 3], [1], "Add"), "is INT16 with zero point 9; supported is INT16 with 0 throughout"),
    ],
)
def test_an_int16_form_that_the_kernels_lack_is_refused_by_name(side: int, operation: Operation, message: str) -> None:
    tensors = [
        Tensor([1, side, side, 1], 0.1, 0, "int16"),
        Tensor([1, 1, 1, 1], 0.1, 0, "int16"),
        Tensor([2], None, dtype="int32", data=np.array([1, 2])),
        Tensor([1, 1, 1, 1], 0.1, 9, "int16"),
    ]
    with pytest.raises(UnsupportedError, match=message):
        compile_network(write_model(tensors, [operation], inputs=[0, 3], outputs=[1]))
