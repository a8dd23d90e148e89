"""A bounds-checked reader of FlatBuffers tables: every offset and length is checked before it is used.

The bytes are untrusted. Nothing is copied but scalars and short names, so reading takes time proportional to what the
caller asks for, not to what a length field claims. Format: https://flatbuffers.dev/internals/
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinynas.errors import MalformedModelError

_LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table at `position` of `data`. A slot is a field's number in the schema; an absent field has its default."""

    data: bytes
    position: int

    def integer(self, slot: int, layout: str, default: int = 0) -> int:
        """The integer field of `struct` format `layout` (little endian, such as "b", "i", "I", "Q").

        Raises:
            MalformedModelError: the field lies outside the file.
        """
        at = self._field(slot)
        return default if at is None else int(_unpack(self.data, at, layout))

    def real(self, slot: int, default: float = 0.0) -> float:
        """The float32 field.

        Raises:
            MalformedModelError: the field lies outside the file.
        """
        at = self._field(slot)
        return default if at is None else float(_unpack(self.data, at, "f"))

    def table(self, slot: int) -> "Table | None":
        """The table that the field points to, or None.

        Raises:
            MalformedModelError: the offset leads outside the file.
        """
        at = self._field(slot)
        return None if at is None else Table(data=self.data, position=_follow(self.data, at))

    def tables(self, slot: int, limit: int) -> list["Table"]:
        """The vector of tables, [] where it is absent.

        Raises:
            MalformedModelError: it lies outside the file, or holds more than `limit` tables.
        """
        start, count = self._vector(slot, 4)
        if count > limit:
            raise MalformedModelError(f"a list of {count:,} tables at byte {start:,}: at most {limit:,} are read")
        places = (start + 4 * index for index in range(count))
        return [Table(data=self.data, position=_follow(self.data, place)) for place in places]

    def numbers(self, slot: int, dtype: str) -> npt.NDArray[Any]:
        """The vector of scalars of NumPy type `dtype` (such as "<i4"), shape (count,), as a view of the file.

        Raises:
            MalformedModelError: it lies outside the file.
        """
        start, count = self._vector(slot, np.dtype(dtype).itemsize)
        return np.frombuffer(self.data, dtype=dtype, count=count, offset=start)

    def text(self, slot: int) -> str:
        """The string, cut after 200 bytes, "" where it is absent. What is not UTF-8 is replaced.

        Raises:
            MalformedModelError: it lies outside the file.
        """
        start, count = self._vector(slot, 1)
        return self.data[start : start + min(count, _LONGEST_NAME)].decode("utf-8", errors="replace")

    def has(self, slot: int) -> bool:
        """Whether the field is present.

        Raises:
            MalformedModelError: the table's list of fields lies outside the file.
        """
        return self._field(slot) is not None

    def _field(self, slot: int) -> int | None:
        """Where the field's value lies; the vtable holds its distance from the table, or 0."""
        vtable = self.position - int(_unpack(self.data, self.position, "i"))
        length = int(_unpack(self.data, vtable, "H"))
        place = 4 + 2 * slot
        if place + 2 > length:
            return None
        distance = int(_unpack(self.data, vtable + place, "H"))
        return self.position + distance if distance else None

    def _vector(self, slot: int, item_bytes: int) -> tuple[int, int]:
        """First byte and number of items, checked against the end of the file."""
        at = self._field(slot)
        if at is None:
            return 0, 0
        start = _follow(self.data, at)
        count = int(_unpack(self.data, start, "I"))
        if start + 4 + count * item_bytes > len(self.data):
            raise MalformedModelError(
                f"a list at byte {start:,} claims {count:,} items of {item_bytes} B in a file of {len(self.data):,}"
            )
        return start + 4, count


def root(data: bytes, identifier: bytes) -> Table:
    """The root table of a file that carries the 4-byte `identifier`.

    Raises:
        MalformedModelError: the file is too short or carries another identifier.
    """
    if len(data) < 8 or data[4:8] != identifier:
        raise MalformedModelError(f"no {identifier.decode()} file: bytes 4 to 8 are {data[4:8]!r}")
    return Table(data=data, position=_follow(data, 0))


def _follow(data: bytes, at: int) -> int:
    target = at + int(_unpack(data, at, "I"))
    if target + 4 > len(data):
        raise MalformedModelError(f"an offset at byte {at:,} leads to {target:,}, the file ends at {len(data):,}")
    return target


def _unpack(data: bytes, at: int, layout: str) -> int | float:
    if at < 0 or at + struct.calcsize("<" + layout) > len(data):
        raise MalformedModelError(f"a field at byte {at:,} lies outside the file of {len(data):,} B")
    value: int | float = struct.unpack_from("<" + layout, data, at)[0]
    return value
