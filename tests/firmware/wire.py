"""The wire between the real host (tinynas/device) and the real firmware, compiled for this machine, and its faults."""

import ctypes
import random
import shutil
import struct
import subprocess
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import serial
from cobs import cobs

from tinynas.device.client import Client
from tinynas.device.frames import Decoder, Frame
from tinynas.errors import LinkError
from tinynas.paths import FIRMWARE

HOST = Path(__file__).with_name("host")
INCLUDES = [f"-I{HOST}", f"-I{FIRMWARE / 'src'}", f"-I{FIRMWARE / 'lib'}"]
SOURCES = [
    HOST / "board.c",
    HOST / "sensors.c",
    FIRMWARE / "src" / "frames.c",
    FIRMWARE / "src" / "networks.c",
    FIRMWARE / "src" / "requests.c",
    FIRMWARE / "src" / "sensor.c",
]
FLAGS = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", '-DTN_BOARD_NAME="host"', *INCLUDES]
TENSOR_BYTES = 16
# The board's other network gives every other byte of its input.
LONG_SHA256 = bytes([9, 9]).ljust(32, b"\0")
LONG_BYTES = 4000
LOG = b"\r\n[17.3] adc: 0x8f, 21.5 C\r\n"


def build_board(folder: Path) -> ctypes.CDLL:
    """The firmware as a library. Raises FileNotFoundError: there is no C compiler."""
    library = folder / "board.so"
    compiler = shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("no C compiler for the host")
    subprocess.run([compiler, *FLAGS, "-shared", "-fPIC", *map(str, SOURCES), "-lm", "-o", library], check=True)
    board = ctypes.CDLL(str(library))
    for function in (board.tn_board_feed, board.tn_board_frames_in):
        function.restype = ctypes.c_size_t
    board.tn_board_feed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    board.tn_sensors_now_us.restype = ctypes.c_double
    board.tn_sensors_elapse.argtypes = [ctypes.c_double, ctypes.c_bool]
    board.tn_sensors_attach.argtypes = [ctypes.c_int, ctypes.c_uint8, *[ctypes.c_double] * 4]
    board.tn_sensors_change.argtypes = [ctypes.c_double] * 4
    board.tn_board_frames_in.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return board


def build_fuzzer(folder: Path) -> Path:
    """The firmware's parser behind libFuzzer, with sanitizers. Raises FileNotFoundError: there is no Clang."""
    compiler = shutil.which("clang")
    if compiler is None:
        raise FileNotFoundError("no clang")
    program = folder / "fuzz"
    sanitizers = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    command = [compiler, *FLAGS, *sanitizers, *map(str, SOURCES), str(HOST / "fuzz.c"), "-lm", "-o", program]
    subprocess.run(command, check=True)
    return program


def fuzz(program: Path, inputs: int, corpus: Path, seed: int) -> str:
    """Run so many inputs from `corpus` on; returns what libFuzzer said. Raises CalledProcessError: a report."""
    arguments = [f"-runs={inputs}", "-max_len=4096", f"-seed={seed}", f"-artifact_prefix={corpus.parent}/"]
    command = [str(program), *arguments, "-print_final_stats=1", str(corpus)]
    return subprocess.run(command, capture_output=True, check=True, errors="backslashreplace").stderr


