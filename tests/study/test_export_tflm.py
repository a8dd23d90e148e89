"""The export for TensorFlow Lite Micro: the array is the model, and the resolver has its operators."""

import re
import subprocess

import numpy as np
import pytest

from tinynas.compiler import SUPPORTED, compile_network
from tinynas.errors import UnsupportedError
from tinynas.model.score import run_reference
from tinynas.study.export_tflm import RESOLVER_METHODS, resolver_methods

STRICT = ["-O2", "-Wall", "-Wextra", "-Werror"]


def test_the_tflm_array_is_aligned_and_holds_the_model_that_gives_the_vector(network, tmp_path, exported, run, need):
    exported(network, tmp_path / "out", "tflm")
    (tmp_path / "dump.cc").write_text(
        '#include <cstdint>\n#include <cstdio>\n#include "network_model.h"\n'
        "int main() { std::fwrite(tn_network_model, 1, tn_network_model_size, stdout);\n"
        "  return reinterpret_cast<std::uintptr_t>(tn_network_model) % 16; }\n"
    )
    command = [need("c++"), *STRICT, "-std=c++11", "-Iout", "dump.cc", "out/network_model.cc", "-o", "dump"]
    run(command, tmp_path)
    result = subprocess.run(["./dump"], cwd=tmp_path, capture_output=True, check=True)
    assert result.stdout == network.tflite
    inputs = np.frombuffer(network.inputs, np.int8).reshape(-1, compile_network(network.tflite).inputs_bytes)
    assert run_reference(result.stdout, inputs).tobytes() == network.outputs


# As declared by TensorFlow Lite Micro, for the compiler only: its sources are on no package index.
STAND_IN = {
    "micro_mutable_op_resolver.h": """
#pragma once
#include <cstdio>
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
namespace tflite {
template <unsigned int tOpCount> struct MicroMutableOpResolver {
  unsigned int count = 0;
  TfLiteStatus Add(const char* name) { std::puts(name); return ++count > tOpCount ? kTfLiteError : kTfLiteOk; }
METHODS};
}  // namespace tflite
""",
    "micro_interpreter.h": """
#pragma once
#include "micro_mutable_op_resolver.h"
struct TfLiteTensor { union { char* raw; signed char* int8; } data; };
namespace tflite {
struct Model;
struct MicroInterpreter {
  template <typename Resolver>
  MicroInterpreter(const Model*, const Resolver&, unsigned char*, unsigned long);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(unsigned long);
  TfLiteTensor* output(unsigned long);
};
}  // namespace tflite
""",
}
# Every method that takes no argument or a default, as upstream spells it.
UPSTREAM = frozenset(
    re.findall(
        r"\w+",
        """
        Abs Add AddN ArgMax ArgMin AveragePool2D BatchMatMul BatchToSpaceNd Cast Ceil Concatenation Conv2D Cos CumSum
        DepthToSpace DepthwiseConv2D Dequantize Elu Equal Exp ExpandDims Fill Floor FloorDiv FloorMod
        FullyConnected Gather GatherNd Greater GreaterEqual HardSwish L2Normalization L2Pool2D LeakyRelu
        Less LessEqual Log LogicalAnd LogicalNot LogicalOr Logistic LogSoftmax Maximum MaxPool2D Mean Minimum
        MirrorPad Mul Neg NotEqual Pack Pad PadV2 Prelu Quantize ReduceMax Relu Relu6 Reshape ResizeBilinear
        ResizeNearestNeighbor Round Rsqrt Shape Sin Slice Softmax SpaceToBatchNd SpaceToDepth Split SplitV Squeeze
        Sqrt Square StridedSlice Sub Sum Tanh Transpose TransposeConv Unpack
        """,
    )
)


@pytest.fixture
def stand_in(tmp_path):
    """A folder with headers that declare what the exported sources use of TensorFlow Lite Micro."""
    micro, schema = tmp_path / "tensorflow/lite/micro", tmp_path / "tensorflow/lite/schema"
    micro.mkdir(parents=True)
    schema.mkdir()
    methods = "".join(f'  TfLiteStatus Add{name}() {{ return Add("Add{name}"); }}\n' for name in sorted(UPSTREAM))
    for name, text in STAND_IN.items():
        (micro / name).write_text(text.replace("METHODS", methods))
    (schema / "schema_generated.h").write_text(
        "#pragma once\nnamespace tflite { struct Model; const Model* GetModel(const void*); }\n"
    )
    return tmp_path


def test_the_resolver_registers_each_operator_of_the_model_once(network, stand_in, exported, run, need):
    exported(network, stand_in / "out", "tflm")
    (stand_in / "resolve.cc").write_text(
        '#include "network_resolver.h"\n'
        "int main() { TnNetworkResolver resolver; return TnNetworkAddOperators(resolver) == kTfLiteOk ? 0 : 1; }\n"
    )
    run([need("c++"), *STRICT, "-std=c++11", "-I.", "-Iout", "resolve.cc", "-o", "resolve"], stand_in)
    registered = run(["./resolve"], stand_in).split()
    operators = {layer.op for layer in compile_network(network.tflite).layers}
    assert registered == sorted({RESOLVER_METHODS[operator] for operator in operators})
    run(["c++", *STRICT, "-std=c++11", "-I.", "-fsyntax-only", "out/example.cc"], stand_in)


def test_every_operator_of_the_compiler_can_be_registered():
    assert set(SUPPORTED) <= set(RESOLVER_METHODS)
    assert {method.removeprefix("Add") for method in RESOLVER_METHODS.values()} <= UPSTREAM


def test_an_operator_without_registration_is_named():
    with pytest.raises(UnsupportedError, match="WARP"):
        resolver_methods(["ADD", "WARP"])


def test_the_tflm_arena_is_what_was_reported(digits_network, tmp_path, exported):
    written = exported(digits_network, tmp_path / "out", "tflm")
    assert written["arena_bytes"] == digits_network.arena_bytes > 0
    assert f"ArenaBytes = {digits_network.arena_bytes};" in (tmp_path / "out" / "network_model.h").read_text()
