"""Several networks in one image: those that wait while the boards are busy are flashed together.

Nobody waits for company. Whoever is first when a board is free takes along who waits by then: where flashing is slow,
so that boards are waited for, it is paid once for many; where it is not, each goes alone.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from tinynas.boards import Board
from tinynas.deploy.build import Image
from tinynas.device.bench import Bench
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import Measurement
from tinynas.errors import CandidateError, LimitError

# One image of those of several networks: each of them, with that one in its place.
Combine = Callable[[Sequence[Image]], Sequence[Image]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Order:
    """What `device.ladder.flash_and_measure` is to measure, and who waits for it."""

    image: Image
    inputs: np.ndarray
    repeats: int
    accept: Callable[[Measurement], None]
    label: str
    answer: "Future[Measurement]" = field(default_factory=Future)


class Gathering:
    """Measures the orders of several threads on a bench, at most `most` networks to an image."""

    def __init__(self, bench: Bench, board: Board, combine: Combine, *, most: int) -> None:
        self._bench = bench
        self._board = board
        self._combine = combine
        self.most = most
        self._changed = threading.Condition()
        self._waiting: list[Order] = []
        self._turns = bench.size

    def measure(self, order: Order) -> Measurement:
        """The measurement of `order`, whoever takes it along. Raises as `device.ladder.flash_and_measure`.

        A network that fails in company is measured again alone before it is blamed.
        """
        with self._changed:
            self._waiting.append(order)
        while company := self._take(order):
            try:
                self._measure_all(company)
            finally:
                with self._changed:
                    self._turns += 1
                    self._changed.notify_all()
        return order.answer.result()

    def _take(self, order: Order) -> list[Order]:
        """Wait for a free board; who has waited longest for one, and of the others, in turn, whom the image has room
        for. Nobody once somebody has taken `order`.
        """
        with self._changed:
            self._changed.wait_for(lambda: order not in self._waiting or self._turns > 0)
            if order not in self._waiting:
                return []
            company: list[Order] = []
            for each in self._waiting:
                if len(company) < self.most and self._fits(each, company):
                    company.append(each)
            self._waiting = [each for each in self._waiting if each not in company]
            self._turns -= 1
            self._changed.notify_all()
            return company

    def _fits(self, order: Order, company: Sequence[Order]) -> bool:
        if not company:
            return True
        first, images = company[0].image, [each.image for each in (*company, order)]
        flash = first.baseline.image + sum(image.sizes.image - image.baseline.image for image in images)
        return (
            all(image.program is not None and image.program.fast_bytes == 0 for image in images)
            and (order.image.optimize, order.image.clock_hz) == (first.optimize, first.clock_hz)
            and order.image.sha256 not in {each.image.sha256 for each in company}
            and flash <= self._board.flash_bytes
        )

    def _measure_all(self, company: Sequence[Order]) -> None:
        """Answer every order of `company`."""
        try:
            images = self._together([order.image for order in company])
            for order, image in zip(company, images, strict=True):
                self._answer(order, image)
        except BaseException as error:
            for order in company:
                if not order.answer.done():
                    order.answer.set_exception(error)

    def _together(self, images: Sequence[Image]) -> Sequence[Image]:
        if len(images) == 1:
            return images
        try:
            return self._combine(images)
        except LimitError:
            # What each adds to an image alone says not quite what all of them take.
            return images

    def _answer(self, order: Order, image: Image) -> None:
        try:
            order.answer.set_result(self._run(order, image))
        except CandidateError as error:
            if image is order.image:
                order.answer.set_exception(error)
            else:
                self._answer(order, order.image)

    def _run(self, order: Order, image: Image) -> Measurement:
        return flash_and_measure(
            self._bench, image, order.inputs, repeats=order.repeats, accept=order.accept, label=order.label
        )
