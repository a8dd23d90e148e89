"""The exported C library: it compiles anywhere, tests itself, and needs what it says."""

import json
import subprocess
from dataclasses import replace

import pytest

from tinynas.errors import InfrastructureError
from tinynas.study import delivery as deliveries

STRICT = ["-O2", "-Wall", "-Wextra", "-Werror"]


def test_the_c_library_compiles_without_a_warning_and_passes_its_own_test(network, tmp_path, exported, run, need):
    exported(network, tmp_path / "out", "c")
    sources = ["src/network.c", "examples/self_test/main.c"]
    strict = [*STRICT, "-std=c11", "-pedantic", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
    run([need("cc"), *strict, "-Iinclude", *sources, "-o", "self_test"], tmp_path / "out")
    assert run(["./self_test"], tmp_path / "out").startswith("PASS")


def test_its_own_test_fails_when_a_single_output_byte_differs(digits_network, tmp_path, exported, run, need):
    exported(digits_network, tmp_path / "out", "c")
    vector = tmp_path / "out" / "examples" / "self_test" / "vector.h"
    head, tail = vector.read_text().rsplit(", ", 1)
    vector.write_text(f"{head}, {'5' if tail.split(',')[0].strip() != '5' else '6'},{tail.split(',', 1)[1]}")
    run([need("cc"), "-O2", "-Iinclude", "src/network.c", "examples/self_test/main.c"], tmp_path / "out")
    result = subprocess.run(["./a.out"], cwd=tmp_path / "out", capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "FAIL: output 15 differs\n")


def test_the_c_library_is_a_cmake_project_and_a_cmake_folder(digits_network, tmp_path, exported, run, need):
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


def test_two_libraries_live_in_one_program(digits_network, tmp_path, exported, run, need):
    for name in ("first", "second"):
        exported(digits_network, tmp_path / name, "c", name=name)
    (tmp_path / "main.c").write_text(
        '#include "first.h"\n#include "second.h"\nint main(void) { tn_first_invoke(); tn_second_invoke(); return 0; }\n'
    )
    folders = [f"-I{name}/include" for name in ("first", "second")]
    sources = [f"{name}/src/{name}.c" for name in ("first", "second")]
    run([need("cc"), *STRICT, *folders, "main.c", *sources], tmp_path)
    run(["./a.out"], tmp_path)


def test_the_c_library_compiles_for_a_microcontroller_and_needs_what_it_says(
    digits_network, tmp_path, exported, run, need
):
    written = exported(digits_network, tmp_path / "out", "c")
    cpu = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
    command = [need("arm-none-eabi-gcc"), *STRICT, "-std=c11", *cpu, "-Iinclude", "-c", "src/network.c"]
    run(command, tmp_path / "out")
    sizes = run(["arm-none-eabi-size", "-A", "network.o"], tmp_path / "out")
    sections = {line.split()[0]: int(line.split()[1]) for line in sizes.splitlines() if line.startswith(".")}
    assert sections[".bss.tn_arena"] == written["arena_bytes"]
    assert sections[".rodata.tn_constants"] == written["constants_bytes"]


def test_the_c_library_holds_only_the_kernels_that_it_needs(digits_network, tmp_path, exported):
    written = exported(digits_network, tmp_path / "out", "c")
    assert "src/tn_conv.h" in written["files"]
    assert "src/tn_softmax.h" not in written["files"]


def test_library_json_is_what_platformio_reads(digits_network, tmp_path, exported):
    exported(digits_network, tmp_path / "out", "c", name="gesture")
    record = json.loads((tmp_path / "out" / "library.json").read_text())
    assert (record["name"], record["headers"], record["license"]) == ("tn_gesture", "gesture.h", "Apache-2.0")
    for example in record["examples"]:
        assert all((tmp_path / "out" / example["base"] / name).is_file() for name in example["files"])


def test_long_vectors_are_cut_to_whole_cases(digits_network, tmp_path, exported):
    many = replace(digits_network, inputs=digits_network.inputs * 100, outputs=digits_network.outputs * 100)
    exported(many, tmp_path / "out", "c")
    header = (tmp_path / "out" / "examples" / "self_test" / "vector.h").read_text()
    assert "#define TN_NETWORK_VECTOR_COUNT 512\n" in header


def test_a_missing_kernel_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(deliveries.paths, "FIRMWARE", tmp_path)
    with pytest.raises(InfrastructureError, match=r"tn_conv\.h"):
        deliveries.kernels_for([b'#include "tn_conv.h"\n'])
