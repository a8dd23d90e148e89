"""frames.c, compiled for the host with sanitizers, and frames.py against the same vectors and each other."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinynas.device.frames import MAX_PAYLOAD, Decoder, Frame, encode
from tinynas.paths import FIRMWARE

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "frames.json").read_text())
# Every run is a process, so there are few of them, each with many frames.
few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

frames = st.builds(
    Frame,
    type=st.integers(0, 0xFF),
    sequence=st.integers(0, 0xFFFF),
    run_id=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=64) | st.binary(min_size=235, max_size=260) | st.binary(min_size=MAX_PAYLOAD - 2),
).filter(lambda frame: len(frame.payload) <= MAX_PAYLOAD)


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for the host")
    program = tmp_path_factory.mktemp("frames") / "frames_host"
    sources = [Path(__file__).with_name("frames_host.c"), FIRMWARE / "src" / "frames.c"]
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
    subprocess.run([compiler, *flags, f"-I{FIRMWARE / 'src'}", *sources, "-o", program], check=True)
    return program


def decoded_in_c(program, stream: bytes) -> list[Frame]:
    answer = subprocess.run([program, "decode"], input=stream, capture_output=True, check=True)
    assert answer.stderr == b""
    found = []
    for line in answer.stdout.decode().splitlines():
        version, kind, sequence, run_id, payload = line.split(" ")
        found.append(
            Frame(
                version=int(version),
                type=int(kind),
                sequence=int(sequence),
                run_id=int(run_id),
                payload=bytes.fromhex(payload),
            )
        )
    return found


def encoded_in_c(program, frame: Frame) -> bytes:
    header = [str(frame.type), str(frame.sequence), str(frame.run_id)]
    answer = subprocess.run([program, "encode", *header], input=frame.payload, capture_output=True, check=True)
    assert answer.stderr == b""
    return answer.stdout


def decoded_in_python(stream: bytes) -> list[Frame]:
    return [item for item in Decoder().feed(stream) if isinstance(item, Frame)]


def frame_of(vector) -> Frame:
    fields = {name: vector[name] for name in ("type", "sequence", "run_id")}
    return Frame(**fields, payload=bytes.fromhex(vector["payload"]))


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=lambda vector: vector["what"])
def test_both_write_and_read_the_same_bytes(program, vector):
    frame, encoded = frame_of(vector), bytes.fromhex(vector["encoded"])
    assert encode(frame) == encoded
    assert encoded_in_c(program, frame) == encoded
    assert decoded_in_python(encoded) == [frame]
    assert decoded_in_c(program, encoded) == [frame]


@pytest.mark.parametrize("vector", VECTORS["rejected"], ids=lambda vector: vector["what"])
def test_neither_takes_it_for_a_frame(program, vector):
    stream = bytes.fromhex(vector["bytes"])
    assert decoded_in_python(stream) == []
    assert decoded_in_c(program, stream) == []


@pytest.mark.parametrize("vector", VECTORS["streams"], ids=lambda vector: vector["what"])
def test_both_find_the_frames_in_a_stream(program, vector):
    stream = bytes.fromhex(vector["bytes"])
    found = decoded_in_python(stream)
    assert len(found) == vector["frames"]
    assert decoded_in_c(program, stream) == found


@few
@given(st.lists(frames, min_size=1, max_size=20))
def test_the_board_reads_what_the_host_writes(program, sent):
    assert decoded_in_c(program, b"".join(map(encode, sent))) == sent


@few
@given(frames)
def test_the_host_reads_what_the_board_writes(program, frame):
    assert encoded_in_c(program, frame) == encode(frame)


@few
@given(st.lists(frames, min_size=1, max_size=10), st.data())
def test_both_find_the_same_frames_in_a_damaged_stream(program, sent, data):
    stream = bytearray(b"".join(map(encode, sent)))
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(stream) - 1))
        match data.draw(st.sampled_from(["flip", "drop", "insert"])):
            case "flip":
                stream[position] ^= data.draw(st.integers(1, 255))
            case "drop" if len(stream) > 1:
                del stream[position]
            case "insert":
                stream.insert(position, data.draw(st.integers(0, 255)))
    assert decoded_in_c(program, bytes(stream)) == decoded_in_python(bytes(stream))


@few
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_garbage_is_never_a_frame_and_never_leaves_the_buffer(program, pieces):
    assert decoded_in_c(program, b"\0".join(pieces)) == []
