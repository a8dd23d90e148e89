"""What the firmware promises in PROTOCOL.md, asked of the image that runs on the emulated board."""

import json
import struct

import pytest

from tinynas.boards import Board, load_board
from tinynas.compiler import Program, TensorInfo
from tinynas.deploy.build import build
from tinynas.device.client import Client, RefusedError
from tinynas.device.emulator import EmulatedBoard
from tinynas.device.link import Link
from tinynas.device.messages import ANSWER, Request, Status
from tinynas.errors import LinkError

INPUT_BYTES = 2048
HEADER = f"""
#include <stdint.h>
#define TN_NETWORK_INPUT_BYTES {INPUT_BYTES}
#define TN_NETWORK_OUTPUT_BYTES 4
#define TN_NETWORK_ARENA_BYTES {INPUT_BYTES}
#define TN_NETWORK_CONSTANTS_BYTES 0
extern const uint8_t tn_network_sha256[32];
int8_t *tn_network_input(void);
const int8_t *tn_network_output(void);
void tn_network_invoke(void);
"""
# The input says what to do: `rounds` of ten instructions, a stack of `depth` bytes, a fault. The output is how often
# it was done since the board started. The input is spoilt.
SOURCE = """
#include <string.h>
#include "network.h"
const uint8_t tn_network_sha256[32] = {1};
static int8_t arena[TN_NETWORK_INPUT_BYTES] __attribute__((section(".bss.tn_arena"), aligned(16)));
static uint32_t count;
int8_t *tn_network_input(void) { return arena; }
const int8_t *tn_network_output(void) { return (const int8_t *)&count; }
__attribute__((noinline)) static void use_stack(uint32_t depth)
{
    volatile uint8_t *const bytes = __builtin_alloca(depth);
    for (uint32_t i = 0; i < depth; i++) {
        bytes[i] = 1;
    }
}
void tn_network_invoke(void)
{
    struct { uint32_t rounds, depth, fault; } task;
    memcpy(&task, arena, sizeof task);
    memset(arena, 0, sizeof arena);
    count++;
    for (uint32_t i = 0; i < task.rounds; i++) {
        __asm volatile("nop\\n nop\\n nop\\n nop\\n nop\\n nop\\n nop");
    }
    if (task.depth) {
        use_stack(task.depth);
    }
    if (task.fault) {
        __builtin_trap();
    }
}
"""


def task(*, rounds: int = 0, depth: int = 0, fault: bool = False) -> bytes:
    return struct.pack("<III", rounds, depth, fault).ljust(INPUT_BYTES, b"\0")


def program() -> Program:
    tensor = TensorInfo(name="task", shape=(1, INPUT_BYTES), dtype="int8", scale=1.0, zero_point=0, bytes=INPUT_BYTES)
    return Program(
        files={"network.h": HEADER.encode(), "network.c": SOURCE.encode()},
        sha256="01" + "00" * 31,
        arena_bytes=INPUT_BYTES,
        arena_lower_bound_bytes=INPUT_BYTES,
        arena=(),
        constants_bytes=0,
        inputs=(tensor,),
        outputs=(tensor,),
        layers=(),
        kernels=(),
    )


def powered(board: Board, folder) -> EmulatedBoard:
    folder.mkdir()
    emulated = EmulatedBoard(board, folder)
    emulated.flash.write_bytes(build(board, program(), folder / "desk").binary)
    emulated.power_on()
    return emulated


@pytest.fixture(scope="module", params=["netduinoplus2", "mps2_an386"])
def running(request, tmp_path_factory):
    emulated = powered(load_board(request.param), tmp_path_factory.mktemp("firmware") / "board")
    yield emulated
    emulated.power_off()


@pytest.fixture
def client(running):
    with Client(running.url) as client:
        client.hello()
        yield client


