"""The firmware of an exported benchmark, compiled for the host with sanitizers, against a model of it in Python."""

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from benchmark_networks import autoencoder, classifier, with_vector
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mlperf_model import Model

from tinynas.boards import load_board
from tinynas.compiler import compile_network
from tinynas.model.score import run_reference
from tinynas.paths import FIRMWARE

# Every run is a process, so there are few of them, each with many commands.
few = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
STRICT = [
    "-std=c11",
    "-g",
    "-O1",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover",
]
NETWORKS = {
    "kws01": classifier(490, 12),
    "ic01": classifier(3072, 10),
    "ad01": autoencoder(640),
}


class Firmware:
    """One of NETWORKS as a program for the host, and the model of its answers."""

    def __init__(self, name: str, program: Path) -> None:
        self.name = name
        self.program = program
        self._network = compile_network(NETWORKS[name])
        self._known: dict[bytes, str | None] = {}

    def says(self, stream: bytes) -> str:
        result = subprocess.run([self.program], input=stream, capture_output=True, timeout=60, check=False)
        assert (result.returncode, result.stderr) == (0, b"")
        return result.stdout.decode("ascii")

    def model(self) -> Model:
        loaded = self._network.inputs_bytes * (4 if self.name == "ad01" else 1)
        return Model(self.name, loaded, self.judge)

    def judge(self, loaded: bytes) -> str | None:
        if loaded not in self._known:
            self._known[loaded] = judged(self.name, NETWORKS[self.name], loaded)
        return self._known[loaded]


def judged(name: str, tflite: bytes, loaded: bytes) -> str | None:
    """What tflite-micro makes of a file of the benchmark `name`, as results."""
    program = compile_network(tflite)
    (source,), (result,) = program.inputs, program.outputs
    match name:
        case "ad01":
            reals = np.frombuffer(loaded, "<f4")
            if not (np.abs(reals) <= 1e6).all():
                return None
            # Halves go away from zero, as roundf takes them.
            steps = reals / np.float32(source.scale)
            rounded = np.trunc(steps + np.copysign(np.float32(0.5), steps))
            inputs = np.clip(rounded + source.zero_point, -128, 127).astype(np.int8)
        case "ic01" | "vww01":
            inputs = (np.frombuffer(loaded, np.uint8).astype(np.int16) - 128).astype(np.int8)
        case _:
            inputs = np.frombuffer(loaded, np.int8)
    outputs = run_reference(tflite, inputs.reshape(1, -1)).reshape(-1).astype(np.int32)
    values = np.float32(result.scale) * (outputs - result.zero_point).astype(np.float32)
    if name == "ad01":
        total = np.float32(0)
        for off in values - reals:
            total += off * off
        values = np.array([total / np.float32(len(reals))])
    return ",".join(f"{value:.3f}" for value in values)


@pytest.fixture(scope="session")
def build(tmp_path_factory, exported, run, need):
    """build(name, *flags) gives the program of a benchmark's exported project."""

    def compile_it(name: str, *flags: str) -> Path:
        folder = tmp_path_factory.mktemp(name) / "out"
        tflite = NETWORKS[name]
        exported(with_vector(tflite), folder, "mlperf", name=name, board=load_board("netduinoplus2"))
        sources = [*(folder / "src").glob("*.c"), Path(__file__).with_name("mlperf_port.c")]
        includes = [f"-I{folder / 'firmware' / each}" for each in ("lib", "src")]
        run([need("cc"), *STRICT, *flags, *includes, *sources, "-lm", "-o", "benchmark"], folder)
        return folder / "benchmark"

    return compile_it


@pytest.fixture(scope="session", params=list(NETWORKS))
def firmware(request, build):
    return Firmware(request.param, build(request.param))


@pytest.fixture(scope="session")
def kws(build):
    return Firmware("kws01", build("kws01"))


def chunks(data: bytes, size: int = 31) -> bytes:
    """As the runner sends a file: 31 bytes a command."""
    parts = [data[at : at + size].hex() for at in range(0, len(data), size)]
    return f"db load {len(data)}%".encode() + b"".join(f"db {part}%".encode() for part in parts)


NUMBERS = ["0", "1", "2", "8", "9", "-1", "490", "491", "0x10", "999999999", "1000000000", "99999999999999999999"]
DIGITS = ["00", "a", "zz", "0g", "00" * 31, "7F80" * 4, "0" * 75, "AB" * 37]
WORDS = ["name", "timestamp", "profile", "help", "results", "infer", "db", "load", "print", "m-ready", "", " "]
words = st.sampled_from([*WORDS, *NUMBERS, *DIGITS])
# A board does as many inferences as it is asked for, which takes its time.
commands = st.lists(words, max_size=6).map(" ".join).filter(lambda text: "infer" not in text or "9" * 9 not in text)
small_loads = st.tuples(st.integers(1, 20), st.lists(st.binary(max_size=12), max_size=4)).map(
    lambda load: f"db load {load[0]}%".encode() + b"%".join(b"db " + part.hex().encode() for part in load[1])
)
garbage = st.binary(max_size=120)
streams = st.lists(commands.map(str.encode) | small_loads | garbage, max_size=40).map(b"%".join)


