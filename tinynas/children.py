"""Dangerous work in child processes, with limits on time and memory.

Conversion, foreign models and training crash, hang and exhaust memory now and then. Such a child costs one candidate
(ChildError), never the search. Children start afresh (spawn), ignore Ctrl-C, which is the parent's to answer, and die
with their parent.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures import wait
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Protocol, Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from tinynas.errors import ChildError, TinynasError

P = ParamSpec("P")
T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
# TensorFlow keeps some 13 MB of every network that was trained: a search of days needs fresh children now and then.
_CALLS_PER_CHILD = 64
_POLL_S = 0.2


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends; elsewhere a broken pipe ends it a little later."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _begin(memory_bytes: int, prepare: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    # What a library prints must not end up between the lines of the parent's `--json`.
    os.dup2(2, 1)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if prepare is not None:
        prepare()


class Crew(Protocol):
    """Who does a study's dangerous work: children of this process, or of workers on other machines."""

    @property
    def size(self) -> int:
        """How many calls run at the same time."""

    def call(self, what: str, timeout_s: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in a child and return its result. `what` names the work in messages.

        Raises:
            TinynasError: what the function raised on purpose.
            ChildError: the child crashed, ran for more than `timeout_s`, exceeded its memory or raised anything else,
                or `stop` was called.
        """

    def place(self, path: Path) -> None:
        """Let functions read the file `path`, relative to tinynas' home, wherever they run."""

    def stop(self) -> None:
        """End all children now; unfinished calls, also those of other threads, end with ChildError."""


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Have children not hear Ctrl-C from their first moment on, before they can say so: a terminal sends it to all of a
    command's processes. They, and the pool's threads that start them, inherit what is blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Children:
    """A pool of `count` children, each limited to `memory_bytes` of address space; `prepare` runs once in each."""

    def __init__(self, count: int, *, memory_bytes: int, prepare: Callable[[], None] | None = None) -> None:
        self._pool = ProcessPool(
            max_workers=count,
            max_tasks=_CALLS_PER_CHILD,
            context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(memory_bytes, prepare),
        )
        self.size = count
        self._memory_bytes = memory_bytes
        self._stopped = threading.Event()

    def call(self, what: str, timeout_s: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `Crew.call`."""
        try:
            with _deaf():
                future = self._pool.schedule(function, args=list(args), kwargs=kwargs, timeout=timeout_s)
            # A pool that is stopped leaves some of its futures without an answer for ever.
            while not wait([future], timeout=_POLL_S).done:
                if self._stopped.is_set():
                    raise ChildError(f"{what} was called off")
            result: T = future.result()
        except TinynasError:
            raise
        except (FutureTimeoutError, TimeoutError) as error:
            raise ChildError(f"{what} took more than {timeout_s:,.0f} s and was stopped") from error
        except ProcessExpired as error:
            raise ChildError(f"{what} crashed its process ({_how(error)})") from error
        except MemoryError as error:
            raise ChildError(f"{what} needs more than {self._memory_bytes:,} B of memory") from error
        except Exception as error:
            raise ChildError(f"{what} failed: {type(error).__name__}: {error}") from error
        return result

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def place(self, path: Path) -> None:
        """Its children have the home of this process."""

    def stop(self) -> None:
        """As `Crew.stop`."""
        self._stopped.set()
        with contextlib.suppress(RuntimeError):
            self._pool.stop()
        self._pool.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _how(error: Any) -> str:
    code = error.exitcode
    if isinstance(code, int) and code < 0:
        return signal.Signals(-code).name
    return f"exit status {code}"


def call_in_child(
    what: str,
    timeout_s: float,
    memory_bytes: int,
    function: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run `function` once in a child of its own; errors as `Crew.call`."""
    with Children(1, memory_bytes=memory_bytes) as children:
        return children.call(what, timeout_s, function, *args, **kwargs)
