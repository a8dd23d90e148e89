"""Exports: what is written is compiled and run, and gives the bytes that TensorFlow Lite Micro gives."""

import json
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tinynas.boards import load_board
from tinynas.children import Children
from tinynas.compiler import SUPPORTED, compile_network
from tinynas.config import TaskSection
from tinynas.cost import Cost, Flash, Sram
from tinynas.deploy.store import core_folder, environment, prepare_core
from tinynas.errors import ConfigError, InfrastructureError, MalformedModelError, UnsupportedError
from tinynas.model.score import arena_bytes, run_reference
from tinynas.space.architecture import Builder
from tinynas.study import delivery as deliveries
from tinynas.study import work
from tinynas.study.export import FORMS, MANIFEST, Provenance, export
from tinynas.study.export_tflm import RESOLVER_METHODS, resolver_methods

SHARED = Path(__file__).parents[2].parent / "shared" / "models"
STRICT = ["-O2", "-Wall", "-Wextra", "-Werror"]
HOSTILE = "x */ | `rm` <script>\n# owned"


@dataclass(frozen=True, kw_only=True)
class Network:
    """An int8 network, its test vector, and the arena that tflite-micro reports."""

    tflite: bytes
    inputs: bytes
    outputs: bytes
    arena_bytes: int


@pytest.fixture(scope="session")
def digits_network():
    """A separable network with a skip connection, untrained, with 16 real inputs."""
    build = Builder((8, 8, 1), 10)
    last = build.conv(0, 8, 3)
    last = build.add(last, build.conv(build.depthwise(last, 3), 8, activation="none"))
    architecture = build.finish(build.flatten(build.avg_pool(last, 8, 8)))
    section = TaskSection(name="digits")
    candidate = work.Candidate(task=section, study_seed=0, architecture=architecture, key="exported")
    with Children(1, memory_bytes=8 << 30, prepare=work.configure) as children:
        tflite = children.call("converting", 300, work.convert_untrained, candidate)
        vectors = children.call("running", 300, work.reference_vectors, section, 0, tflite, 16)
        arena = children.call("allocating", 300, arena_bytes, tflite)
    return Network(tflite=tflite, inputs=vectors.inputs.tobytes(), outputs=vectors.outputs.tobytes(), arena_bytes=arena)


@pytest.fixture(params=["digits", "kws", "ic", "vww"])
def network(request):
    if request.param == "digits":
        return request.getfixturevalue("digits_network")
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent")
    tflite, inputs, outputs = (
        (SHARED / f"{request.param}.{end}").read_bytes() for end in ("tflite", "in.bin", "out.bin")
    )
    return Network(tflite=tflite, inputs=inputs, outputs=outputs, arena_bytes=200_000)


def exported(network, folder, to, provenance=Provenance(origin="a test"), **more):  # noqa: B008
    vector = {"inputs": network.inputs, "outputs": network.outputs}
    return export(
        network.tflite, to=to, folder=folder, provenance=provenance, arena_bytes=network.arena_bytes, **vector, **more
    )


