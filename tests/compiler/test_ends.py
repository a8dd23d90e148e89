"""Networks with several inputs and outputs."""

from collections.abc import Callable

import numpy as np
import pytest
from mixed_ends import mixed_ends
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import Patches, compile_network


def two_branches(channels: int = 8) -> bytes:
    """Two images added, then a convolution; the sum, the convolution's output and its mean leave the network."""
    weights = np.random.default_rng(channels).integers(-127, 128, (channels, 3, 3, 4))
    tensors = [
        Tensor([1, 6, 6, 4], 0.1, 3, name="left"),
        Tensor([1, 6, 6, 4], 0.2, -5, name="right"),
        Tensor([1, 6, 6, 4], 0.25, 1, name="sum"),
        Tensor([channels, 3, 3, 4], 0.01, data=weights),
        Tensor([1, 6, 6, channels], 0.4, -128, name="features"),
        Tensor([2], None, dtype="int32", data=np.array([1, 2])),
        Tensor([1, channels], 0.4, -128, name="mean"),
    ]
    operations = [
        Operation("ADD", [0, 1], [2], "Add"),
        Operation("CONV_2D", [2, 3], [4], "Conv2D", {"strideH": 1, "strideW": 1, "fusedActivationFunction": 1}),
        Operation("MEAN", [4, 5], [6], "Reducer"),
    ]
    return write_model(tensors, operations, inputs=[1, 0], outputs=[6, 2, 4])


def late_input() -> bytes:
    """The second input is read last, the third never."""
    tensors = [Tensor([1, 4, 4, 4], 0.1, 3, name=name) for name in ("first", "late", "unread", "sum")]
    operations = [Operation("RELU", [0], [4]), Operation("RELU", [4], [5]), Operation("ADD", [5, 1], [3], "Add")]
    tensors += [Tensor([1, 4, 4, 4], 0.1, -128) for _ in range(2)]
    return write_model(tensors, operations, inputs=[0, 1, 2], outputs=[3])


def input_as_output() -> bytes:
    """An input leaves the network as it is, and under another shape."""
    tensors = [Tensor([1, 4, 4], 0.1, 3), Tensor([1, 16], 0.1, 3), Tensor([1, 4, 4], 0.1, 3)]
    return write_model(tensors, [Operation("RESHAPE", [0], [1]), Operation("RELU", [0], [2])], outputs=[0, 1, 2])


def split() -> bytes:
    tensors = [Tensor([], None, dtype="int32", data=np.array(2)), Tensor([1, 5, 9], 0.1, 3)]
    tensors += [Tensor([1, 5, 3], 0.1, 3) for _ in range(3)]
    return write_model(
        tensors, [Operation("SPLIT", [0, 1], [2, 3, 4], "Split", {"numSplits": 3})], inputs=[1], outputs=[4, 2, 3]
    )


def test_every_output_is_the_references(check_equal: Callable[..., None]) -> None:
    check_equal([two_branches(), two_branches(3), late_input(), input_as_output(), split(), mixed_ends()])


def test_the_header_numbers_inputs_and_outputs_in_the_models_order() -> None:
    program = compile_network(two_branches())
    assert [tensor.name for tensor in program.inputs] == ["right", "left"]
    assert [tensor.name for tensor in program.outputs] == ["mean", "sum", "features"]
    header = program.files["network.h"].decode()
    for line in (
        " * Input_0  right: 6x6x4; value = 0.200000003 * (int8 - -5)",
        " * Output_2 features: 6x6x8; value = 0.400000006 * (int8 - -128)",
        " *     memcpy(tn_network_input_1(), samples_1, TN_NETWORK_INPUT_1_BYTES);",
        " *     const int8_t *scores_2 = tn_network_output_2();",
        "#define TN_NETWORK_INPUT_1_BYTES 144",
        "#define TN_NETWORK_OUTPUT_0_BYTES 8",
        "int8_t *tn_network_input_0(void);",
        "const int8_t *tn_network_output_2(void);",
    ):
        assert line in header.splitlines()
    assert "tn_network_input(" not in header


@pytest.mark.parametrize("patches", ["off", "auto"])
def test_a_network_without_operators_gives_its_input(patches: Patches) -> None:
    program = compile_network(write_model([Tensor([1, 4], 0.1, 3)], [], outputs=[0]), patches=patches)
    assert (program.layers, program.arena_bytes) == ((), 4)