@few
@given(stream=streams)
@example(stream=b"db load 8%db 0011%db print 1 0 name")
def test_whatever_comes_the_firmware_answers_as_the_model(kws, stream):
    model = kws.model()
    assert kws.says(stream + b"%") == model.start() + model.feed(stream + b"%")


@few
@given(data=st.data())
def test_inferences_give_what_tflite_micro_computes_whatever_came_before(firmware, data):
    model = firmware.model()
    stream = data.draw(streams) + b"%"
    for _ in range(data.draw(st.integers(1, 3))):
        seed = data.draw(st.integers(0, 1 << 32))
        stream += chunks(random_file(firmware.name, model.loaded_bytes, seed), data.draw(st.sampled_from([26, 31, 38])))
        stream += b"infer 2 1%db print 9 480%results%" + data.draw(streams) + b"%"
    assert firmware.says(stream) == model.start() + model.feed(stream)


def random_file(name: str, size: int, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    if name == "ad01":
        return bytes(rng.normal(-20, 30, size // 4).astype("<f4").tobytes())
    return rng.bytes(size)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 1.1e6, -3e38])
def test_a_spectrogram_with_what_is_no_number_is_refused_and_the_next_one_runs(build, bad):
    firmware = Firmware("ad01", build("ad01"))
    model, good = firmware.model(), random_file("ad01", 2560, 5)
    damaged = good[:1600] + struct.pack("<f", bad) + good[1604:]
    stream = chunks(damaged) + b"infer 1 0%results%" + chunks(good) + b"infer 1 0%"
    said = firmware.says(stream)
    assert said == model.start() + model.feed(stream)
    assert "e-[Input db holds what is no number or is beyond 1e6]" in said
    assert said.count("m-results-[") == 1


def test_an_oversized_load_and_bytes_after_the_load_are_refused_and_the_board_stays_usable(kws):
    data = random_file("kws01", 490, 1)
    stream = b"db load 491%db load 4000000000%" + chunks(data) + b"db 0102%" * 2000 + b"infer 1 0%"
    lines = kws.says(stream).splitlines()
    assert lines.count("e-[2 bytes are too many: 490 bytes are loaded]") == 2000
    assert "e-[Supplied buffer size 491 exceeds maximum of 490]" in lines
    assert "e-[Command 'db load' must be >0 bytes, not 4000000000]" in lines
    assert f"m-results-[{kws.judge(data)}]" in lines


def test_a_command_without_end_neither_overflows_nor_hides_the_next_one(kws):
    lines = kws.says(b"x" * 1_000_000 + b"%name%").splitlines()
    assert lines[-4:] == ["e-[A command has at most 80 characters]", "m-ready", "m-name-dut-[tinynas]", "m-ready"]


def test_in_energy_mode_a_timestamp_is_a_falling_edge_and_never_a_line(build):
    program = build("kws01", "-DTN_ENERGY_MODE=1", "-DTN_SHOW_SYNC")
    stream = chunks(bytes(490)) + b"timestamp%infer 3 1%"
    said = Firmware("kws01", program).says(stream)
    assert said.startswith("<1>m-timestamp-mode-energy\r\n<0><1>m-init-done\r\nm-ready\r\n")
    assert "m-load-done\r\nm-ready\r\n<0><1>m-ready\r\n" in said
    assert "m-warmup-done\r\nm-infer-start-3\r\n<0><1><0><1>m-infer-done\r\nm-results-[" in said
    assert "m-lap-us" not in said


@pytest.fixture(scope="session")
def written_reals(tmp_path_factory, run, need):
    """What tn_say_real makes of floats."""
    folder = tmp_path_factory.mktemp("reals")
    (folder / "main.c").write_text(
        '#include <stdio.h>\n#include "answers.h"\nvoid tn_port_write(uint8_t byte) { putchar(byte); }\n'
        'int main(void) { float value; while (fread(&value, 4, 1, stdin)) { tn_say_real(value); puts(""); } }\n'
    )
    includes = [f"-I{FIRMWARE / each}" for each in ("mlperf", "src")]
    run([need("cc"), *STRICT, *includes, "main.c", FIRMWARE / "mlperf" / "answers.c", "-o", "reals"], folder)

    def written(values: np.ndarray) -> list[str]:
        return (
            subprocess.run([folder / "reals"], input=values.tobytes(), capture_output=True, check=True)
            .stdout.decode()
            .split()
        )

    return written


def test_reals_are_written_as_python_and_printf_write_them(written_reals):
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 1 << 32, 200_000, dtype=np.uint32).view(np.float32)
    ties = np.arange(-4000, 4000, dtype=np.float32) / 16
    values = np.concatenate([bits, ties, rng.normal(0, 100, 50_000).astype(np.float32), np.float32([0, -0.0, 2**52])])
    values = values[np.abs(values) < 2**53]
    assert written_reals(values) == [f"{value:.3f}" for value in values.tolist()]
    assert written_reals(np.float32([2**53, np.inf, -np.inf])) == ["inf", "inf", "-inf"]