class Noise:
    """Damages what passes: at `rate` faults a byte, a byte has a bit flipped, is dropped or doubled, or all after it is
    cut off. Between frames come log text and garbage.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self.faults: Counter[str] = Counter()
        self._rate = rate
        self._random = random.Random(seed)
        self._left = self._gap()

    def carry(self, data: bytes) -> bytes:
        """What arrives of one frame."""
        between = self._random.random()
        if between < 0.05:
            self.faults["log text"] += 1
            data = LOG + data
        elif between < 0.1:
            self.faults["garbage"] += 1
            data = self._random.randbytes(self._random.randrange(1, 40)) + data
        if self._left > len(data):
            self._left -= len(data)
            return data
        damaged = bytearray()
        for byte in data:
            self._left -= 1
            if self._left > 0:
                damaged.append(byte)
                continue
            self._left = self._gap()
            match self._random.choice(("flip", "drop", "double", "cut")):
                case "flip":
                    self.faults["bit flipped"] += 1
                    damaged.append(byte ^ 1 << self._random.randrange(8))
                case "drop":
                    self.faults["byte dropped"] += 1
                case "double":
                    self.faults["byte doubled"] += 1
                    damaged += bytes([byte, byte])
                case "cut":
                    self.faults["frame cut off"] += 1
                    return bytes(damaged)
        return bytes(damaged)

    def _gap(self) -> int:
        """Bytes up to and with the next fault."""
        return 1 + int(self._random.expovariate(self._rate)) if self._rate else 1 << 62


class NoisyLine:
    """pyserial's port to a board, with noise both ways. What the board says passes frame by frame, and what ends no
    frame when the board has stopped talking.
    """

    def __init__(self, port: Any, noise: Noise) -> None:
        self.in_waiting = 0
        self._port = port
        self._noise = noise
        self._said = bytearray()
        self._received = bytearray()
        # The link closes a socket itself.
        self._socket = getattr(port, "_socket", None)

    def write(self, data: bytes) -> None:
        self._port.write(self._noise.carry(data))

    def read(self, size: int) -> bytes:
        if not self._received:
            new = self._port.read(max(1, self._port.in_waiting))
            self._said += new
            if self._said and (not new or (self._said.endswith(b"\0") and self._said.strip(b"\0"))):
                self._received += self._noise.carry(bytes(self._said))
                self._said.clear()
        data = bytes(self._received[:size])
        del self._received[:size]
        self.in_waiting = len(self._received)
        return data

    def close(self) -> None:
        self._port.close()


class NoisyPort:
    """Stands for pyserial's port: what is written reaches the board at once, through noise both ways. Waiting for an
    answer that does not come takes `now` forward instead of time.
    """

    def __init__(self, board: ctypes.CDLL, noise: Noise) -> None:
        self.now = 0.0
        self.in_waiting = 0
        self._board = board
        self._noise = noise
        self._received = bytearray()
        self._room = ctypes.create_string_buffer(1 << 16)

    def write(self, data: bytes) -> None:
        arrived = self._noise.carry(data)
        size = self._board.tn_board_feed(arrived, len(arrived), self._room, len(self._room))
        if size:
            self._received += self._noise.carry(self._room.raw[:size])
        self.in_waiting = len(self._received)

    def read(self, size: int) -> bytes:
        if not self._received:
            self.now += 0.02
        data = bytes(self._received[:size])
        del self._received[:size]
        self.in_waiting = len(self._received)
        return data

    def close(self) -> None:
        pass


@dataclass
class Delivery:
    """resends: how often a request had to be sent again until its answer came -> how many; lost: requests without an
    answer after all resends; figures: what was asked for by them, and of it wrong: accepted and not the board's;
    missing: given up.
    """

    resends: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    figures: int = 0
    wrong: int = 0
    missing: int = 0

    @property
    def requests(self) -> int:
        return sum(self.resends.values()) + self.lost


@contextmanager
def connected(port: NoisyPort, delivery: Delivery) -> Iterator[Client]:
    """The real client on `port`, in the port's time; what becomes of its requests is added to `delivery`."""
    clock = SimpleNamespace(monotonic=lambda: port.now)
    with patch("tinynas.device.link.time", clock), patch("serial.serial_for_url", lambda *_, **__: port):
        client = Client("noisy")
    with patch("tinynas.device.link.time", clock), counted(client, delivery):
        yield client


@contextmanager
def connected_to(url: str, noise: Noise, delivery: Delivery) -> Iterator[Client]:
    """The real client on a board at `url`, through noise; what becomes of its requests is added to `delivery`."""
    port = serial.serial_for_url(url, timeout=0.02)
    with patch("serial.serial_for_url", lambda *_, **__: NoisyLine(port, noise)):
        client = Client(url)
    with client, counted(client, delivery):
        yield client


@contextmanager
def counted(client: Client, delivery: Delivery) -> Iterator[None]:
    """Add to `delivery` what becomes of the client's requests meanwhile."""
    link = client._link
    exchange = link.exchange

    def counting(*args: object, **kwargs: object) -> Frame:
        before = link.resent
        try:
            answer = exchange(*args, **kwargs)
        except LinkError:
            delivery.lost += 1
            raise
        delivery.resends[link.resent - before] += 1
        return answer

    with patch.object(link, "exchange", counting):
        yield


