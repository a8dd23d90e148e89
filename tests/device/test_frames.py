import json
import struct
import zlib
from pathlib import Path

import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from tinynas.device.frames import MAX_PAYLOAD, Decoder, Frame, LogLine, encode

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "frames.json").read_text())

frames = st.builds(
    Frame,
    type=st.integers(0, 0xFF),
    sequence=st.integers(0, 0xFFFF),
    run_id=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=64) | st.binary(min_size=MAX_PAYLOAD - 2, max_size=MAX_PAYLOAD),
)


def decode(data: bytes) -> list[Frame | LogLine]:
    return Decoder().feed(data)


def frames_in(data: bytes) -> list[Frame]:
    return [item for item in decode(data) if isinstance(item, Frame)]


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=lambda vector: vector["what"])
def test_the_vectors_that_the_firmware_shares_are_read_and_written_alike(vector):
    fields = {name: vector[name] for name in ("type", "sequence", "run_id")}
    frame = Frame(**fields, payload=bytes.fromhex(vector["payload"]))
    assert encode(frame).hex() == vector["encoded"]
    assert decode(bytes.fromhex(vector["encoded"])) == [frame]


@pytest.mark.parametrize("vector", VECTORS["rejected"], ids=lambda vector: vector["what"])
def test_what_the_firmware_takes_for_no_frame_is_none(vector):
    assert frames_in(bytes.fromhex(vector["bytes"])) == []


@pytest.mark.parametrize("vector", VECTORS["streams"], ids=lambda vector: vector["what"])
def test_as_many_frames_are_found_in_a_stream_as_the_firmware_finds(vector):
    assert len(frames_in(bytes.fromhex(vector["bytes"]))) == vector["frames"]


@given(frames)
def test_what_is_encoded_is_decoded(frame):
    assert decode(encode(frame)) == [frame]


@given(frames)
def test_a_frame_holds_no_zero_byte_between_its_delimiters(frame):
    data = encode(frame)
    assert data[0] == data[-1] == 0
    assert 0 not in data[1:-1]


@given(st.lists(frames, max_size=4), st.data())
def test_the_pieces_in_which_bytes_arrive_do_not_matter(sent, data):
    stream = b"".join(map(encode, sent))
    decoder, received = Decoder(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        received += decoder.feed(stream[:size])
        stream = stream[size:]
    assert received == sent


@given(st.binary(max_size=3000), frames)
def test_a_frame_is_recognised_whatever_went_before_it(garbage, frame):
    assert frames_in(garbage + encode(frame))[-1] == frame


@given(frames, frames)
def test_a_frame_cut_short_does_not_take_the_next_one_along(first, second):
    data = encode(first)
    for cut in {1, len(data) // 2, len(data) - 1}:
        assert frames_in(data[:cut] + encode(second))[-1] == second


@given(frames, st.data())
def test_one_corrupt_byte_never_yields_a_wrong_frame(frame, data):
    sent = bytearray(encode(frame))
    position = data.draw(st.integers(0, len(sent) - 1))
    sent[position] ^= data.draw(st.integers(1, 255))
    assert all(received == frame for received in frames_in(bytes(sent)))


@given(st.binary(max_size=200))
def test_garbage_is_never_a_frame(garbage):
    assert frames_in(b"\0" + garbage + b"\0") == []


def test_text_around_frames_is_log():
    frame = Frame(type=0x81, sequence=7, run_id=9, payload=b"x")
    assert decode(b"booting\r\nclock 168 MHz\n" + encode(frame) + b"done\n\0") == [
        LogLine(text="booting"),
        LogLine(text="clock 168 MHz"),
        frame,
        LogLine(text="done"),
    ]


def test_log_text_cannot_reach_the_terminals_controls():
    assert decode(b"\x1b[2J\x07 \xc2\x9b\0") == [LogLine(text="\\x1b[2J\\x07 \\xc2\\x9b")]


def test_text_without_end_is_passed_on_and_never_piles_up():
    decoder, text = Decoder(), []
    for _ in range(1000):
        text += decoder.feed(b"x" * 997)
        assert len(decoder.pending) < 1300
    text += decoder.feed(b"\0")
    assert sum(len(line.text) for line in text) == decoder.stray_bytes == 997_000
    assert max(len(line.text) for line in text) <= 240


@pytest.mark.parametrize("size", [MAX_PAYLOAD + 1, 4 * MAX_PAYLOAD])
def test_a_frame_longer_than_the_protocol_allows_is_no_frame(size):
    body = struct.pack("<BBHI", 1, 0x81, 1, 1) + bytes(size)
    body += struct.pack("<I", zlib.crc32(body))
    assert frames_in(b"\0" + cobs.encode(body) + b"\0") == []


@pytest.mark.parametrize("size", range(12))
def test_a_body_shorter_than_its_header_and_checksum_is_no_frame(size):
    body = bytes(size)
    body += struct.pack("<I", zlib.crc32(body))
    assert frames_in(b"\0" + cobs.encode(body[-size:] if size else b"") + b"\0") == []


@pytest.mark.parametrize(
    "fields",
    [{"type": 256}, {"sequence": 65536}, {"run_id": -1}, {"payload": bytes(MAX_PAYLOAD + 1)}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_field_outside_its_range_is_refused(fields):
    with pytest.raises(ValueError, match=r"header|at most 1024"):
        encode(Frame(**{"type": 1, "sequence": 1, "run_id": 1, **fields}))
