"""What all instruments have in common whose samples come by themselves, in a thread that is not ours to hold up."""

import contextlib
import threading
import time
from abc import ABC, abstractmethod

from tinynas.cost import Source
from tinynas.device.meters.contract import Recording, Subject
from tinynas.errors import MeterError

# How long samples may take from the instrument to here.
LAG_S = 2.0
# When the first sample was taken is known no better than the lag of its block: record so much longer.
_MARGIN_S = 0.25
_POLL_S = 0.01


class Stream(ABC):
    """One recording of the instrument `name`. Whatever thread takes the samples says so by `_came`, and by `_failed`
    what ended it, which the next call raises.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._error: Exception | None = None
        self._first = threading.Event()
        self._begun = self._latest = time.monotonic()

    @property
    @abstractmethod
    def seconds(self) -> float:
        """How much time the samples stand for that came [s]."""

    @abstractmethod
    def recording(self) -> Recording:
        """What was recorded."""

    @abstractmethod
    def _close(self) -> None:
        """Take no more samples."""

    def await_samples(self) -> None:
        """Return when samples come. Raises MeterError."""
        self._first.wait(LAG_S)
        self.require_alive()
        if not self._first.is_set():
            raise MeterError(f"meter {self._name} sends no samples")

    def require_alive(self) -> None:
        """Raises MeterError: what took the samples failed, or none came for too long."""
        if self._error is not None:
            raise MeterError(f"meter {self._name} went away: {self._error}") from self._error
        if time.monotonic() - self._latest > LAG_S:
            raise MeterError(f"meter {self._name} went away: no samples for {LAG_S:g} s")

    def end(self) -> None:
        """Take the samples up to now, and no more. Raises MeterError."""
        lasted_s = time.monotonic() + _MARGIN_S - self._begun
        deadline = time.monotonic() + LAG_S
        while self._error is None and self.seconds < lasted_s and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        self._close()
        self.require_alive()

    def _came(self, seconds: float) -> None:
        """Samples came, of so much time. From the first ones on time is counted in samples."""
        self._latest = time.monotonic()
        if not self._first.is_set():
            self._begun = self._latest - seconds
            self._first.set()

    def _failed(self, error: Exception) -> None:
        self._error = error
        self._first.set()


class StreamingMeter(ABC):
    """An instrument that streams from `start` to `stop`. It is connected between `__enter__` and `__exit__`, which
    are the instrument's own, and `_end_stream` before it is let go of.
    """

    source: Source = "measured"
    shortest_s = 10.0

    def __init__(self) -> None:
        self._stream: Stream | None = None

    @abstractmethod
    def _begin(self) -> Stream:
        """Begin to record. Raises MeterError."""

    def start(self, subject: Subject) -> None:
        self._end_stream()
        self._stream = self._begin()
        self._stream.await_samples()

    def ran(self, latency_s: float) -> None:
        self._running().require_alive()

    def stop(self) -> Recording:
        stream, self._stream = self._running(), None
        stream.end()
        return stream.recording()

    def _running(self) -> Stream:
        if self._stream is None:
            raise ValueError("the meter was not started")
        return self._stream

    def _end_stream(self) -> None:
        """Forget what is being recorded."""
        if self._stream is not None:
            with contextlib.suppress(MeterError):
                self._stream.end()
            self._stream = None
