"""The exported benchmark of MLPerf Tiny on emulated boards, driven as its runner drives it, and what is refused."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import serial
from benchmark_networks import autoencoder, classifier, with_vector
from mixed_ends import mixed_ends
from platformio.project.config import ProjectConfig
from typer.testing import CliRunner

from tinynas.boards import Vendor, board_names, load_board
from tinynas.cli import app
from tinynas.compiler import compile_network
from tinynas.deploy.store import core_folder, environment, prepare_core
from tinynas.device.emulator import EmulatedBoard, qemu
from tinynas.errors import ConfigError, LimitError
from tinynas.paths import FIRMWARE
from tinynas.study.export_mlperf import BENCHMARKS

SHARED = Path(__file__).parents[2].parent / "shared" / "models"
REFERENCE = {"kws01": "kws", "vww01": "vww", "ic01": "ic", "ad01": "ad", "strww01": "sww"}
ANSWER_S = 60.0


class Runner:
    """Drives a board as mlcommons/tiny's benchmark/runner does: a command, then lines until one has m-ready in it."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port
        self._port.timeout = 2.0
        # The board may still be starting, and say so.
        while self._port.write(b"name%") and not any(b"m-name-" in line for line in self._port):
            pass
        assert self._port.readline() == b"m-ready\r\n"
        self._port.timeout = ANSWER_S

    def send(self, command: str) -> list[str]:
        self._port.write(f"{command}%".encode())
        lines: list[str] = []
        while "m-ready" not in (lines[-1:] or [""])[0]:
            line = self._port.readline()
            assert line.endswith(b"\r\n"), f"no whole line after {command!r}: {lines}, {line!r}"
            lines.append(line.decode("ascii").rstrip("\r\n"))
        return lines[:-1]

    def load(self, data: bytes, size: int = 31) -> list[str]:
        said = self.send(f"db load {len(data)}")
        for at in range(0, len(data), size):
            said += self.send(f"db {data[at : at + size].hex()}")
        return said


@pytest.fixture(scope="session")
def pio_run(run, need):
    """pio_run(folder, environment) builds as a user would, and gives the folder with the image."""

    def build(folder, name):
        prepare_core(core_folder())
        command = [sys.executable, "-P", "-m", "platformio", "run", "-e", name]
        run(command, folder, env=environment(core_folder()))
        return folder / ".pio" / "build" / name

    return build


@contextmanager
def powered(board, folder, built):
    """The emulated board with the image in `built`, and a Runner on its port."""
    (folder / "flash.bin").write_bytes((built / "firmware.bin").read_bytes())
    emulated = EmulatedBoard(board, folder)
    emulated.power_on()
    try:
        with serial.serial_for_url(emulated.url, timeout=ANSWER_S) as port:
            yield SimpleNamespace(runner=Runner(port), emulated=emulated, elf=built / "firmware.elf")
    finally:
        emulated.power_off()


@pytest.fixture(scope="session")
def runner_on(tmp_path_factory, exported, pio_run, need):
    """runner_on(network, benchmark, board) builds an export and gives the board that runs it, with a Runner."""

    @contextmanager
    def running(network, name, board_name="netduinoplus2", environment_name=None):
        board = load_board(board_name)
        need(f"{board.toolchain}-gcc")
        folder = tmp_path_factory.mktemp("a runner") / "out"
        exported(network, folder, "mlperf", name=name, board=board)
        with powered(board, folder, pio_run(folder, environment_name or board_name)) as running:
            yield running

    return running


def results_of(lines: list[str]) -> list[str]:
    (line,) = [line for line in lines if line.startswith("m-results-")]
    matched = re.fullmatch(r"m-results-\[([^]]+)\]", line)
    return matched[1].split(",")


def laps_of(lines: list[str]) -> list[int]:
    return [int(line.removeprefix("m-lap-us-")) for line in lines if line.startswith("m-lap-us-")]


def as_loaded(name: str, inputs: np.ndarray, scale: float, zero_point: int) -> bytes:
    """A file that the board makes `inputs` of."""
    if name == "ad01":
        return bytes((np.float32(scale) * (inputs.astype(np.float32) - zero_point)).astype("<f4").tobytes())
    return bytes((inputs.view(np.uint8) ^ 0x80 if name in ("ic01", "vww01") else inputs).tobytes())


