"""Ctrl-C while a search runs: once, and it ends after the candidates that are under way; twice, and it ends at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interruption:
    """Whether a person wants a run to end."""

    def __init__(self) -> None:
        self._asked = self._patient = self._told = False

    @property
    def asked(self) -> bool:
        """Whether it is to end after what is under way."""
        return self._asked

    def is_news(self) -> bool:
        """Whether it is to end, and nobody has been told so."""
        news, self._told = self._asked and not self._told, self._asked
        return news

    def wait_for_candidates(self) -> None:
        """From now on there is something worth waiting for. Before that, the first Ctrl-C ends the run at once."""
        self._patient = True

    def hear(self, *_: Any) -> None:
        """Handle a Ctrl-C.

        Raises:
            KeyboardInterrupt: the run is to end at once.
        """
        if self._asked or not self._patient:
            raise KeyboardInterrupt
        self._asked = True


@contextmanager
def heard() -> Iterator[Interruption]:
    """Take Ctrl-C as this module says for as long as the block lasts. Where it is ignored, it stays so."""
    interruption = Interruption()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interruption
        return
    signal.signal(signal.SIGINT, interruption.hear)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