def run(command, folder, **more):
    """Run a command to its end. Returns its standard output; fails with what it said."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False, **more)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return program


def test_the_c_library_compiles_without_a_warning_and_passes_its_own_test(network, tmp_path):
    exported(network, tmp_path / "out", "c")
    sources = ["src/network.c", "examples/self_test/main.c"]
    strict = [*STRICT, "-std=c11", "-pedantic", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
    run([need("cc"), *strict, "-Iinclude", *sources, "-o", "self_test"], tmp_path / "out")
    assert run(["./self_test"], tmp_path / "out").startswith("PASS")


def test_its_own_test_fails_when_a_single_output_byte_differs(digits_network, tmp_path):
    exported(digits_network, tmp_path / "out", "c")
    vector = tmp_path / "out" / "examples" / "self_test" / "vector.h"
    head, tail = vector.read_text().rsplit(", ", 1)
    vector.write_text(f"{head}, {'5' if tail.split(',')[0].strip() != '5' else '6'},{tail.split(',', 1)[1]}")
    run([need("cc"), "-O2", "-Iinclude", "src/network.c", "examples/self_test/main.c"], tmp_path / "out")
    result = subprocess.run(["./a.out"], cwd=tmp_path / "out", capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "FAIL: output 15 differs\n")


def test_the_c_library_is_a_cmake_project_and_a_cmake_folder(digits_network, tmp_path):
    need("cmake"), need("cc")
    exported(digits_network, tmp_path / "user" / "net", "c", name="gesture")
    run(["cmake", "-S", ".", "-B", "build"], tmp_path / "user" / "net")
    run(["cmake", "--build", "build"], tmp_path / "user" / "net")
    run(["ctest", "--test-dir", "build"], tmp_path / "user" / "net")
    (tmp_path / "user" / "main.c").write_text(
        '#include "gesture.h"\nint main(void) { tn_gesture_invoke(); return tn_gesture_output() == 0; }\n'
    )
    (tmp_path / "user" / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(user C)\nadd_subdirectory(net)\n"
        "add_executable(user main.c)\ntarget_link_libraries(user tn_gesture)\n"
    )
    run(["cmake", "-S", ".", "-B", "build"], tmp_path / "user")
    run(["cmake", "--build", "build"], tmp_path / "user")
    run(["./build/user"], tmp_path / "user")


def test_two_libraries_live_in_one_program(digits_network, tmp_path):
    for name in ("first", "second"):
        exported(digits_network, tmp_path / name, "c", name=name)
    (tmp_path / "main.c").write_text(
        '#include "first.h"\n#include "second.h"\nint main(void) { tn_first_invoke(); tn_second_invoke(); return 0; }\n'
    )
    folders = [f"-I{name}/include" for name in ("first", "second")]
    sources = [f"{name}/src/{name}.c" for name in ("first", "second")]
    run([need("cc"), *STRICT, *folders, "main.c", *sources], tmp_path)
    run(["./a.out"], tmp_path)


def test_the_c_library_compiles_for_a_microcontroller_and_needs_what_it_says(digits_network, tmp_path):
    written = exported(digits_network, tmp_path / "out", "c")
    cpu = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
    command = [need("arm-none-eabi-gcc"), *STRICT, "-std=c11", *cpu, "-Iinclude", "-c", "src/network.c"]
    run(command, tmp_path / "out")
    sizes = run(["arm-none-eabi-size", "-A", "network.o"], tmp_path / "out")
    sections = {line.split()[0]: int(line.split()[1]) for line in sizes.splitlines() if line.startswith(".")}
    assert sections[".bss.tn_arena"] == written["arena_bytes"]
    assert sections[".rodata.tn_constants"] == written["constants_bytes"]


def test_the_c_library_holds_only_the_kernels_that_it_needs(digits_network, tmp_path):
    written = exported(digits_network, tmp_path / "out", "c")
    assert "src/tn_conv.h" in written["files"]
    assert "src/tn_softmax.h" not in written["files"]


def test_library_json_is_what_platformio_reads(digits_network, tmp_path):
    exported(digits_network, tmp_path / "out", "c", name="gesture")
    record = json.loads((tmp_path / "out" / "library.json").read_text())
    assert (record["name"], record["headers"], record["license"]) == ("tn_gesture", "gesture.h", "Apache-2.0")
    for example in record["examples"]:
        assert all((tmp_path / "out" / example["base"] / name).is_file() for name in example["files"])


def test_the_readme_tells_memory_cost_and_where_each_figure_comes_from(digits_network, tmp_path):
    cost = Cost(
        latency_us=1234.0,
        latency_source="emulated",
        sram=Sram(static=0, arena=2048, stack=300),
        sram_source="emulated",
        flash=Flash(code=4000, constants=900),
        flash_source="emulated",
        energy_uj=160.0,
        energy_source="estimated",
        energy_basis="datasheet, table 20",
    )
    provenance = Provenance(
        origin="trial 3 of study digits",
        task="digits",
        board="netduinoplus2",
        class_names=("zero", "one"),
        accuracy_int8_val=0.912,
        accuracy_int8_test=0.905,
        cost=cost,
    )
    for to in ("c", "tflm"):
        written = exported(digits_network, tmp_path / to, to, provenance)
        text = (tmp_path / to / "README.md").read_text()
        assert "| Latency | 1.23 ms | emulated |" in text
        assert "| Energy | 160.0 µJ | estimated |" in text
        assert "datasheet, table 20" in text
        assert "91.2 % on the validation split, 90.5 % on the test split" in text
        assert f"{written['arena_bytes']:,} B" in text
        assert "0 = zero, 1 = one." in text


def test_texts_of_a_study_stay_text(digits_network, tmp_path):
    provenance = Provenance(origin=HOSTILE, task=HOSTILE, board=HOSTILE, genome=HOSTILE, class_names=(HOSTILE,))
    for to in ("c", "tflm"):
        exported(digits_network, tmp_path / to, to, provenance)
        for path in (tmp_path / to).rglob("*"):
            if path.is_file() and path.name != MANIFEST:
                assert "owned" not in path.read_text() or path.name == "README.md"
        assert "\n# owned" not in (tmp_path / to / "README.md").read_text()
        assert "<script>" not in (tmp_path / to / "README.md").read_text()


def test_the_tflm_array_is_aligned_and_holds_the_model_that_gives_the_vector(network, tmp_path):
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
    inputs = np.frombuffer(network.inputs, np.int8).reshape(-1, compile_network(network.tflite).inputs[0].bytes)
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
struct TfLiteTensor { union { signed char* int8; } data; };
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
        Abs Add AddN ArgMax ArgMin AveragePool2D BatchToSpaceNd Cast Ceil Concatenation Conv2D Cos CumSum
        DepthToSpace DepthwiseConv2D Dequantize Elu Equal Exp ExpandDims Fill Floor FloorDiv FloorMod
        FullyConnected Gather GatherNd Greater GreaterEqual HardSwish L2Normalization L2Pool2D LeakyRelu
        Less LessEqual Log LogicalAnd LogicalNot LogicalOr Logistic Maximum MaxPool2D Mean Minimum Mul Neg
        NotEqual Pack Pad PadV2 Prelu Quantize ReduceMax Relu Relu6 Reshape ResizeBilinear
        ResizeNearestNeighbor Round Rsqrt Shape Sin Softmax SpaceToBatchNd SpaceToDepth Split SplitV Squeeze
        Sqrt Square StridedSlice Sub Tanh Transpose TransposeConv Unpack
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


def test_the_resolver_registers_each_operator_of_the_model_once(network, stand_in):
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


def test_the_tflm_arena_is_what_was_reported(digits_network, tmp_path):
    written = exported(digits_network, tmp_path / "out", "tflm")
    assert written["arena_bytes"] == digits_network.arena_bytes > 0
    assert f"ArenaBytes = {digits_network.arena_bytes};" in (tmp_path / "out" / "network_model.h").read_text()


def test_an_unknown_form_suggests_the_nearest_one(digits_network, tmp_path):
    with pytest.raises(ConfigError, match="did you mean tflm"):
        exported(digits_network, tmp_path / "out", "tfml")


@pytest.mark.parametrize("name", ["Net", "1st", "a-b", "", "a" * 60, "x;y", "../x"])
def test_a_name_that_is_no_identifier_is_refused_and_nothing_is_written(digits_network, tmp_path, name):
    with pytest.raises(ConfigError, match="cannot name a network"):
        exported(digits_network, tmp_path / "out", "c", name=name)
    assert not list(tmp_path.iterdir())


def test_a_foreign_folder_is_never_replaced_and_an_export_only_with_force(digits_network, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(ConfigError, match="no export wrote"):
            exported(digits_network, tmp_path / "home", "c", force=force)
    (tmp_path / "empty").mkdir()
    exported(digits_network, tmp_path / "empty", "c")
    with pytest.raises(ConfigError, match="--force"):
        exported(digits_network, tmp_path / "empty", "tflm")
    exported(digits_network, tmp_path / "empty", "tflm", force=True)
    assert (tmp_path / "empty" / "network_model.cc").is_file()
    assert not (tmp_path / "empty" / "src").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "home"]


def test_a_file_in_the_way_is_refused(digits_network, tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(ConfigError, match="is a file"):
        exported(digits_network, tmp_path / "out", "c", force=True)


def test_a_failing_disk_leaves_the_earlier_export_and_no_draft(digits_network, tmp_path, monkeypatch):
    exported(digits_network, tmp_path / "out", "c")
    before = (tmp_path / "out" / MANIFEST).read_bytes()
    write = Path.write_bytes

    def full(path, content):
        if path.name == "README.md":
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InfrastructureError, match="No space left"):
        exported(digits_network, tmp_path / "out", "tflm", force=True)
    assert (tmp_path / "out" / MANIFEST).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_manifest_lists_every_file(digits_network, tmp_path):
    for to in ("c", "tflm"):
        written = exported(digits_network, tmp_path / to, to)
        on_disk = sorted(str(path.relative_to(tmp_path / to)) for path in (tmp_path / to).rglob("*") if path.is_file())
        assert written["files"] == on_disk
        record = json.loads((tmp_path / to / MANIFEST).read_text())
        assert sorted([*record["files"], MANIFEST]) == on_disk


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 0), (65, 10), (64, 20)])
def test_a_vector_of_the_wrong_size_is_refused_with_both_sizes(digits_network, tmp_path, inputs, outputs):
    with pytest.raises(ConfigError, match=f"{inputs} B of inputs and {outputs} B of outputs"):
        export(
            digits_network.tflite,
            to="c",
            folder=tmp_path / "out",
            inputs=bytes(inputs),
            outputs=bytes(outputs),
            provenance=Provenance(origin="a test"),
        )


@pytest.mark.parametrize("to", FORMS)
def test_bytes_that_are_no_model_are_refused(to, tmp_path):
    network = Network(tflite=b"nothing", inputs=b"1", outputs=b"1", arena_bytes=1)
    with pytest.raises((MalformedModelError, ConfigError)):
        exported(network, tmp_path / "out", to)
    assert not (tmp_path / "out").exists()


def test_long_vectors_are_cut_to_whole_cases(digits_network, tmp_path):
    many = Network(
        tflite=digits_network.tflite,
        inputs=digits_network.inputs * 100,
        outputs=digits_network.outputs * 100,
        arena_bytes=1,
    )
    exported(many, tmp_path / "out", "c")
    header = (tmp_path / "out" / "examples" / "self_test" / "vector.h").read_text()
    assert "#define TN_NETWORK_VECTOR_COUNT 512\n" in header


def test_a_missing_kernel_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(deliveries.paths, "FIRMWARE", tmp_path)
    with pytest.raises(InfrastructureError, match=r"tn_conv\.h"):
        deliveries.kernels_for([b'#include "tn_conv.h"\n'])


def pio_run(folder):
    """`pio run` as a user would call it, but with tinynas's own package store: tests need no network."""
    need("arm-none-eabi-gcc")
    prepare_core(core_folder())
    run([sys.executable, "-P", "-m", "platformio", "run"], folder, env=environment(core_folder()))