@pytest.mark.parametrize(
    ("name", "board_name"), [*((name, "netduinoplus2") for name in BENCHMARKS), ("kws01", "mps3_an547")]
)
def test_the_runner_reads_the_reference_networks_results_from_a_board(name, board_name, runner_on):
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent")
    path = SHARED / f"{REFERENCE[name]}.tflite"
    inputs, outputs = (np.fromfile(path.with_suffix(f".{end}.bin"), np.int8) for end in ("in", "out"))
    tflite = path.read_bytes()
    (source,), (result,) = (ends for program in [compile_network(tflite)] for ends in (program.inputs, program.outputs))
    loaded = as_loaded(name, inputs, source.scale, source.zero_point)
    values = np.float32(result.scale) * (outputs.astype(np.float32) - result.zero_point)
    network = SimpleNamespace(tflite=tflite, inputs=inputs.tobytes(), outputs=outputs.tobytes(), arena_bytes=1)
    with runner_on(network, name, board_name) as board:
        runner = board.runner
        assert runner.send("name") == ["m-name-dut-[tinynas]"]
        assert runner.send("profile") == ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", f"m-model-[{name}]"]
        assert runner.load(loaded) == [f"m-[Expecting {len(loaded)} bytes]", "m-load-done"]
        said = runner.send("infer 2 1")
        kinds = [re.sub(r"(?<=us-)\d+|(?<=\[).*(?=\])", "", line) for line in said]
        assert kinds == [
            *("m-warmup-start-1", "m-warmup-done", "m-infer-start-2"),
            *("m-lap-us-", "m-lap-us-", "m-infer-done", "m-results-[]"),
        ]
        start, end = laps_of(said)
        assert start < end
        if name == "ad01":
            error = np.mean((values - np.frombuffer(loaded, "<f4")) ** 2)
            assert float(results_of(said)[0]) == pytest.approx(error, abs=0.002)
        else:
            assert results_of(said) == [f"{value:.3f}" for value in values.tolist()]
        assert results_of(runner.send("results")) == results_of(said)
        assert runner.send("db print 9 0") == [f"m-buffer-{loaded[:8].hex('-')}", f"m-buffer-{loaded[8:9].hex()}"]


def refused_commands(size: int) -> list[str]:
    """What the reference firmware takes, ignores, or writes beyond its buffer for."""
    return [
        *("db", "db load", "db load 0", "db load -5", "db load 0x10", f"db load {size + 1}", "db load 99999999999"),
        *(
            "db print",
            "db 00",
            "infer 0",
            "infer -1 0",
            "infer 1 -1",
            "infer 1 0",
            "infer 1 0 0",
            "results",
            "nonsense",
        ),
        *("db load 8 8", "name dut", "x" * 500, "db " + "00" * 60, "\x01\x7f\xff[]"),
    ]


def misuse(runner: Runner, size: int, commands: Iterable[str]) -> None:
    for command in commands:
        (said,) = runner.send(command)
        assert re.fullmatch(r"e-\[[ -~]+\]", said), (command, said)
    assert runner.send("") == []
    runner.send("db load 8")
    assert runner.send("db 0102030405060708090a") == ["m-load-done", "e-[2 bytes are too many: 8 bytes are loaded]"]
    for _ in range(3):
        (said,) = runner.send("db " + "ff" * 38)
        assert said == "e-[38 bytes are too many: 8 bytes are loaded]"
    assert runner.send("db print") == ["m-buffer-01-02-03-04-05-06-07-08"]
    assert runner.send("db print 3 2") == ["m-buffer-03-04-05"]
    assert runner.send("db print 3 6") == ["e-[Bytes to print end at 9 of 8 that are loaded]"]
    assert runner.send("db 0g")[0].startswith("e-[")
    assert runner.send("infer 1 0") == [f"e-[Input db has 8 bytes, expected {size}]"]


