"""The boards of one kind that a study measures on, as it sees them: on the bench of this machine, or on a cluster."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tinynas.deploy.build import Image
from tinynas.device.bench import Bench, BoardNow
from tinynas.device.ladder import flash_and_measure, verify
from tinynas.device.measure import Measurement, require_equal


@dataclass(frozen=True, kw_only=True, eq=False)
class Order:
    """What is to be measured: plain data, so that it may travel.

    inputs: int8 of shape (n, ...). expected: the outputs that the host has for them, (n, ...), which the board's must
    equal. label: what `Pool.suspects` calls the result if it is to be measured again.
    """

    image: Image
    inputs: np.ndarray
    expected: np.ndarray
    repeats: int
    label: str


class Pool(Protocol):
    """Boards of one kind. Any number of threads."""

    @property
    def size(self) -> int:
        """How many can measure at the same time."""

    @property
    def drifts(self) -> bool:
        """Whether boards may turn out to have drifted: nothing is concluded before `suspects` was asked."""

    def measure(self, order: Order) -> Measurement:
        """The order measured on one of the boards. Raises as `device.ladder.flash_and_measure`."""

    def suspects(self) -> set[str]:
        """Check the boards; the labels of results that must be repeated."""

    def now(self) -> list[BoardNow]:
        """What each board does, for whoever watches; answers at once. Of boards elsewhere as much as is known here."""


class BenchPool:
    """The boards of a bench of this machine."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @property
    def size(self) -> int:
        return self._bench.size

    @property
    def drifts(self) -> bool:
        return self._bench.drift is not None

    def measure(self, order: Order) -> Measurement:
        return flash_and_measure(
            self._bench,
            order.image,
            order.inputs,
            repeats=order.repeats,
            accept=lambda found: require_equal(found.outputs, order.expected, found.greeting.board),
            label=order.label,
        )

    def suspects(self) -> set[str]:
        return verify(self._bench)

    def now(self) -> list[BoardNow]:
        return self._bench.now()