@pytest.fixture(scope="module")
def built(digits_network, tmp_path_factory):
    """An exported PlatformIO project, in a folder with a space in its name, built."""
    folder = tmp_path_factory.mktemp("a user") / "out"
    exported(digits_network, folder, "platformio", name="gesture", board=load_board("netduinoplus2"))
    pio_run(folder)
    return folder


def serial_output(image):
    """The first line that an image says on the emulated board's serial port."""
    machine = load_board("netduinoplus2").emulator.machine
    command = [need("qemu-system-arm"), "-machine", machine, "-nodefaults", "-display", "none", "-serial", "stdio"]
    with subprocess.Popen(
        [*command, "-kernel", image],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as qemu:
        watchdog = threading.Timer(60, qemu.kill)
        watchdog.start()
        line = qemu.stdout.readline()
        watchdog.cancel()
        qemu.kill()
    return line.strip()


def test_the_platformio_project_builds_and_says_pass_on_the_emulated_board(built):
    assert serial_output(built / ".pio" / "build" / "netduinoplus2" / "firmware.elf") == "PASS"


def test_the_platformio_project_says_fail_when_an_output_byte_differs(built, tmp_path):
    project = tmp_path / "moved"
    shutil.copytree(built, project)
    vector = project / "src" / "vector.h"
    vector.write_text(re.sub(r"(outputs\[.*\] = \{\n    )(-?\d+)", r"\g<1>(int8_t)(\2 ^ 1)", vector.read_text()))
    pio_run(project)
    image = project / ".pio" / "build" / "netduinoplus2" / "firmware.elf"
    assert serial_output(image) == "FAIL: the outputs differ"


def test_the_platformio_project_refers_to_nothing_outside_itself(built):
    for path in built.rglob("*"):
        if path.is_file() and ".pio" not in path.relative_to(built).parts:
            assert str(Path(__file__).parents[2]) not in path.read_text(), path
    folders = re.findall(r"(?:boards_dir|platforms_dir) = (.*)", (built / "platformio.ini").read_text())
    assert folders == ["boards", ".pio/platforms"]


def test_a_platformio_export_without_a_board_is_refused(digits_network, tmp_path):
    with pytest.raises(ConfigError, match="needs a board"):
        exported(digits_network, tmp_path / "out", "platformio")
