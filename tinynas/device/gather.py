"""Several networks in one image: those that wait while the boards are busy are flashed together.

Nobody waits for company. Whoever is first when a board is free takes along who waits by then: where flashing is slow,
so that boards are waited for, it is paid once for many; where it is not, each goes alone.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from tinynas.boards import Board
from tinynas.deploy.build import Image
from tinynas.device.measure import Measurement
from tinynas.device.pool import Order, Pool
from tinynas.errors import CandidateError, LimitError

# How often a pool is asked whether it has grown.
_SIZE_POLL_S = 1.0

# One image of those of several networks: each of them, with that one in its place.
Combine = Callable[[Sequence[Image]], Sequence[Image]]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Waiting:
    """An order, and where whoever waits for it finds the answer."""

    order: Order
    answer: "Future[Measurement]" = field(default_factory=Future)


class Gathering:
    """Measures the orders of several threads on the boards of a pool, at most `most` networks to an image."""

    def __init__(self, pool: Pool, board: Board, combine: Combine, *, most: int) -> None:
        self._pool = pool
        self._board = board
        self._combine = combine
        self.most = most
        self._changed = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._busy = 0

    def measure(self, order: Order) -> Measurement:
        """The measurement of `order`, whoever takes it along. Raises as `Pool.measure`.

        A network that fails in company is measured again alone before it is blamed.
        """
        mine = _Waiting(order=order)
        with self._changed:
            self._waiting.append(mine)
        while company := self._take(mine):
            try:
                self._measure_all(company)
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()
        return mine.answer.result()

    def _take(self, mine: _Waiting) -> list[_Waiting]:
        """Wait for a free board; who has waited longest for one, and of the others, in turn, whom the image has room
        for. Nobody once somebody has taken `mine`.
        """
        with self._changed:
            # One goes on even where there is no board at all: the pool says what is wrong.
            while mine in self._waiting and self._busy >= max(1, self._pool.size):
                self._changed.wait(_SIZE_POLL_S)
            if mine not in self._waiting:
                return []
            company: list[_Waiting] = []
            for each in self._waiting:
                if len(company) < self.most and self._fits(each.order, [one.order for one in company]):
                    company.append(each)
            self._waiting = [each for each in self._waiting if each not in company]
            self._busy += 1
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

    def _measure_all(self, company: Sequence[_Waiting]) -> None:
        """Answer every order of `company`."""
        try:
            images = self._together([each.order.image for each in company])
            for each, image in zip(company, images, strict=True):
                self._answer(each, image)
        except BaseException as error:
            for each in company:
                if not each.answer.done():
                    each.answer.set_exception(error)

    def _together(self, images: Sequence[Image]) -> Sequence[Image]:
        if len(images) == 1:
            return images
        try:
            return self._combine(images)
        except LimitError:
            # What each adds to an image alone says not quite what all of them take.
            return images

    def _answer(self, waiting: _Waiting, image: Image) -> None:
        order = waiting.order
        try:
            waiting.answer.set_result(self._pool.measure(replace(order, image=image)))
        except CandidateError as error:
            if image is order.image:
                waiting.answer.set_exception(error)
            else:
                self._answer(waiting, order.image)