def inference(tensor: bytes) -> tuple[int, bytes]:
    """What the board's network makes of an input: the time that it pretends to take, and the output."""
    output = bytes((3 * byte + index) & 0xFF for index, byte in enumerate(tensor))
    return zlib.crc32(output) >> 1, output


def exchange(board: ctypes.CDLL, count: int, rate: float, seed: int) -> tuple[Delivery, Counter[str]]:
    """At least `count` figures, each by a request or two: new input, one inference, its time, its output, and so on.

    Returns:
        What became of them, and what faults there were.
    """
    board.tn_board_power_on()
    noise, delivery = Noise(rate, seed), Delivery()
    with connected(NoisyPort(board, noise), delivery) as client:
        ask_figures(client, delivery, count, random.Random(seed + 1), inference, used_bytes=200)
    return delivery, noise.faults


def ask_figures(
    client: Client,
    delivery: Delivery,
    count: int,
    draw: random.Random,
    network: Callable[[bytes], tuple[int, bytes]],
    *,
    used_bytes: int,
    interrupts: tuple[int, int] = (0, 0),
) -> None:
    """Ask for `count` figures and compare them with the ticks and the output that `network` says, and with the stack
    that it uses. `interrupts`: how many ticks and bytes of stack more those of a request take that comes meanwhile.
    """
    late, deeper = interrupts
    while delivery.figures < count:
        tensor = draw.randbytes(TENSOR_BYTES)
        ticks, output = network(tensor)
        steps: tuple[tuple[Callable[[], Any], Callable[[Any], bool]], ...] = (
            (lambda tensor=tensor: client.load(tensor), lambda got: got is None),
            (lambda: client.run(1, answer_s=0.1).used_bytes, lambda got: 0 <= got - used_bytes <= deeper),
            (lambda: client.ticks(1), lambda got, ticks=ticks: len(got) == 1 and 0 <= got[0] - ticks <= late),
            (lambda: client.output(TENSOR_BYTES), lambda got, output=output: got == output),
        )
        for ask, is_right in steps:
            delivery.figures += 1
            try:
                delivery.wrong += not is_right(ask())
            except LinkError:
                delivery.missing += 1
                break


def exchange_long(board: ctypes.CDLL, count: int, rate: float, seed: int) -> tuple[Delivery, Counter[str]]:
    """`count` tensors of several frames to the board, and as many back. Each pair has a link of its own, because the
    host opens one for every measurement. Returns as `exchange`; a tensor is a figure.
    """
    board.tn_board_power_on()
    noise, delivery, draw = Noise(rate, seed), Delivery(), random.Random(seed + 1)
    for _ in range(count):
        tensor = draw.randbytes(LONG_BYTES)
        delivery.figures += 2
        with connected(NoisyPort(board, noise), delivery) as client:
            try:
                client.select(LONG_SHA256)
                client.load(tensor)
                client.run(1, answer_s=0.1)
                output = client.output(LONG_BYTES // 2)
            except LinkError:
                delivery.missing += 2
            else:
                delivery.wrong += output != tensor[::2]
    return delivery, noise.faults


def garbage(count: int, seed: int) -> Iterator[bytes]:
    """`count` segments in streams of 1000, each between zero bytes: half of them random bytes, half well stuffed bodies
    of a frame's length with a header that could be one and a random CRC.
    """
    draw = random.Random(seed)
    for start in range(0, count, 1000):
        stream = bytearray(b"\0")
        for number in range(start, min(start + 1000, count)):
            if number % 2:
                stream += draw.randbytes(draw.randrange(1, 64)).replace(b"\0", b"\1")
            else:
                header = struct.pack(
                    "<BBHI", 1, 0x80 | draw.randrange(1, 7), draw.randrange(1 << 16), draw.getrandbits(32)
                )
                stream += cobs.encode(header + draw.randbytes(4 + draw.randrange(0, 48)))
            stream.append(0)
        yield bytes(stream)


def frames_in_garbage(board: ctypes.CDLL, count: int, seed: int) -> tuple[int, int]:
    """How many of `count` garbage frames the host and the board take for frames."""
    decoder, host, in_c = Decoder(), 0, 0
    for stream in garbage(count, seed):
        host += sum(isinstance(item, Frame) for item in decoder.feed(stream))
        in_c += board.tn_board_frames_in(stream, len(stream))
    return host, in_c
