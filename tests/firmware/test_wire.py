"""The short form of tests/nightly/check_wire.py, and that it would see what it looks for."""

import random
import struct

import pytest
import wire
from cobs import cobs

from tinynas.device import frames
from tinynas.device.client import RefusedError
from tinynas.device.link import RESENDS
from tinynas.errors import LinkError


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    try:
        return wire.build_board(tmp_path_factory.mktemp("board"))
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("rate", [0.0, 1e-4, 1e-3])
def test_every_figure_arrives_and_none_is_wrong(board, rate):
    delivery, faults = wire.exchange(board, 20_000, rate, seed=1)
    assert delivery.requests >= delivery.figures >= 20_000
    assert (delivery.wrong, delivery.missing, delivery.lost) == (0, 0, 0)
    assert max(delivery.resends) <= RESENDS
    assert faults["log text"] > 1000
    assert faults["garbage"] > 1000
    assert (delivery.resends[1] > 0) == (faults["bit flipped"] > 0) == (rate > 0)


def test_the_board_runs_the_network_that_is_selected_and_knows_its_sizes(board):
    board.tn_board_power_on()
    with wire.connected(wire.NoisyPort(board, wire.Noise(0.0, seed=1)), wire.Delivery()) as client:
        first = client.hello()
        assert (first.networks, first.input_bytes, first.output_bytes) == (2, 16, 16)
        other = client.select(wire.LONG_SHA256)
        assert (other.networks, other.input_bytes, other.output_bytes, other.arena_bytes) == (2, 4000, 2000, 4000)
        with pytest.raises(LinkError):
            client.ticks(1)
        with pytest.raises(RefusedError):
            client.load(bytes(4001))
        tensor = random.Random(1).randbytes(4000)
        client.load(tensor)
        client.run(1, answer_s=1)
        assert client.output(2000) == tensor[::2]
        with pytest.raises(RefusedError, match="no_network"):
            client.select(bytes(32))
        assert client.hello() == other
        assert client.select(first.network_sha256) == first


@pytest.mark.parametrize("rate", [0.0, 1e-4, 1e-3])
def test_tensors_of_many_frames_arrive_in_shorter_ones_where_the_line_is_bad(board, rate):
    delivery, faults = wire.exchange_long(board, 300, rate, seed=1)
    assert (delivery.figures, delivery.wrong, delivery.missing) == (600, 0, 0)
    # One to select, four of input, one to run, two of output.
    assert (delivery.requests == 300 * 8) == (faults["bit flipped"] == 0) == (rate == 0)


def test_without_the_checksum_wrong_figures_would_be_accepted(board, monkeypatch):
    def trusting(stuffed):
        body = cobs.decode(stuffed)
        version, kind, sequence, run_id = struct.unpack_from("<BBHI", body)
        return frames.Frame(version=version, type=kind, sequence=sequence, run_id=run_id, payload=body[8:-4])

    monkeypatch.setattr(frames, "_decode", lambda stuffed: safe(trusting, stuffed))
    delivery, _ = wire.exchange(board, 20_000, 1e-3, seed=1)
    assert delivery.wrong > 10


def safe(decode, stuffed):
    try:
        return decode(stuffed)
    except (cobs.DecodeError, struct.error):
        return None


def test_a_line_that_is_mostly_noise_loses_requests_and_says_so(board):
    delivery, _ = wire.exchange(board, 2_000, 0.05, seed=1)
    assert delivery.missing > 0
    assert delivery.wrong == 0


def test_garbage_is_no_frame_for_host_or_board(board):
    assert wire.frames_in_garbage(board, 40_000, seed=1) == (0, 0)


def test_a_frame_in_the_garbage_is_seen_by_both(board):
    frame = frames.encode(frames.Frame(type=0x83, sequence=1, run_id=2, payload=b"figure"))
    found = [item for item in frames.Decoder().feed(b"junk\0" + frame) if isinstance(item, frames.Frame)]
    assert len(found) == board.tn_board_frames_in(b"junk\0" + frame, 5 + len(frame)) == 1


def test_the_firmware_reads_whatever_a_fuzzer_makes(tmp_path):
    try:
        program = wire.build_fuzzer(tmp_path)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    said = wire.fuzz(program, 20_000, corpus, seed=1)
    assert "stat::number_of_executed_units: 20000" in said
    # The fuzzer was led by coverage: what reached something new is kept.
    assert len(list(corpus.iterdir())) > 50
