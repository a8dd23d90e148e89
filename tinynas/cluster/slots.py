"""What a worker offers: training slots and boards. Each is one place for one task at a time, of a Dask worker of its
own, so that Dask's choice among those of one resource is by who has nothing to do.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from tinynas.boards import load_board
from tinynas.children import Children
from tinynas.cluster.depot import depot_name, missing
from tinynas.cluster.messages import (
    TRAIN,
    Build,
    Call,
    Check,
    Done,
    Measure,
    Missing,
    Refused,
    Unable,
    board_resource,
    function_named,
    pack,
    unpack,
)
from tinynas.compiler import Program
from tinynas.deploy.build import Image
from tinynas.deploy.desks import Desks
from tinynas.deploy.toolchains import toolchain_of
from tinynas.device.bench import Bench
from tinynas.device.pool import BenchPool
from tinynas.errors import InfrastructureError, NoBoardError, TinynasError, ToolchainError
from tinynas.model.process import configure_process

_log = logging.getLogger(__name__)


class Slot(Protocol):
    """A place for one task at a time."""

    resource: str

    @property
    def available(self) -> bool:
        """Whether it can take a task at all."""

    def perform(self, request: Any) -> Any:
        """The answer to a request, or what is in its way. Raises TinynasError: the work's own verdict."""

    def call_off(self) -> None:
        """Nobody waits for what is performed any more."""

    def close(self) -> None:
        """End what belongs to it."""


class TrainingSlot:
    """A CPU's work: one child process, which is kept while requests have the same limit on memory, and builds."""

    resource = TRAIN
    available = True

    def __init__(self, host: str, *, prepare: Callable[[], None] | None = configure_process) -> None:
        self._host, self._prepare = host, prepare
        self._lock = threading.Lock()
        self._children: Children | None = None
        self._memory_bytes = 0

    def perform(self, request: Call | Build) -> Done | Missing:
        if isinstance(request, Build):
            return Done(value=_build(request), host=self._host)
        from distributed.worker import get_worker

        lacking = missing(request.files)
        if lacking:
            return Missing(depot=depot_name(), address=str(get_worker().address), files=lacking)
        children = self._fresh(request.memory_bytes)
        function = function_named(request.function)
        value = children.call(request.what, request.timeout_s, function, *request.arguments, **request.keywords)
        return Done(value=value, host=self._host)

    def call_off(self) -> None:
        """Builds end by themselves, and soon."""
        self.close()

    def close(self) -> None:
        with self._lock:
            if self._children is not None:
                self._children.stop()
                self._children = None

    def _fresh(self, memory_bytes: int) -> Children:
        if memory_bytes != self._memory_bytes:
            self.close()
        with self._lock:
            if self._children is None:
                self._children = Children(1, memory_bytes=memory_bytes, prepare=self._prepare)
                self._memory_bytes = memory_bytes
            return self._children


def _build(request: Build) -> Sequence[Image]:
    """The images, without the networks in C that whoever asks has. Raises ToolchainError: they would be others here."""
    board, desks = load_board(request.board).at(request.clock_hz), Desks()
    if (found := toolchain_of(board)) != request.toolchain:
        raise ToolchainError(f"{board.toolchain}-gcc is {found} there, {request.toolchain} here")
    what = request.what
    images = [desks.build(board, what)] if isinstance(what, Program) else desks.build_together(board, what)
    return [replace(image, program=None) for image in images]


class Boards:
    """The boards of one kind of this worker, and which studies' results on them are suspect."""

    def __init__(self, host: str, kind: str, bench: Bench) -> None:
        self.host, self.kind, self.bench = host, kind, bench
        self._pool = BenchPool(bench)
        self._lock = threading.Lock()
        self._suspects: set[str] = set()

    def measure(self, request: Measure) -> Done | Unable:
        held = self.bench.quarantined
        if len(held) == self.bench.size:
            # The bench would wait for one of them, and here another worker may have a board.
            return Unable(reason="; ".join(f"{name}: {why}" for name, why in held.items()))
        order = request.order
        label = _label(request.study, order.label)
        try:
            return Done(value=self._pool.measure(replace(order, label=label)), host=self.host)
        except NoBoardError as error:
            return Unable(reason=str(error))

    def check(self, request: Check) -> Done:
        """Labels are those of all studies that measure here; each takes its own."""
        found = self._pool.suspects()
        with self._lock:
            self._suspects |= found
            own = {label for label in self._suspects if label.startswith(_label(request.study, ""))}
            self._suspects -= own
        return Done(value={label.partition("\n")[2] for label in own}, host=self.host)


class BoardSlot:
    """Place number `index` of a worker's boards of one kind: there are as many as boards that are not held."""

    def __init__(self, boards: Boards, index: int) -> None:
        self.resource = board_resource(boards.kind)
        self._boards, self._index = boards, index

    @property
    def available(self) -> bool:
        bench = self._boards.bench
        return self._index < bench.size - len(bench.quarantined)

    def perform(self, request: Measure | Check) -> Done | Unable:
        return self._boards.check(request) if isinstance(request, Check) else self._boards.measure(request)

    def call_off(self) -> None:
        """A measurement is over soon, and its board is free then."""

    def close(self) -> None:
        """The bench is closed by whoever opened it."""


# The slots of this process by the names of their Dask workers.
SLOTS: dict[str, Slot] = {}


def perform(content: bytes) -> bytes:
    """The one function that is ever submitted: a request to the slot of the Dask worker that it was given to."""
    from distributed.worker import get_worker

    slot, request, started = SLOTS[str(get_worker().name)], unpack(content), time.monotonic()
    try:
        answer = slot.perform(request)
    except TinynasError as error:
        return pack(Refused(error=error))
    except Exception as error:
        # Not to be done again by one worker after the other.
        _log.exception("a request failed")
        return pack(Refused(error=InfrastructureError(f"a worker failed: {type(error).__name__}: {error}")))
    return pack(replace(answer, seconds=time.monotonic() - started) if isinstance(answer, Done) else answer)


def _label(study: str, label: str) -> str:
    return f"{study}\n{label}"
