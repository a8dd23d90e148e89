"""Damaged `.tflite` files: bytes and bits changed, parts cut, doubled or exchanged, and fields set to their extremes.

Where the fields are is learnt by watching the reader: every scalar, offset and vector that compiling a whole file looks
at is a place to damage, so that mutations get past the first check.
"""

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from tinynas.compiler import compile_network, flatbuffer

_EXTREMES = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63)
_MOST_ITEMS = 64
_REALS = (0.0, -0.0, 1e-45, 1e-38, 1e-9, 1.0, 1e9, 3.4e38, float("inf"), float("-inf"), float("nan"), -1.0)


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """A whole file, and where what is in it: scalars as (position, `struct` format), offsets as (position, target)."""

    content: bytes
    scalars: tuple[tuple[int, str], ...]
    offsets: tuple[tuple[int, int], ...]


def dissect(tflite: bytes) -> Anatomy:
    """What a model that compiles is made of."""
    scalars: dict[int, str] = {}
    offsets: dict[int, int] = {}
    unpack, follow, numbers = flatbuffer._unpack, flatbuffer._follow, flatbuffer.Table.numbers

    def watch_unpack(data: bytes, at: int, layout: str) -> int | float:
        scalars[at] = layout
        return unpack(data, at, layout)

    def watch_follow(data: bytes, at: int) -> int:
        offsets[at] = follow(data, at)
        return offsets[at]

    def watch_numbers(table: flatbuffer.Table, slot: int, dtype: str) -> npt.NDArray[np.generic]:
        found = numbers(table, slot, dtype)
        start, count = table._vector(slot, found.itemsize)
        for index in range(min(count, _MOST_ITEMS)):
            scalars[start + index * found.itemsize] = {"f4": "f", "i4": "i", "i8": "q"}.get(dtype[1:], "B")
        return found

    with (
        patch.object(flatbuffer, "_unpack", watch_unpack),
        patch.object(flatbuffer, "_follow", watch_follow),
        patch.object(flatbuffer.Table, "numbers", watch_numbers),
    ):
        compile_network(tflite)
    return Anatomy(content=tflite, scalars=tuple(sorted(scalars.items())), offsets=tuple(sorted(offsets.items())))


def mutate(corpus: Sequence[Anatomy], seed: int) -> bytes:
    """One of `corpus`, damaged in one to eight places; the same for the same seed."""
    rng = random.Random(seed)
    chosen = rng.choice(corpus)
    data = bytearray(chosen.content)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        if len(data) < 16:
            break
        if rng.random() < 0.6:
            _damage_structure(data, chosen, rng)
        else:
            _damage_bytes(data, rng.choice(corpus).content, rng)
    return bytes(data[: rng.randrange(len(data) + 1)]) if rng.random() < 0.03 else bytes(data)


def _damage_structure(data: bytearray, anatomy: Anatomy, rng: random.Random) -> None:
    """Fields keep their places until something before them is cut or doubled; then this is damage like any other."""
    at, layout = rng.choice(anatomy.scalars)
    size = struct.calcsize("<" + layout)
    match rng.randrange(4):
        case 0 if layout == "f":
            _overwrite(data, at, struct.pack("<f", rng.choice(_REALS)))
        case 0 | 1:
            value = rng.choice(_EXTREMES) + rng.randrange(-2, 3)
            _overwrite(data, at, (value % (1 << 8 * size)).to_bytes(size, "little"))
        case 2:
            other = rng.choice([place for place, same in anatomy.scalars if same == layout])
            _overwrite(data, at, bytes(data[other : other + size]))
        case 3:
            # A table, vector or string takes another's place: doubled, reordered, or of the wrong kind.
            place = rng.choice(anatomy.offsets)[0]
            target = rng.choice(anatomy.offsets)[1]
            _overwrite(data, place, ((target - place) % (1 << 32)).to_bytes(4, "little"))


def _damage_bytes(data: bytearray, other: bytes, rng: random.Random) -> None:
    at, length = rng.randrange(len(data) - 8), rng.choice([1, 2, 4, 8, 8, 16, 64, 1000])
    match rng.randrange(6):
        case 0:
            data[at] = rng.randrange(256)
        case 1:
            data[at] ^= 1 << rng.randrange(8)
        case 2:
            _overwrite(data, at, (rng.choice(_EXTREMES) % (1 << 32)).to_bytes(4, "little"))
        case 3:
            del data[at : at + length]
        case 4:
            data[at:at] = data[at : at + length]
        case 5:
            start = rng.randrange(len(other))
            _overwrite(data, at, other[start : start + length])


def _overwrite(data: bytearray, at: int, content: bytes) -> None:
    """In place, cut at the end of the file: the length stays."""
    fitting = content[: max(len(data) - at, 0)]
    data[at : at + len(fitting)] = fitting
