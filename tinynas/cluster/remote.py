"""A study's crew, workshop and boards where they are a cluster's: the same interfaces as those of this machine."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, ParamSpec, TypeVar, cast

from tinynas.boards import Board
from tinynas.cluster import depot
from tinynas.cluster.driver import CalledOffError, Cluster
from tinynas.cluster.messages import TRAIN, Build, Call, Check, File, Measure, board_resource, name_of
from tinynas.cluster.place import Place
from tinynas.compiler import Program
from tinynas.deploy.build import Image
from tinynas.deploy.desks import Desks
from tinynas.deploy.toolchains import toolchain_of
from tinynas.device.bench import BoardNow
from tinynas.device.measure import Measurement
from tinynas.device.pool import Order
from tinynas.errors import ChildError, InfrastructureError, ToolchainError

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def connected(place: Place) -> Iterator[Cluster]:
    """A connection to a cluster. Raises as `Cluster.open`."""
    cluster = Cluster(place)
    try:
        cluster.open()
        yield cluster
    finally:
        cluster.close()


class ClusterCrew:
    """Calls in children of the cluster's training slots, each limited to `memory_bytes` of address space."""

    def __init__(self, cluster: Cluster, *, memory_bytes: int) -> None:
        self._cluster, self._memory_bytes = cluster, memory_bytes
        self._lock = Lock()
        self._files: tuple[File, ...] = ()

    @property
    def size(self) -> int:
        """How many training slots there are now."""
        return len(self._cluster.offers(TRAIN))

    def call(self, what: str, timeout_s: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `Crew.call`, and as `Cluster.ask`."""
        with self._lock:
            files = self._files
        request = Call(
            what=what,
            function=name_of(function),
            arguments=args,
            keywords=kwargs,
            timeout_s=timeout_s,
            memory_bytes=self._memory_bytes,
            files=files,
        )
        try:
            answer = self._cluster.ask(TRAIN, what, request, files=files)
        except CalledOffError as error:
            raise ChildError(f"{what} was called off") from error
        return cast(T, answer.value)

    def place(self, path: Path) -> None:
        """As `Crew.place`: the file must be below this home."""
        with self._lock:
            self._files = (*self._files, depot.file_of(path))

    def stop(self) -> None:
        """As `Crew.stop`."""
        self._cluster.stop()


class ClusterWorkshop:
    """Builds at the training slots of a cluster; on this machine what a vendor's platform builds, which not every host
    shall fetch, and what a slot cannot build as it would be built here.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._here = cluster, Desks()
        self._told: set[str] = set()

    def build(self, board: Board, program: Program) -> Image:
        found = self._built(board, program)
        return self._here.build(board, program) if found is None else replace(found[0], program=program)

    def build_together(self, board: Board, images: Sequence[Image]) -> tuple[Image, ...]:
        found = self._built(board, tuple(images))
        if found is None:
            return self._here.build_together(board, images)
        return tuple(replace(each, program=image.program) for each, image in zip(found, images, strict=True))

    def _built(self, board: Board, what: Program | tuple[Image, ...]) -> Sequence[Image] | None:
        if board.vendor is not None:
            return None
        request = Build(board=board.name, clock_hz=board.clock_hz, toolchain=toolchain_of(board), what=what)
        try:
            return cast(Sequence[Image], self._cluster.ask(TRAIN, f"building for {board.name}", request).value)
        except ToolchainError as error:
            first, _, _ = str(error).partition("\n")
            if first not in self._told:
                self._told.add(first)
                _log.warning("a worker cannot build for %s, so this machine does: %s", board.name, first)
            return None


class ClusterPool:
    """All boards of one kind on a cluster."""

    def __init__(self, cluster: Cluster, board: Board) -> None:
        self._cluster, self._board = cluster, board
        self._resource = board_resource(board.name)
        self._lock = Lock()
        # Labels by the worker process whose boards are yet to be checked.
        self._unchecked: dict[str, set[str]] = {}

    @property
    def size(self) -> int:
        return len(self._cluster.offers(self._resource))

    @property
    def drifts(self) -> bool:
        return not self._board.emulated

    def measure(self, order: Order) -> Measurement:
        # The C of a network has done its work, and a board needs the image alone.
        travelling = replace(order, image=replace(order.image, program=None))
        request = Measure(board=self._board.name, order=travelling, study=self._cluster.id)
        answer = self._cluster.ask(self._resource, f"measuring {order.label}", request)
        if self.drifts:
            with self._lock:
                self._unchecked.setdefault(answer.host, set()).add(order.label)
        return cast(Measurement, answer.value)

    def suspects(self) -> set[str]:
        """As `Pool.suspects`; what a worker measured that is gone is repeated, since nobody can check its boards."""
        with self._lock:
            unchecked, self._unchecked = self._unchecked, {}
        found: set[str] = set()
        for host, labels in unchecked.items():
            request = Check(board=self._board.name, study=self._cluster.id)
            try:
                found |= self._cluster.ask(self._resource, f"checking boards of {host}", request, host=host).value
            except InfrastructureError:
                found |= labels
        return found

    def now(self) -> list[BoardNow]:
        return [
            BoardNow(
                name=place.name, kind=self._board.name, work="a network" if place.busy else None, seconds=0.0, held=None
            )
            for place in self._cluster.offers(self._resource)
        ]


def describe(place: Place) -> dict[str, Any]:
    """What the workers of a cluster offer, as JSON values. Raises as `Cluster.open`."""
    with connected(place) as cluster:
        places = cluster.places()
    hosts = sorted({each.host for each in places})
    workers = []
    for host in hosts:
        own = [each for each in places if each.host == host]
        offers = [
            {
                "resource": resource,
                "count": sum(each.resource == resource for each in own),
                "busy": sum(each.resource == resource and each.busy for each in own),
            }
            for resource in sorted({each.resource for each in own})
        ]
        workers.append({"host": host, "offers": offers})
    return {"scheduler": place.address, "workers": workers}
