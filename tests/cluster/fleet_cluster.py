"""A cluster whose workers have the boards of a fleet (tests/device/fleet.py), one each, and what is measured on it."""

import fcntl
import itertools
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "device"))

import fleet_worker
from cluster_processes import Machines, free_port
from fleet import INPUTS, Fleet, FleetBoard, board_kind, compute, image_of, ticks_of

from tinynas.cluster.certificates import init_cluster
from tinynas.cluster.remote import ClusterPool, connected
from tinynas.device.pool import Order


class FleetMachines(Machines):
    """A cluster whose workers have a fleet's boards, each one of them."""

    def host(self, board, *arguments, **more):
        """A worker with board number `board`."""
        (self.folder / "bench.toml").write_text(self.fleet.file())
        command = [sys.executable, fleet_worker.__file__, self.folder, "--cluster", self.file, "--json"]
        command += ["--bench", self.folder / "bench.toml", "--board", f"b{board}", *arguments]
        name = f"host-{board}"
        # All locks of one machine lie in one folder.
        environment = {"TINYNAS_HOME": str(self.folder / name), "TMPDIR": str(self.folder), "TINYNAS_FLASH_S": "0.3"}
        process, _ = self.start(*map(str, command), log=f"{name}.log", **environment, **more)
        return process


@contextmanager
def fleet_machines(folder, *, boards=2, host="127.0.0.1", environment: Mapping[str, str] | None = None):
    """A fleet's boards, and a cluster in which nothing runs yet."""
    (folder / "boards").mkdir()
    init_cluster(folder / "lab", host, free_port())
    found = FleetMachines(folder=folder, file=folder / "lab" / "cluster.toml", environment=dict(environment or {}))
    numbers = range(boards)
    found.fleet = Fleet(folder=folder, boards=[FleetBoard(folder / "boards" / f"board-{n}", n) for n in numbers])
    try:
        yield found
    finally:
        found.end()
        for board in found.fleet.boards:
            board.close()


@contextmanager
def fleet_pool(machines):
    """The cluster's boards, as a study has them."""
    with connected(machines.place) as cluster:
        yield ClusterPool(cluster, board_kind())


def order(candidate):
    expected = np.stack([np.frombuffer(compute(candidate, each.tobytes()), np.int8) for each in INPUTS])
    return Order(image=image_of(candidate), inputs=INPUTS, expected=expected, repeats=2, label=str(candidate))


def require_right(machines, candidates, measurements):
    for candidate, found in zip(candidates, measurements, strict=True):
        assert {int(each) for each in found.ticks.flat} == {ticks_of(candidate)}
    assert [board.clashes for board in machines.fleet.boards] == [[] for _ in machines.fleet.boards]
    assert list(machines.folder.glob("boards/*/two flashers")) == []


def is_flashed(machines, board):
    path = machines.folder / "boards" / f"board-{board}" / "flashing"
    if not path.exists():
        return False
    with path.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def await_flashing(machines, timeout_s=120.0):
    """The number of a board that is being flashed."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for board in range(len(machines.fleet.boards)):
            if is_flashed(machines, board):
                return board
        time.sleep(0.01)
    raise AssertionError("no board was flashed")


def measured_while(pool, thread, first):
    """What candidates from `first` on measure for as long as the thread does its harm, and a few more."""
    candidates, found = itertools.count(first), {}

    def work(_):
        while thread.is_alive() or len(found) < 8:
            candidate = next(candidates)
            found[candidate] = pool.measure(order(candidate))

    thread.start()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    thread.join()
    return found
