"""The wire to an emulated board, which runs the image of the chip, behind a link that damages what passes."""

import random
import time
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import wire

from tinynas.boards import Board
from tinynas.compiler import Program
from tinynas.compiler.program import TensorInfo
from tinynas.deploy.build import build
from tinynas.device.client import Client
from tinynas.device.emulator import EmulatedBoard

HEADER = f"""
#include <stdint.h>
#define TN_NETWORK_INPUT_BYTES {wire.TENSOR_BYTES}
#define TN_NETWORK_OUTPUT_BYTES {wire.TENSOR_BYTES}
#define TN_NETWORK_ARENA_BYTES {wire.TENSOR_BYTES}
#define TN_NETWORK_CONSTANTS_BYTES 0
extern const uint8_t tn_network_sha256[32];
int8_t *tn_network_input(void);
const int8_t *tn_network_output(void);
void tn_network_invoke(void);
"""
# The first byte says how long it takes, so that a time of another inference is a wrong one.
SOURCE = """
#include "network.h"
const uint8_t tn_network_sha256[32] = {1};
static int8_t arena[TN_NETWORK_INPUT_BYTES] __attribute__((section(".bss.tn_arena"), aligned(16)));
int8_t *tn_network_input(void) { return arena; }
const int8_t *tn_network_output(void) { return arena; }
void tn_network_invoke(void)
{
    for (int turns = 32 * (uint8_t)arena[0]; turns > 0; turns--) {
        __asm volatile("nop\\n nop\\n nop\\n nop\\n nop\\n nop\\n nop\\n nop");
    }
    for (int i = 0; i < TN_NETWORK_INPUT_BYTES; i++) {
        arena[i] = (int8_t)(3 * arena[i] + i);
    }
}
"""
# What an answer takes at most when nothing happens to it: the emulator's own time, on a busy host.
ANSWER_S = 0.1
# Ticks, and bytes of stack. A RUN that is sent again comes twice in a row, the second time during the inference.
INTERRUPTS = (100, 64)


def powered(board: Board, folder: Path) -> EmulatedBoard:
    """The board with that network, under power."""
    tensor = TensorInfo(
        name="any", shape=(1, wire.TENSOR_BYTES), dtype="int8", scale=1.0, zero_point=0, bytes=wire.TENSOR_BYTES
    )
    program = Program(
        files={"network.h": HEADER.encode(), "network.c": SOURCE.encode()},
        sha256="01" + "00" * 31,
        arena_bytes=wire.TENSOR_BYTES,
        arena_lower_bound_bytes=wire.TENSOR_BYTES,
        arena=(),
        constants_bytes=0,
        inputs=(tensor,),
        outputs=(tensor,),
        layers=(),
        kernels=(),
    )
    emulated = EmulatedBoard(board, folder)
    emulated.flash.write_bytes(build(board, program, folder / "desk").binary)
    emulated.power_on()
    return emulated


def exchange(url: str, count: int, rate: float, seed: int) -> tuple[wire.Delivery, Counter[str], float]:
    """At least `count` figures of the board at `url`, as in `wire.exchange`, and the seconds that it took."""
    with Client(url) as quiet:
        quiet.hello()
        ticks, used_bytes = zip(*(_found(quiet, turns) for turns in range(256)), strict=True)

    def network(tensor: bytes) -> tuple[int, bytes]:
        return ticks[tensor[0]], wire.inference(tensor)[1]

    noise, delivery, started = wire.Noise(rate, seed), wire.Delivery(), time.monotonic()
    with (
        patch.dict(Client._ask.__kwdefaults__, answer_s=ANSWER_S),
        wire.connected_to(url, noise, delivery) as client,
    ):
        wire.ask_figures(
            client, delivery, count, random.Random(seed + 1), network, used_bytes=used_bytes[0], interrupts=INTERRUPTS
        )
    return delivery, noise.faults, time.monotonic() - started


def _found(client: Client, turns: int) -> tuple[int, int]:
    """The ticks and the stack of an inference of so many turns. An emulator gives them again to the last tick."""
    client.load(bytes([turns]).ljust(wire.TENSOR_BYTES, b"\0"))
    used_bytes = client.run(1, answer_s=2.0).used_bytes
    return client.ticks(1)[0], used_bytes