# simavr's link takes half a second for an answer.
@pytest.mark.parametrize(
    ("board_name", "commands"),
    [
        ("netduinoplus2", refused_commands(490)),
        ("sifive_e", refused_commands(490)),
        ("arduino_mega2560", ["db load 491", "db 00", "infer 1 0", "x" * 500]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_board_refuses_what_it_cannot_do_and_then_runs_its_network(board_name, commands, runner_on):
    tflite = classifier(490, 4)
    network = with_vector(tflite)
    (result,) = compile_network(tflite).outputs
    values = np.float32(result.scale) * (np.frombuffer(network.outputs, np.int8).astype(np.float32) - result.zero_point)
    with runner_on(network, "kws01", board_name) as board:
        runner = board.runner
        misuse(runner, 490, commands)
        assert runner.send("help")[0] == "ULPMark for tinyML Firmware V0.0.1"
        runner.load(bytes(490), size=38)
        said = runner.send("infer 3")
        assert said[0] == "m-warmup-start-10"
        assert results_of(said) == [f"{value:.3f}" for value in values.tolist()]
        first, second = (laps_of(runner.send("timestamp")) for _ in range(2))
        assert laps_of(said)[-1] <= first[0] <= second[0]


def test_a_timed_inference_takes_as_long_as_the_boards_clock_says(runner_on):
    with runner_on(with_vector(classifier(490, 12)), "kws01") as board:
        board.runner.load(bytes(490))
        few, many = (laps_of(board.runner.send(f"infer {count} 0")) for count in (100, 1000))
        assert (many[1] - many[0]) / (few[1] - few[0]) == pytest.approx(10, rel=0.02)


def test_in_energy_mode_the_sync_pin_brackets_the_inferences(runner_on):
    with runner_on(with_vector(classifier(490, 12)), "kws01", environment_name="netduinoplus2_energy") as board:
        runner = board.runner
        runner.load(bytes(490), size=26)
        board.emulated.counter.take()
        executed = []
        for count in (1, 5):
            said = runner.send(f"infer {count} 2")
            assert not laps_of(said)
            assert results_of(said)
            _, first, between, second = (interval.cycles for interval in board.emulated.counter.take())
            # A microsecond of the board's 168 MHz at least, while the pin is low.
            assert min(first, second) > 168
            executed.append(between)
        assert executed[1] / executed[0] == pytest.approx(5, rel=0.05)


def test_the_boards_baud_rates_are_those_of_the_runner(exported, tmp_path):
    exported(with_vector(classifier(490, 12)), tmp_path / "out", "mlperf", board=load_board("netduinoplus2"))
    config = ProjectConfig(str(tmp_path / "out" / "platformio.ini"))
    config.validate()
    assert config.envs() == ["netduinoplus2", "netduinoplus2_energy"]
    assert [config.get(f"env:{name}", "board_tinynas.baud") for name in config.envs()] == ["115200", "9600"]


def test_the_runner_drives_the_board_through_a_pseudo_terminal(runner_on):
    with runner_on(with_vector(autoencoder(640)), None) as board:
        machine = load_board("netduinoplus2").emulator.machine
        options = ["-nodefaults", "-display", "none", "-serial", "pty"]
        command = [qemu(), "-machine", machine, *options, "-kernel", board.elf]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
            try:
                path = re.search(r"/dev/pts/\d+", process.stdout.readline())
                with serial.Serial(path[0], 115200, timeout=ANSWER_S) as port:
                    runner = Runner(port)
                    assert runner.send("profile")[1] == "m-model-[ad01]"
                    assert runner.load(bytes(2560))[-1] == "m-load-done"
                    assert len(results_of(runner.send("infer 1 0"))) == 1
            finally:
                process.kill()


@pytest.mark.parametrize("board_name", [name for name in board_names() if load_board(name).vendor])
def test_a_vendors_board_gets_a_project_for_its_platform_with_both_modes(board_name, exported, tmp_path):
    board = load_board(board_name)
    exported(with_vector(classifier(490, 12)), tmp_path / "out", "mlperf", board=board)
    config = ProjectConfig(str(tmp_path / "out" / "platformio.ini"))
    config.validate()
    performance, energy = (f"env:{name}" for name in config.envs())
    for section in (performance, energy):
        assert config.get(section, "platform") == board.vendor.platform
        assert config.get(section, "board") == board.vendor.board
        assert config.get(section, "framework") == ["arduino"]
        assert config.get(section, "build_src_filter") == ["+<*> +<../firmware/src/*>"]
    assert "-DTN_BAUD=115200" in " ".join(config.get(performance, "build_flags"))
    assert "-DTN_BAUD=9600 -DTN_ENERGY_MODE=1" in " ".join(config.get(energy, "build_flags"))
    firmware = {path.name for path in (tmp_path / "out" / "firmware" / "src").iterdir()}
    assert firmware == {"port.h", "stack.h", "port_arduino.cpp"}


def test_a_vendors_project_builds_and_runs_with_the_arduino_core_that_is_here(exported, tmp_path, pio_run, need):
    need("avr-gcc")
    board = load_board("arduino_mega2560")
    vendor = Vendor(platform="atmelavr", board="megaatmega2560", source="a test")
    network, folder = with_vector(classifier(490, 4)), tmp_path / "out"
    exported(network, folder, "mlperf", board=board.model_copy(update={"vendor": vendor}))
    # Our own platform in the place of the vendor's, which cannot be fetched; it has no firmware beside it to build.
    shutil.copytree(FIRMWARE / "platform", tmp_path / "vendor" / "platform")
    (tmp_path / "vendor" / "src").mkdir()
    settings = (folder / "platformio.ini").read_text()
    for theirs, ours in {
        "platform = atmelavr": f"platform = symlink://{tmp_path / 'vendor' / 'platform'}",
        "board = megaatmega2560": "board = arduino_mega2560",
        "framework = arduino": "lib_ldf_mode = off",
        "[platformio]": f"[platformio]\nboards_dir = {board.path.parent}\nplatforms_dir = .pio/platforms",
    }.items():
        assert theirs in settings
        settings = settings.replace(theirs, ours)
    (folder / "platformio.ini").write_text(settings)
    (folder / "src" / "networks.ld").touch()
    with powered(board, folder, pio_run(folder, board.name)) as running:
        running.runner.load(bytes(490), size=38)
        assert len(results_of(running.runner.send("infer 1 0"))) == 4


@pytest.mark.parametrize("board_name", [name for name in board_names() if load_board(name).emulator])
def test_the_firmware_builds_for_every_emulated_board(board_name, board_of_the_day, exported, tmp_path, pio_run, need):
    board = load_board(board_of_the_day(board_name))
    need(f"{board.toolchain}-gcc")
    exported(with_vector(classifier(490, 4)), tmp_path / "out", "mlperf", board=board)
    for name in (board_name, f"{board_name}_energy"):
        assert (pio_run(tmp_path / "out", name) / "firmware.bin").is_file()


def test_a_file_becomes_a_benchmark_on_the_command_line(tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(classifier(490, 12))
    for name in ([], ["--name", "kws01"]):
        output = ["--output", str(tmp_path / "out"), "--force", "--json"]
        result = CliRunner().invoke(app, ["export", str(model), "--to", "mlperf", *name, *output])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["name"] == "kws01"
        assert '#define TN_MODEL "kws01"' in (tmp_path / "out" / "src" / "model.h").read_text()


def test_a_benchmark_that_does_not_exist_is_refused_before_any_work(tmp_path):
    model = tmp_path / "absent.tflite"
    result = CliRunner().invoke(app, ["export", str(model), "--to", "mlperf", "--name", "kws02"])
    assert isinstance(result.exception, ConfigError)
    assert "'kws02' is no benchmark of MLPerf Tiny: did you mean kws01" in str(result.exception)


@pytest.mark.parametrize(
    ("tflite", "name", "said"),
    [
        (classifier(64, 10), "ic01", "the network takes 64 values, an input of ic01 has 3,072"),
        (classifier(64, 10), None, r"the network takes 64 values, a benchmark of MLPerf Tiny has 490 \(kws01\)"),
        (autoencoder(640, 64), "ad01", "the network gives 64 values, ad01 compares them with the 640 of its input"),
        (mixed_ends(), "kws01", "loads one int8 input and reads one int8 output, the network has"),
    ],
    ids=["another size", "no benchmark's size", "no autoencoder", "several inputs"],
)
def test_a_network_that_does_not_fit_the_benchmark_is_refused_with_both_numbers(tflite, name, said, tmp_path, exported):
    with pytest.raises(ConfigError, match=said):
        exported(with_vector(tflite), tmp_path / "out", "mlperf", name=name, board=load_board("netduinoplus2"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("tflite", "board_name", "said"),
    [
        (
            classifier(27_648, 2),
            "sifive_e",
            r"needs [\d,]+ B of SRAM at least, .* sifive_e has 16,384",
        ),
        (classifier(3_072, 100), "arduino_mega2560", r"needs 307,\d+ B of flash .* arduino_mega2560 has 262,144"),
    ],
    ids=["SRAM", "flash"],
)
def test_a_board_without_the_memory_is_refused_with_both_numbers(tflite, board_name, said, tmp_path, exported):
    with pytest.raises(LimitError, match=said):
        exported(with_vector(tflite), tmp_path / "out", "mlperf", board=load_board(board_name))
    assert not list(tmp_path.iterdir())
