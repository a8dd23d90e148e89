"""The generated files: readable, free of warnings with every compiler at hand, the same for the same model."""

import hashlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_writer import Operation, Tensor, write_model

from tinynas.compiler import compile_network
from tinynas.paths import FIRMWARE

WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
KERNELS = FIRMWARE / "lib"


def model() -> bytes:
    """A convolution, a depthwise one, an addition, a pool, a mean over a padding, and a classifier."""
    rng = np.random.default_rng(3)

    def weights(shape: list[int], axis: int) -> Tensor:
        values = rng.integers(-127, 128, shape)
        return Tensor(shape, rng.uniform(0.001, 0.02, shape[axis]), data=values, axis=axis)

    tensors = [
        Tensor([1, 8, 8, 3], 0.1, -3, name="image"),
        weights([6, 3, 3, 3], 0),
        Tensor([1, 8, 8, 6], 0.2, -128),
        weights([1, 3, 3, 6], 3),
        Tensor([1, 8, 8, 6], 0.4, 9),
        Tensor([1, 8, 8, 6], 0.5, -10),
        Tensor([1, 4, 4, 6], 0.5, -10),
        Tensor([4, 2], None, dtype="int32", data=np.array([[0, 0], [1, 0], [0, 1], [0, 0]])),
        Tensor([1, 5, 5, 6], 0.5, -10),
        Tensor([2], None, dtype="int32", data=np.array([1, 2])),
        Tensor([1, 6], 0.1, 4),
        weights([5, 6], 0),
        Tensor([1, 5], 0.1, 1),
        Tensor([1, 5], 1 / 256, -128, name="scores"),
    ]
    pool = {"padding": 1, "strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2}
    depthwise = {"strideH": 1, "strideW": 1, "depthMultiplier": 1}
    operations = [
        Operation("CONV_2D", [0, 1], [2], "Conv2D", {"strideH": 1, "strideW": 1, "fusedActivationFunction": 1}),
        Operation("DEPTHWISE_CONV_2D", [2, 3], [4], "DepthwiseConv2D", depthwise),
        Operation("ADD", [2, 4], [5], "Add"),
        Operation("AVERAGE_POOL_2D", [5], [6], "Pool2D", pool),
        Operation("PAD", [6, 7], [8], "Pad"),
        Operation("MEAN", [8, 9], [10], "Reducer"),
        Operation("FULLY_CONNECTED", [10, 11], [12], "FullyConnected"),
        Operation("SOFTMAX", [12], [13], "Softmax", {"beta": 1.0}),
    ]
    return write_model(tensors, operations)


def write(folder: Path, **arguments: Any) -> list[str]:
    """Write the sample's files, return the names of those to compile."""
    files = compile_network(model(), **arguments).files
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [name for name in files if name.endswith((".c", ".S"))]


def test_both_kinds_of_constants_give_the_references_outputs(build: Callable[..., Any], check_equal: Any) -> None:
    check_equal([model()], samples=20)
    inputs = np.random.default_rng(0).integers(-128, 128, (20, 192)).astype(np.int8)
    outputs = [
        build({"network": compile_network(model(), constants=kind)}).run("network", inputs)
        for kind in ("incbin", "arrays")
    ]
    assert outputs[0].tolist() == outputs[1].tolist()


def test_outputs_do_not_depend_on_earlier_inferences(build: Callable[..., Any]) -> None:
    library = build({"network": compile_network(model())})
    inputs = np.random.default_rng(1).integers(-128, 128, (6, 192)).astype(np.int8)
    assert library.run("network", inputs).tolist() == library.run("network", inputs[::-1])[::-1].tolist()


@pytest.mark.parametrize("header", sorted(path.name for path in KERNELS.glob("tn_*.h")))
def test_each_kernel_stands_alone(tmp_path: Path, cc: str, header: str) -> None:
    (tmp_path / "alone.c").write_text(f'#include "{header}"\n')
    subprocess.run([cc, *WARNINGS, f"-I{KERNELS}", "-fsyntax-only", "alone.c"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("header", sorted(path.name for path in KERNELS.glob("tn_*.h")))
def test_no_kernel_that_writes_is_left_to_the_compilers_conclusions(header: str) -> None:
    """See TN_LAYER and TN_WRITTEN in firmware/lib/tn_compiler.h."""
    text = (KERNELS / header).read_text()
    assert re.findall(r"^static inline (?:void|int8_t \*)\s*tn_\w+", text, re.M) == []
    for _, name, body in re.findall(r"^( *)TN_APART void (\w+)[^;{]*?^\1\{(.*?)^\1\}", text, re.M | re.S):
        assert "TN_WRITTEN();" in body, name


def test_the_header_states_what_the_program_says(tmp_path: Path) -> None:
    program = compile_network(model(), name="sample")
    header = program.files["sample.h"].decode()
    assert f"#define TN_SAMPLE_ARENA_BYTES {program.arena_bytes}\n" in header
    assert f"#define TN_SAMPLE_CONSTANTS_BYTES {program.constants_bytes}\n" in header
    assert "#define TN_SAMPLE_INPUT_BYTES 192\n" in header
    assert "#define TN_SAMPLE_OUTPUT_BYTES 5\n" in header
    assert program.sha256 == hashlib.sha256(model()).hexdigest()
    assert program.sha256 in header
    assert (program.inputs[0].name, program.inputs[0].shape, program.inputs[0].zero_point) == (
        "image",
        (1, 8, 8, 3),
        -3,
    )


def test_the_assembly_changes_with_its_constants() -> None:
    program = compile_network(model())
    blob = program.files["network_constants.bin"]
    assert hashlib.sha256(blob).hexdigest().encode() in program.files["network_constants.S"]
    assert len(blob) == program.constants_bytes == sum(layer.constants_bytes for layer in program.layers)


def test_every_layer_is_explained_where_it_is_called() -> None:
    program = compile_network(model())
    source = re.sub(r"\n \*", "", program.files["network.c"].decode())
    for layer in program.layers:
        assert f"Layer {layer.index}: {layer.op}" in source
        assert f"{layer.macs:,} MAC, {layer.constants_bytes:,} B of constants" in source
    assert sum(layer.macs for layer in program.layers) == 8 * 8 * 6 * 27 + 8 * 8 * 6 * 9 + 30


def test_a_profile_build_is_told_after_each_layer_and_layers_stay_apart(tmp_path: Path, cc: str) -> None:
    """Runs the network with a mark that counts, then looks for the layers among the functions that remained."""
    sources = write(tmp_path, constants="arrays")
    calling = "int marks; void tn_mark(void) { marks++; } int main(void) { tn_network_invoke(); return marks; }"
    (tmp_path / "main.c").write_text(f'#include "network.h"\n{calling}\n')
    command = [cc, "-O3", "-Wall", "-Wextra", "-Werror", "-DTN_PROFILE", f"-I{KERNELS}", *sources, "main.c"]
    subprocess.run([*command, "-o", "counting"], cwd=tmp_path, check=True)
    layers = compile_network(model()).layers
    assert subprocess.run(["./counting"], cwd=tmp_path, check=False).returncode == 1 + len(layers)
    symbols = subprocess.run(["nm", "counting"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert all(f" t tn_network_layer_{layer.index}\n" in symbols for layer in layers)


@pytest.mark.parametrize("level", ["-O2", "-O3", "-Os"])
def test_a_build_without_marks_has_no_trace_of_them(tmp_path: Path, cc: str, level: str) -> None:
    (name,) = write(tmp_path, constants="arrays")
    source = (tmp_path / name).read_text()
    (tmp_path / "bare.c").write_text(source.replace("    TN_MARK();\n", ""))
    assert (tmp_path / "bare.c").read_text().count("MARK") == 0 < source.count("TN_MARK();")
    for each in (name, "bare.c"):
        command = [cc, level, f"-I{KERNELS}", "-S", each, "-o", "compiled.s"]
        subprocess.run(command, cwd=tmp_path, check=True)
        (tmp_path / "compiled.s").rename(tmp_path / f"{each}.s")
    marked, bare = ((tmp_path / f"{each}.s").read_text().replace(each, "") for each in (name, "bare.c"))
    assert marked == bare


def test_the_same_model_gives_the_same_bytes() -> None:
    assert compile_network(model()) == compile_network(model())
