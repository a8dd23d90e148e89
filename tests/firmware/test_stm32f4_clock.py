"""The clocks of an STM32F4 or F2: what firmware/src/port_stm32f4.h computes for every step of a manifest."""

import struct
import subprocess

import pytest

from tinynas.boards import board_names, load_board
from tinynas.paths import FIRMWARE

CRYSTAL_HZ = 25_000_000
FIELDS = ("M", "N", "P", "Q")
SOURCE = """
#include "port_stm32f4.h"
const unsigned found[] = {TN_PLL_M, TN_PLL_N, TN_PLL_P, TN_PLL_Q, TN_FLASH_WAITS, TN_LOW_VOLTAGE};
"""


@pytest.fixture
def compiled(tmp_path):
    """The constants of the header for a CPU at a clock [Hz], by the compiler of the firmware; what it says in vain."""
    source, target, values = (tmp_path / name for name in ("clock.c", "clock.o", "clock.bin"))

    def compiled(cpu, clock_hz, crystal_hz=CRYSTAL_HZ):
        source.write_text(SOURCE)
        macros = (f"-DF_CPU={clock_hz}", f"-DTN_HSE_HZ={crystal_hz}", f"-I{FIRMWARE / 'src'}")
        command = ["arm-none-eabi-gcc", f"-mcpu={cpu}", "-mthumb", "-std=gnu11", *macros]
        done = subprocess.run(
            [*command, "-Wall", "-Wextra", "-Werror", "-c", source, "-o", target],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return done.stderr
        subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", "-j", ".rodata", target, values], check=True)
        *pll, waits, low_voltage = struct.unpack("<6I", values.read_bytes())
        return dict(zip(FIELDS, pll, strict=True)), waits, bool(low_voltage)

    return compiled


def legal_steps():
    """CPU, clock [Hz] and wait states, of all boards with that port."""
    for board in map(load_board, board_names()):
        if board.port == "stm32f4":
            cpu = board.flags[0].removeprefix("-mcpu=")
            own = (board.clock_hz, board.flash_timing.wait_states)
            for hz, wait_states in sorted({own, *((step.hz, step.wait_states) for step in board.clock_steps)}):
                yield pytest.param(cpu, hz, wait_states, id=f"{board.name}-{hz // 1_000_000}")


@pytest.mark.parametrize(("cpu", "hz", "wait_states"), list(legal_steps()))
def test_every_step_of_a_manifest_is_reached_exactly_and_within_the_manuals_bounds(compiled, cpu, hz, wait_states):
    pll, waits, low_voltage = compiled(cpu, hz)
    # RM0090 and RM0033, RCC_PLLCFGR: 1 to 2 MHz in, 192 to 432 MHz for the VCO, at most 48 MHz for USB.
    assert pll["M"] * 1_000_000 == CRYSTAL_HZ
    assert CRYSTAL_HZ // pll["M"] * pll["N"] == hz * pll["P"]
    assert 192 <= pll["N"] <= 432
    assert pll["P"] in {2, 4, 6, 8}
    assert 2 <= pll["Q"] <= 15
    assert pll["N"] / pll["Q"] <= 48
    assert waits == wait_states
    assert low_voltage == (cpu == "cortex-m4" and hz <= 144_000_000)


@pytest.mark.parametrize(
    ("hz", "waits"),
    [(24, 0), (30, 0), (31, 1), (60, 1), (61, 2), (90, 2), (91, 3), (120, 3), (121, 4), (150, 4), (151, 5), (168, 5)],
)
def test_wait_states_change_where_the_manuals_table_says(compiled, hz, waits):
    assert compiled("cortex-m4", hz * 1_000_000)[1] == waits


@pytest.mark.parametrize(
    ("cpu", "hz", "crystal_hz", "message"),
    [
        ("cortex-m4", 169_000_000, CRYSTAL_HZ, "at up to 168 MHz"),
        ("cortex-m3", 121_000_000, CRYSTAL_HZ, "at up to 120 MHz"),
        ("cortex-m4", 84_500_000, CRYSTAL_HZ, "whole MHz"),
        ("cortex-m4", 23_000_000, CRYSTAL_HZ, "192 to 432 MHz"),
        ("cortex-m4", 168_000_000, 24_500_000, "divided down to 1 MHz"),
    ],
)
def test_a_clock_that_cannot_be_had_is_not_compiled(compiled, cpu, hz, crystal_hz, message):
    assert message in compiled(cpu, hz, crystal_hz)