@pytest.fixture
def cramped(tmp_path):
    """A board with 200 bytes of RAM left beside the image: no room for a copy of the input."""
    manifest = json.loads(load_board("netduinoplus2").path.read_text())
    image = build(load_board("netduinoplus2"), program(), tmp_path / "desk")
    stack_bytes = 4096
    manifest["tinynas"]["sram_bytes"] = stack_bytes + image.sizes.static + image.sizes.arena + 200
    (tmp_path / "netduinoplus2.json").write_text(json.dumps(manifest))
    emulated = powered(load_board("netduinoplus2", tmp_path), tmp_path / "board")
    yield emulated
    emulated.power_off()


def count_of(client: Client) -> int:
    (count,) = struct.unpack("<I", client.output(4))
    return count


def test_ticks_grow_with_the_work_across_wraps_of_the_24_bit_timer(client):
    ticks, ticks_hz = {}, client.hello().ticks_hz
    many = 14_000_000 * 168_000_000 // ticks_hz
    for rounds in (1_000_000, 2_000_000, many):
        client.load(task(rounds=rounds))
        client.run(1, answer_s=30)
        (ticks[rounds],) = client.ticks(1)
    assert ticks[many] > 2**24
    per_million = ticks[2_000_000] - ticks[1_000_000]
    # The interrupt of each wrap takes some instructions more.
    assert ticks[many] == pytest.approx(ticks[1_000_000] + (many / 1e6 - 1) * per_million, abs=many / 4e5)
    # Ten instructions a round, a nanosecond each.
    assert per_million == pytest.approx(1_000_000 * 10 * ticks_hz / 1e9, rel=0.001)


def test_the_high_water_is_the_stack_that_was_used(client):
    used = {}
    for depth in (1, 1001, 2001, 1001):
        client.load(task(depth=depth))
        used[depth] = client.run(1, answer_s=5).used_bytes
    assert (used[1001] - used[1], used[2001] - used[1]) == (pytest.approx(1000, abs=8), pytest.approx(2000, abs=8))
    assert used[1] < 200


def test_every_repeat_starts_from_the_same_input(client):
    client.load(task(rounds=10_000))
    client.run(5, answer_s=5)
    assert len(set(client.ticks(5))) == 1
    assert client.ticks(5)[0] > 1000


def test_a_request_sent_twice_is_done_once_and_answered_twice(running):
    with Client(running.url) as client:
        client.hello()
        client.load(task())
        before = count_of(client)
    with Link(running.url) as link:
        first = link.exchange(Request.RUN, struct.pack("<H", 1), answer_s=5)
        link._sequence -= 1
        again = link.exchange(Request.RUN, struct.pack("<H", 1), answer_s=5)
    assert first == again
    assert first.type == Request.RUN | ANSWER
    with Client(running.url) as client:
        assert count_of(client) == before + 1


def test_a_fault_is_said_in_the_log_and_costs_a_restart(running):
    with Client(running.url) as client:
        starts = client.hello().boot_count
        client.load(task(fault=True))
        with pytest.raises(LinkError, match=r"the board's last words: .*the CPU faulted"):
            client.run(1, answer_s=0.5)
    with Client(running.url) as client:
        assert client.hello().boot_count > starts


def test_a_board_without_room_for_a_copy_of_the_input_runs_once_and_refuses_repeats(cramped):
    with Client(cramped.url) as client:
        client.hello()
        client.load(task(rounds=1000))
        with pytest.raises(RefusedError) as refusal:
            client.run(2, answer_s=5)
        assert refusal.value.status == Status.NO_MEMORY
        client.run(1, answer_s=5)
        assert client.ticks(1)[0] > 1000
        assert count_of(client) == 1


def test_an_answer_follows_a_request_with_a_wrong_length(running):
    with Link(running.url) as link:
        for request in Request:
            if request not in {Request.HELLO, Request.RESET}:
                answer = link.exchange(request, b"\1", answer_s=1)
                assert answer.payload == bytes([Status.BAD_REQUEST, request])
