"""Calibrations made by hand, of a kernel whose layers take what a formula says."""

import random

from tinynas.cost import Validity
from tinynas.estimate.calibration import Calibration, ObservedLayer, ObservedNetwork, validity_record

VALIDITY = Validity(board="b", clock_hz=100_000_000, toolchain="gcc 1", flags="-O2", firmware="f" * 64)
OUTSIDE = 40


def cycles_of(rows, columns):
    """What a layer takes: its loops, and a little that no loop explains."""
    return 50 + 20 * rows + 3 * rows * columns + (rows * 7 + columns) % 5


def layer(rows, columns, *, counted=True):
    counts = {"calls": 1.0, "rows": float(rows), "values": float(rows * columns)}
    taken = cycles_of(rows, columns)
    cycles, wait_cycles = (taken - taken // 10, taken // 10) if counted else (None, None)
    return ObservedLayer(kind="tn_rows-1", family="_rows", counts=counts, cycles=cycles, wait_cycles=wait_cycles)


def network(sizes, *, held_out=False, counted=True):
    layers = tuple(layer(*each, counted=counted) for each in sizes)
    cycles = sum(cycles_of(*each) for each in sizes) + OUTSIDE
    return ObservedNetwork(
        genome="rows:1",
        input_shape=(8,),
        classes=2,
        layers=layers,
        cycles=cycles,
        outside_cycles=OUTSIDE if counted else None,
        latency_us=cycles / 100,
        code_bytes=100,
        constants_bytes=10,
        arena_bytes=16,
        static_bytes=0,
        stack_bytes=64,
        held_out=held_out,
    )


def calibration(count=40, *, held_out=30, counted=True, seed=1):
    rng = random.Random(seed)
    networks = [
        network(
            [(rng.randint(1, 60), rng.randint(1, 90)) for _ in range(rng.randint(1, 4))],
            held_out=number >= count,
            counted=counted,
        )
        for number in range(count + held_out)
    ]
    return Calibration(
        tinynas="0",
        validity=validity_record(VALIDITY),
        source="emulated" if counted else "measured",
        seed=0,
        spaces=("image",),
        networks=tuple(networks),
    )
