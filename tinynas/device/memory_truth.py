"""The smallest RAM in which a network still runs, found by running it in less and less.

A prediction of RAM may leave something out: memory that is used for a moment, interrupts, what lies between the parts.
Variables and arena are laid out by the linker, which refuses what does not fit. So it is the stack that is taken away
from the firmware, 8 bytes at the least: it lies at the bottom of RAM, where a stack that is too small runs into
addresses without memory, and the CPU faults, or what it wrote there is lost.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinynas.deploy.build import Image
from tinynas.device.measure import Measurement, measure
from tinynas.device.station import Station
from tinynas.errors import BenchError

_log = logging.getLogger(__name__)
# AAPCS and the RISC-V calling convention keep the stack pointer at a multiple of 8 or 16.
STEP_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class MemoryTruth:
    """RAM of an image [B], in steps of 8: what is predicted, variables, arena and stack with the firmware's own, and
    the smallest in which it ran; `images`: how many were built and flashed to find out.
    """

    predicted_bytes: int
    smallest_bytes: int
    images: int

    @property
    def error_bytes(self) -> int:
        """Above 0 if the prediction was too high."""
        return self.predicted_bytes - self.smallest_bytes


def find_memory_truth(
    station: Station,
    build: Callable[[int], Image],
    inputs: np.ndarray,
    flashed: Callable[[Image, float], None] = lambda image, seconds: None,
) -> MemoryTruth:
    """Run a network in less and less RAM on a board that this process has claimed.

    Args:
        build: makes the image with so many bytes of stack, a multiple of 8.
        inputs: int8 of shape (n, ...). An image runs if it gives the same outputs for them as the manifest's stack.
        flashed: told each image and the seconds that flashing it took.

    Raises:
        BenchError: the network does not run in the RAM that it was given first.
    """
    search = _Search(station, build, inputs, flashed)
    stack_bytes = _rounded(search.used_bytes)
    if search.runs(stack_bytes):
        while stack_bytes > STEP_BYTES and search.runs(stack_bytes - STEP_BYTES):
            stack_bytes -= STEP_BYTES
    else:
        stack_bytes = search.smallest_above(stack_bytes)
    others = search.image.sizes.static + search.image.sizes.arena
    return MemoryTruth(
        predicted_bytes=others + _rounded(search.used_bytes),
        smallest_bytes=others + stack_bytes,
        images=search.images,
    )


class _Search:
    """Images of one network with different stacks. `used_bytes`: of the stack, as the firmware says."""

    def __init__(
        self,
        station: Station,
        build: Callable[[int], Image],
        inputs: np.ndarray,
        flashed: Callable[[Image, float], None],
    ) -> None:
        self._station = station
        self._build = build
        self._inputs = inputs
        self._flashed = flashed
        self.images = 0
        self.image = build(station.board.stack_bytes)
        first = self._measure(self.image)
        self._outputs = first.outputs
        self.used_bytes = first.stack_bytes + first.depth_bytes

    def runs(self, stack_bytes: int) -> bool:
        """Whether the network does the same with so much stack."""
        try:
            found = self._measure(self._build(stack_bytes))
        except BenchError as error:
            _log.info("board %s, %d B of stack: %s", self._station.name, stack_bytes, error)
            return False
        return bool((found.outputs == self._outputs).all())

    def smallest_above(self, too_small: int) -> int:
        """Between what is too small and what the manifest sets aside, by bisection."""
        enough = self._station.board.stack_bytes
        while enough - too_small > STEP_BYTES:
            middle = _rounded((too_small + enough) // 2)
            if self.runs(middle):
                enough = middle
            else:
                too_small = middle
        return enough

    def _measure(self, image: Image) -> Measurement:
        started = time.monotonic()
        self._station.flash(image)
        self._flashed(image, time.monotonic() - started)
        self.images += 1
        return measure(self._station, image, self._inputs, repeats=1)


def _rounded(size: int) -> int:
    """The next multiple of a step."""
    return -(-size // STEP_BYTES) * STEP_BYTES
