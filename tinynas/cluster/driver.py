"""A study's link to its cluster: requests in, answers out, whatever becomes of workers and scheduler meanwhile.

Requests wait here until a place is free, in the order of their coming, so that no busy worker has a queue of them.
"""

import asyncio
import logging
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tinynas import paths
from tinynas.cluster import dask, depot, slots
from tinynas.cluster.messages import TRAIN, Done, File, Missing, Refused, Unable, pack, unpack
from tinynas.cluster.place import Place
from tinynas.errors import BenchError, InfrastructureError, NoBoardError, TinynasError

_log = logging.getLogger(__name__)
_LOOK_S = 1.0
_POLL_S = 0.2
_RPC_S = 10.0
_FETCH_S = 60.0
# How often one request may kill two workers before the study stops: it is never the candidate that pays.
_MOST_KILLED = 5


class CalledOffError(BenchError):
    """`Cluster.stop` was called."""


class _LostError(Exception):
    """A worker, the scheduler or the connection has gone, and the request with it."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A place that a worker offers now. `host`: the worker's process."""

    name: str
    address: str
    resource: str
    host: str
    arithmetic: str
    busy: bool


class Cluster:
    """A connection to the scheduler at `place`, renewed as often as it breaks. Any number of threads."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.id = uuid.uuid4().hex[:12]
        self._client: Any = None
        self._offers: tuple[Offer, ...] = ()
        self._running: Counter[str] = Counter()
        self._queue: dict[str, deque[object]] = {}
        self._lacking: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._depots: dict[str, threading.Lock] = {}
        # Whether the scheduler did not answer when it was asked last.
        self._gone = False
        self._watch = threading.Thread(target=self._keep_watching, name="cluster", daemon=True)

    def open(self) -> None:
        """Connect. Raises ConfigError, InfrastructureError: as `dask.probe`, or it is of another version."""
        dask.configure()
        dask.probe(self.place, "client")
        self._connect()
        self._look()
        self._watch.start()

    def close(self) -> None:
        """Give everything up."""
        self.stop()
        if self._watch.is_alive():
            self._watch.join()
        if self._client is not None:
            with suppress(Exception):
                self._client.close(timeout=2)

    def stop(self) -> None:
        """End all requests with CalledOffError."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def offers(self, resource: str) -> list[Offer]:
        """The places of this resource, as of a second ago."""
        return [each for each in self._offers if each.resource == resource]

    def places(self) -> tuple[Offer, ...]:
        """All places, as of a second ago."""
        return self._offers

    def await_offer(self, resource: str) -> None:
        """Wait for a place of this resource, and say so. Raises as `ask`."""
        while not self.offers(resource):
            self._complain(resource)
            with self._changed:
                self._changed.wait(_POLL_S)

    def ask(
        self,
        resource: str,
        what: str,
        request: Any,
        *,
        files: Sequence[File] = (),
        host: str | None = None,
    ) -> Done:
        """The answer to a request, of whoever can give it.

        host: the one worker process that can answer. files: what it may lack, and is given then.

        Raises:
            TinynasError: the work's own verdict.
            NoBoardError: nobody has offered such a board for as long as this cluster's file says.
            InfrastructureError: so, of training slots; there is no scheduler; workers die of the request; the worker
                process `host` is gone.
            CalledOffError: `stop` was called.
        """
        content, killed = pack(request), 0
        while True:
            with self._admitted(resource):
                try:
                    answer = self._submit(resource, content, host)
                except _LostError as error:
                    _log.warning("%s is done again: %s", what, error)
                    self._stopped.wait(_POLL_S)
                    killed += str(error).startswith("KilledWorker")
                    if killed > _MOST_KILLED:
                        raise InfrastructureError(
                            f"{what}: {2 * killed} workers died while they did it: it is not tried again ({error})"
                        ) from error
                    continue
            match answer:
                case Done():
                    return answer
                case Refused():
                    raise answer.error
                case Unable():
                    self._reasons[resource] = answer.reason
                    _log.warning("%s goes to another worker: %s", what, answer.reason)
                    # Until the worker has withdrawn its boards.
                    self._stopped.wait(2 * _LOOK_S)
                case Missing():
                    self._provide(answer, files)

    # -- waiting for a place

    @contextmanager
    def _admitted(self, resource: str) -> Iterator[None]:
        with self._changed:
            mine, queue = object(), self._queue.setdefault(resource, deque())
            queue.append(mine)
            try:
                while queue[0] is not mine or self._running[resource] >= len(self.offers(resource)):
                    self._complain(resource)
                    self._changed.wait(_LOOK_S)
                self._running[resource] += 1
            finally:
                queue.remove(mine)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._running[resource] -= 1
                self._changed.notify_all()

    def _complain(self, resource: str) -> None:
        """Say once that nobody offers the resource. Raises: nobody has for too long, or all is called off."""
        if self._stopped.is_set():
            raise CalledOffError("the study's work on the cluster was called off")
        if self.offers(resource):
            self._lacking.pop(resource, None)
            self._told.pop(resource, None)
            return
        since = self._lacking.setdefault(resource, time.monotonic())
        message = self._lack(resource)
        if time.monotonic() - since > self.place.wait_s:
            kind = InfrastructureError if resource == TRAIN or self._gone else NoBoardError
            raise kind(f"{message}, for {self.place.wait_s:,.0f} s; tinynas resume continues the study")
        if self._told.get(resource) != message:
            self._told[resource] = message
            _log.warning("%s; waiting for up to %s s", message, f"{self.place.wait_s:,.0f}")

    def _lack(self, resource: str) -> str:
        if self._gone:
            command = f"tinynas cluster start --cluster {self.place.file}"
            return f"there is no scheduler at {self.place.address}: start it again with {command}"
        kind = resource.partition(":")[2]
        offer = f"--board {kind}" if kind else "--train 1"
        said = f" ({self._reasons[resource]})" if resource in self._reasons else ""
        where = self.place.file if "://" not in self.place.file else ""
        command = f"tinynas worker --scheduler {self.place.address}{f' --cluster {where}' if where else ''} {offer}"
        return f"no worker offers {'a ' + kind if kind else 'a training slot'}{said}: start one with {command}"

    # -- one submission

    def _submit(self, resource: str, content: bytes, host: str | None) -> Any:
        """The answer. Raises _LostError, CalledOffError, and as `_complain`."""
        client = self._client
        addresses = None
        if host is not None:
            addresses = [each.address for each in self.offers(resource) if each.host == host]
            if not addresses:
                raise InfrastructureError(f"the worker {host} is gone")
        if client is None:
            raise _LostError("the scheduler is gone")
        future = None
        try:
            future = client.submit(
                slots.perform, content, pure=False, resources={resource: 1}, workers=addresses, retries=0
            )
            done = threading.Event()
            future.add_done_callback(lambda _: done.set())
            while not done.wait(_POLL_S):
                self._complain(resource)
                self._require_host(resource, host)
                if client.status in ("closed", "closing"):
                    raise _LostError("the scheduler is gone")
            # To fetch an answer may take longer than to look whether there is one.
            return unpack(future.result(timeout=_FETCH_S))
        except (TinynasError, _LostError):
            raise
        except (Exception, asyncio.CancelledError) as error:
            first, _, _ = str(error).partition("\n")
            raise _LostError(f"{type(error).__name__}: {first}") from error
        finally:
            if future is not None:
                # Also tells the scheduler to call it off, if it is not done.
                with suppress(Exception, asyncio.CancelledError):
                    future.release()

    def _require_host(self, resource: str, host: str | None) -> None:
        if host is not None and all(each.host != host for each in self.offers(resource)) and self._client is not None:
            raise InfrastructureError(f"the worker {host} is gone")

    # -- files

    def _provide(self, answer: Missing, files: Sequence[File]) -> None:
        """Give a depot what it lacks; whoever finds another thread at it waits, and asks again."""
        with self._changed:
            lock = self._depots.setdefault(answer.depot, threading.Lock())
        waited = lock.locked()
        with lock:
            for file in files if not waited else ():
                if file in answer.files:
                    self._send(answer.address, file)

    def _send(self, address: str, file: File) -> None:
        """Give the worker at `address` a file in pieces, through the scheduler: it need not be in reach of here."""
        content = (paths.home() / file.path).read_bytes()
        _log.info("%s, %d B, goes to %s", file.path, file.size, address)
        pieces = [content[start : start + depot.CHUNK_BYTES] for start in range(0, len(content), depot.CHUNK_BYTES)]
        offset = 0
        for piece in (*pieces, b""):
            message = {
                "op": depot.RECEIVE,
                "path": file.path.as_posix(),
                "sha256": file.sha256,
                "sender": self.id,
                "offset": offset,
                "content": piece,
            }
            client = self._client
            try:
                answers = client.sync(client.scheduler.broadcast, msg=message, workers=[address])
            except (Exception, asyncio.CancelledError) as error:
                # The request will find out whether the worker is still there.
                _log.warning("%s did not arrive at %s: %s", file.path, address, error)
                return
            if failure := answers[address].get("error"):
                raise InfrastructureError(f"worker {address}: {failure}")
            offset += len(piece)

    # -- the connection

    def _keep_watching(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            try:
                if self._client is None or self._client.status in ("closed", "closing"):
                    self._client = None
                    dask.probe(self.place, "client")
                    self._connect()
                self._look()
            except (Exception, asyncio.CancelledError) as error:
                _log.info("cluster: %s", error)
                self._gone = True
                self._set_offers(())

    def _connect(self) -> None:
        from distributed import Client

        try:
            self._client = Client(
                self.place.address,
                security=self.place.security("client"),
                set_as_default=False,
                timeout=_RPC_S,
                name=f"tinynas-{self.id}",
            )
        except OSError as error:
            raise InfrastructureError(f"the scheduler at {self.place.address} cannot be reached: {error}") from error

    def _look(self) -> None:
        """Learn what is offered. Raises ConfigError: the scheduler is of another version; what Dask raises."""
        client = self._client
        answer = client.sync(getattr(client.scheduler, dask.OFFERS), callback_timeout=_RPC_S)
        dask.require_same(answer["facts"], f"the scheduler at {self.place.address}")
        if client.status == "running":
            self._gone = False
            self._set_offers(tuple(_offer(each) for each in answer["places"]))

    def _set_offers(self, offers: tuple[Offer, ...]) -> None:
        ours = dask.arithmetic()
        for each in offers:
            if each.resource == TRAIN and each.arithmetic != ours and each.host not in self._told:
                self._told[each.host] = "arithmetic"
                _log.warning(
                    "worker %s has another CPU or other settings of TensorFlow than this machine: what it trains may "
                    "differ in the last bits, so that the study need not come out the same on other machines",
                    each.host,
                )
        with self._changed:
            self._offers = offers
            self._changed.notify_all()


def _offer(record: Mapping[str, Any]) -> Offer:
    texts = ("name", "address", "resource", "host", "arithmetic")
    return Offer(**{name: str(record.get(name, "")) for name in texts}, busy=bool(record.get("busy")))
