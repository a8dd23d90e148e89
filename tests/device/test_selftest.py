"""The self-test finds what is wrong with a board, by the name of what is wrong, and goes on with the rest."""

import json
import re
import struct
import zlib
from dataclasses import dataclass, replace

import numpy as np
import pytest
from known_network import KNOWN, known_network

from tinynas.boards import Board, load_board
from tinynas.compiler import compile_network
from tinynas.deploy.build import build_selftest
from tinynas.device import selftest
from tinynas.device.emulator import EmulatedBoard
from tinynas.device.fake import FakeBoard, FakeStation, Fault, Mishap, greeting_of
from tinynas.device.messages import Request
from tinynas.device.selftest import PAYLOAD_BYTES, Known, Task, self_test
from tinynas.device.station import EmulatedStation
from tinynas.model.score import run_reference

INPUTS = np.random.default_rng(0).integers(-128, 128, (4, 100)).astype(np.int8)
INVERTED = Known(inputs=INPUTS, outputs=~INPUTS)
ROUND_S = 1e-6
HEALTHY = {
    "flashing": True,
    "flash": True,
    "SRAM": True,
    "fast memory": None,
    "stack": True,
    "clock": True,
    "sync pin": None,
    "kernels": True,
    "link": True,
}


class Clock:
    """The host's, as far as the self-test looks at it: only work takes time, so that a busy host changes nothing."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(selftest, "time", Clock())
    # Faults are waited for four times as long.
    monkeypatch.setattr(selftest, "_ANSWER_S", 1.0)
    monkeypatch.setattr("tinynas.device.client._BOOT_S", 1.0)
    return selftest.time


@dataclass
class Defects:
    """What is wrong with a board; as it stands, nothing."""

    flash: int = 0
    failed_words: int = 0
    missing_sram: int = 0
    stack: bool = True
    clock: float = 1.0
    kernels: int = 0
    echo: int = 0
    mishap: Mishap | None = None
    during: Task | None = None


class TriedBoard(FakeBoard):
    """Does what firmware/selftest does, on a chip with defects."""

    def __init__(self, board: Board, content: bytes, defects: Defects, clock: Clock) -> None:
        self._board, self._content, self._defects, self._clock = board, content, defects, clock
        self._ticks = self._stack = 0
        greeting = greeting_of(board, input_bytes=8 + PAYLOAD_BYTES, output_bytes=16 + PAYLOAD_BYTES)
        super().__init__(greeting, self._do, ticks=lambda: self._ticks)

    def _run(self, repeats: int) -> bytes:
        self._stack = 100
        super()._run(repeats)
        return struct.pack("<HII", repeats, self._stack, 100)

    def _misbehave(self, request):
        if request.type == Request.INPUT and self._defects.mishap and request.payload[4] == self._defects.during:
            self.mishaps.append(self._defects.mishap)
            self._defects.mishap = None
        return super()._misbehave(request)

    def _do(self, tensor: bytes) -> bytes:
        task, amount, payload = struct.unpack(f"<II{PAYLOAD_BYTES}s", tensor)
        values, answer, defects = [0] * 4, bytes(PAYLOAD_BYTES), self._defects
        match task:
            case Task.ECHO:
                answer = bytes([payload[0] ^ defects.echo]) + payload[1:]
            case Task.SPIN:
                self._clock.now += amount * ROUND_S
                self._ticks = 50 + int(amount * ROUND_S * self.greeting.ticks_hz * defects.clock)
            case Task.STACK:
                self._stack = 100 + amount * defects.stack
            case Task.SRAM:
                start = int(self._board.sram_start, 16) + 6000
                values = [start, self._board.sram_bytes - 6000 - defects.missing_sram, defects.failed_words, start + 8]
            case Task.FLASH:
                values[0] = zlib.crc32(self._content[:amount]) ^ defects.flash
            case Task.KERNELS:
                answer = bytes(byte ^ 0xFF for byte in payload[:-1]) + payload[-1:]
                answer = bytes([answer[0] ^ defects.kernels]) + answer[1:]
        return struct.pack(f"<4I{PAYLOAD_BYTES}s", *values, answer)


@pytest.fixture
def physical(emulated):
    return emulated.model_copy(update={"link": "serial", "emulator": None})


@pytest.fixture
def findings_of(physical, image, clock):
    """Try a board with these defects; what passed, and what was said, by what was tried."""
    boards = []

    def attempt(defects: Defects, *, speeds=(), flash_failures=0):
        whole = replace(image, binary=bytes(range(256)) * 8)
        board = TriedBoard(physical, whole.binary, defects, clock)
        boards.append(board)
        station = FakeStation("fake", physical, board)
        station.flash_failures = flash_failures
        others = {baud: replace(whole, build_id=f"{baud:032x}") for baud in speeds}
        told: list[str] = []
        findings = self_test(station, whole, INVERTED, others, told.append)
        assert told == [each.what for each in findings]
        assert station.history.count("flash") == 1 + len(speeds) + bool(speeds)
        return {each.what: each.passed for each in findings}, {each.what: each.said for each in findings}

    yield attempt
    for board in boards:
        board.close()


def test_a_healthy_board_passes_and_what_nothing_looks_at_is_left_open(findings_of):
    passed, said = findings_of(Defects())
    assert passed == HEALTHY
    assert said["sync pin"] == "no instrument looks at it: name one with --meter"
    assert said["SRAM"].startswith("125,072 of 131,072 B")
    assert "2,048 B read back" in said["flash"]
    assert said["clock"] == "the board's timer counted 2.000 s in 2.000 s of the host's (+0.00%)"


@pytest.mark.parametrize(
    ("what", "defects", "message"),
    [
        ("flash", Defects(flash=1), r"2,048 B read back with CRC-32 \w{8}, not"),
        ("SRAM", Defects(failed_words=3), r"3 of 2 x 31,268 words .* first at 0x20001778: are there 131,072 B"),
        ("SRAM", Defects(missing_sram=4096), "do not end where its manifest's SRAM ends"),
        ("stack", Defects(stack=False), "painting does not find what is used"),
        ("clock", Defects(clock=1.05), r"off by \+5\.0%, at most 3% are allowed: .* 168,000,000 Hz"),
        ("clock", Defects(clock=0.95), r"off by -5\.0%"),
        ("clock", Defects(clock=0), "the timer does not count time"),
        ("kernels", Defects(kernels=0x80), "input 0: 1 of 100 bytes are not tflite-micro's, first byte 0"),
        ("link", Defects(echo=4), "bytes came back as others"),
    ],
)
def test_a_defect_is_found_where_it_is_and_hides_nothing_else(findings_of, what, defects, message):
    passed, said = findings_of(defects)
    assert passed == HEALTHY | {what: False}
    assert re.search(message, said[what]), said[what]


def test_a_link_that_loses_frames_fails_though_every_byte_arrives(findings_of):
    # What is sent again is sent twice, so that three answers are those of two attempts.
    lossy = Defects(mishap=Mishap(fault=Fault.CORRUPT, request=Request.OUTPUT, times=3), during=Task.ECHO)
    passed, said = findings_of(lossy)
    assert passed == HEALTHY | {"link": False}
    assert said["link"].startswith("2 of 128 requests had to be sent again, at most 1% are allowed")


def test_one_frame_lost_is_no_broken_link(findings_of):
    once = Defects(mishap=Mishap(fault=Fault.CORRUPT, request=Request.OUTPUT), during=Task.ECHO)
    passed, said = findings_of(once)
    assert passed == HEALTHY
    assert "1 of 128 requests sent again" in said["link"]


@pytest.mark.parametrize(("during", "what"), [(Task.SRAM, "SRAM"), (Task.FLASH, "flash")])
def test_a_board_that_faults_in_a_memory_is_asked_about_its_size_and_tried_further(findings_of, during, what):
    reset = Mishap(fault=Fault.RESET, request=Request.RUN, times=4)
    passed, said = findings_of(Defects(mishap=reset, during=during))
    assert passed == HEALTHY | {what: False}
    assert f"B of {what} at 0x" in said[what]


def test_a_board_that_starts_again_in_between_fails(findings_of):
    passed, said = findings_of(Defects(mishap=Mishap(fault=Fault.RESET, request=Request.OUTPUT), during=Task.STACK))
    assert passed == HEALTHY | {"stack": False}
    assert said["stack"] == "the board started again (cause watchdog)"


def test_other_speeds_are_tried_with_images_of_their_own_and_the_first_image_comes_back(findings_of):
    passed, said = findings_of(Defects(), speeds=(57_600, 230_400))
    others = {"link at 57,600 Bd": True, "link at 230,400 Bd": True, "flashing again": True}
    assert passed == HEALTHY | others
    assert "emulated" not in said["link at 57,600 Bd"]


def test_a_board_that_cannot_be_flashed_is_not_tried(findings_of):
    passed, said = findings_of(Defects(), flash_failures=1)
    assert passed == {"flashing": False}
    assert "cannot be flashed" in said["flashing"]


def test_the_network_of_known_answers_is_the_one_that_its_script_writes():
    assert KNOWN.read_bytes() == known_network()


def test_every_output_of_known_answers_says_something():
    tflite = KNOWN.read_bytes()
    program = compile_network(tflite)
    inputs = np.random.default_rng(0).integers(-128, 128, (16, program.inputs_bytes)).astype(np.int8)
    outputs = run_reference(tflite, inputs)
    for values in np.split(outputs, np.cumsum([each.bytes for each in program.outputs])[:-1], axis=1):
        assert len(np.unique(values)) >= 40
    assert program.channels_left_out == 0


def tried_on_the_emulator(tmp_path, name="netduinoplus2", /, **changes):
    """What a chip of the usual size says of a manifest that promises something else."""
    manifest = json.loads(load_board(name).path.read_text())
    manifest["tinynas"] |= changes
    (tmp_path / f"{name}.json").write_text(json.dumps(manifest))
    board = load_board(name, tmp_path)
    tflite = KNOWN.read_bytes()
    program = compile_network(tflite, name="known", target=board.target)
    inputs = np.zeros((1, program.inputs_bytes), np.int8)
    known = Known(inputs=inputs, outputs=run_reference(tflite, inputs))
    image = build_selftest(board, program, tmp_path / "desk")
    (tmp_path / "board").mkdir()
    station = EmulatedStation(EmulatedBoard(board, tmp_path / "board"), board)
    assert station.claim()
    try:
        findings = self_test(station, image, known, {})
    finally:
        station.power_off()
        station.give_up()
    return {each.what: each.said for each in findings if each.passed is False}


def test_sram_that_the_chip_does_not_have_is_found(tmp_path):
    failed = tried_on_the_emulator(tmp_path, sram_bytes=262_144)
    assert list(failed) == ["SRAM"]
    assert "are there 262,144 B of SRAM at 0x20000000?" in failed["SRAM"]


def test_fast_memory_is_tried_and_one_that_the_chip_does_not_have_is_found(tmp_path):
    # The second 16 KB are the first once more: no address faults.
    memory = {"start": "0x01000000", "bytes": 32_768, "source": "a misread datasheet"}
    failed = tried_on_the_emulator(tmp_path, "mps2_an386", fast_memory=memory)
    assert list(failed) == ["fast memory"]
    assert (
        "words do not hold what is written to them, first at 0x01000000: are there 32,768 B of" in failed["fast memory"]
    )


def test_flash_that_the_chip_does_not_have_is_found(tmp_path):
    failed = tried_on_the_emulator(tmp_path, flash_bytes=4_194_304)
    assert list(failed) == ["flash"]
    assert "are there 4,194,304 B of flash at 0x08000000?" in failed["flash"]


def test_a_sync_pin_at_another_address_is_found(tmp_path):
    emulator = {"machine": "netduinoplus2", "icount_shift": 0, "sync_address": "0x40020C18"}
    failed = tried_on_the_emulator(tmp_path, emulator=emulator)
    assert failed == {"sync pin": "the sync pin was written 0 times in one inference, not twice"}
