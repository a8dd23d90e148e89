from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynas.device.client import Client, RefusedError, StackUse
from tinynas.device.fake import FakeBoard, Fault, Mishap
from tinynas.device.messages import Greeting, Request, ResetCause, Status
from tinynas.errors import LinkError

GREETING = Greeting(
    protocol=1,
    build_id=bytes(range(16)),
    network_sha256=bytes(range(32)),
    reset_cause=ResetCause.POWER_ON,
    boot_count=1,
    ticks_hz=168_000_000,
    clock_hz=168_000_000,
    input_bytes=3000,
    output_bytes=1500,
    arena_bytes=4096,
    static_bytes=6000,
    stack_bytes=8192,
    max_payload=1024,
    networks=1,
    chip_id=bytes(range(16)),
    board="fake",
)


def halve(tensor: bytes) -> bytes:
    return tensor[::2]


@pytest.fixture
def board():
    board = FakeBoard(GREETING, halve)
    yield board
    board.close()


@pytest.fixture
def client(board):
    with Client(board.port) as client:
        yield client


def test_a_tensor_goes_in_and_its_output_comes_out(client, board):
    tensor = bytes(range(250)) * 12
    assert client.hello() == GREETING
    client.load(tensor)
    assert client.run(3, answer_s=2) == StackUse(used_bytes=200, depth_bytes=100)
    assert client.ticks(3) == [1000] * 3
    assert client.output(1500) == halve(tensor)


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.GARBAGE, Fault.CORRUPT, Fault.LATE, Fault.TWICE, Fault.CHATTER])
def test_a_passing_fault_costs_a_resend_and_no_work_is_done_twice(client, board, fault):
    tensor = bytes(range(250)) * 12
    for request in (Request.HELLO, Request.RUN, Request.OUTPUT):
        board.mishaps.append(Mishap(fault=fault, request=request))
    client.hello()
    client.load(tensor)
    client.run(2, answer_s=0.2)
    assert client.ticks(2) == [1000] * 2
    assert client.output(1500) == halve(tensor)
    assert board.runs == 2
    assert board.mishaps == []


def test_a_board_that_never_answers_is_given_up(client, board):
    board.mishaps.append(Mishap(fault=Fault.SILENT, times=None))
    with pytest.raises(LinkError, match="no answer to request 0x01"):
        client.hello(boot_s=0.1)


def test_a_board_that_boots_slowly_is_waited_for(client, board):
    board.mishaps.append(Mishap(fault=Fault.SILENT, times=6))
    assert client.hello(boot_s=5) == GREETING


def test_a_time_beyond_the_timers_range_is_no_measurement():
    board = FakeBoard(GREETING, halve, ticks=lambda: 0xFFFFFFFF)
    with Client(board.port) as client:
        client.run(1, answer_s=2)
        with pytest.raises(LinkError, match="longer than the board's timer counts"):
            client.ticks(1)
    board.close()


def test_a_refusal_carries_its_status(client):
    with pytest.raises(RefusedError, match=r"refused INPUT: bad_request") as caught:
        client.load(bytes(3001))
    assert caught.value.status == Status.BAD_REQUEST


@pytest.mark.parametrize(("spare", "repeats"), [(True, 257), (False, 2)])
def test_more_repeats_than_the_board_has_room_for_are_refused(spare, repeats):
    board = FakeBoard(GREETING, halve, spare=spare)
    with Client(board.port) as client, pytest.raises(RefusedError) as caught:
        client.run(repeats, answer_s=2)
    assert caught.value.status == Status.NO_MEMORY
    board.close()


def test_a_network_of_several_is_selected_until_the_board_starts_again(client, board):
    board.networks = (GREETING.network_sha256, b"\7" * 32)
    assert client.select(b"\7" * 32) == client.hello() == replace(GREETING, network_sha256=b"\7" * 32)
    client.reset()
    assert client.hello().network_sha256 == GREETING.network_sha256


@pytest.mark.parametrize(("sha256", "status"), [(b"\7" * 32, Status.NO_NETWORK), (b"\7" * 31, Status.BAD_REQUEST)])
def test_a_network_that_the_image_lacks_is_refused(client, sha256, status):
    with pytest.raises(RefusedError, match="refused SELECT") as caught:
        client.select(sha256)
    assert caught.value.status == status


def test_a_reset_raises_the_boot_count(client):
    client.reset()
    greeting = client.hello()
    assert (greeting.boot_count, greeting.reset_cause) == (2, ResetCause.SOFTWARE)


def test_a_greeting_is_read_as_it_was_written():
    assert Greeting.unpack(GREETING.pack()) == GREETING


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"protocol": 2}, "protocol"),
        ({"boot_count": 0}, "boot count"),
        ({"reset_cause": 9}, "reset cause"),
        ({"ticks_hz": 0}, "ticks per second"),
        ({"clock_hz": 0}, "clock"),
        ({"arena_bytes": 2**32 - 1}, "memory sizes"),
        ({"max_payload": 4}, "largest payload"),
        ({"max_payload": 1025}, "largest payload"),
        ({"networks": 0}, "number of networks"),
        ({"board": "a\x1bb"}, "name"),
    ],
)
def test_a_greeting_with_a_field_out_of_range_is_refused(changes, field):
    with pytest.raises(LinkError, match=f"greeting is out of range: {field}"):
        Greeting.unpack(replace(GREETING, **changes).pack())


@pytest.mark.parametrize(
    "payload", [b"", GREETING.pack()[:-1], GREETING.pack() + b"x", GREETING.pack()[:101] + bytes(40)]
)
def test_a_greeting_of_another_length_is_refused(payload):
    with pytest.raises(LinkError, match="the board's greeting"):
        Greeting.unpack(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_valid_greeting_or_a_link_error(payload):
    try:
        greeting = Greeting.unpack(payload)
    except LinkError:
        return
    assert greeting.boot_count >= 1
