"""A cluster's faults on a larger scale than in the tests: `python tests/nightly/check_cluster.py`, and `--help`.

Fifty workers are killed in mid-flash; one is stopped for 30 s, with our own limit on silence; and the network between
scheduler and one worker is cut for 30 s, where this machine allows network namespaces. Boards and flashers are
simulated (tests/device/fleet.py), scheduler, workers, leases and guards are real. Ends with 1 if a result was wrong or
got lost, a board had two flashers or two users, or a late result was taken.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))
from fleet_cluster import FleetMachines, await_flashing, fleet_machines, fleet_pool, measured_while, require_right
from networks import connect, distinct_networks


def disturbed(machines: FleetMachines, harm: Callable[[], None], first: int) -> str:
    """Measure while harm is done; the stations that measured. Raises AssertionError where a result is wrong."""
    with fleet_pool(machines) as pool:
        measured = measured_while(pool, threading.Thread(target=harm), first)
    require_right(machines, measured.keys(), measured.values())
    return f"{len(measured)} results, all right and each of its own; no board had two flashers or two users"


def check_kills(folder: Path, count: int) -> str:
    killed = []
    with fleet_machines(folder, boards=3) as machines:
        machines.scheduler()
        hosts = [machines.host(board) for board in range(3)]

        def kill() -> None:
            while len(killed) < count:
                board = await_flashing(machines)
                hosts[board].kill()
                hosts[board].wait()
                killed.append(board)
                hosts[board] = machines.host(board)

        said = disturbed(machines, kill, 0)
    assert len(killed) == count
    return f"{count} workers killed in mid-flash: {said}"


def check_stop(folder: Path, seconds: float) -> str:
    with fleet_machines(folder) as machines:
        machines.scheduler()
        hosts = [machines.host(board) for board in range(2)]
        stopped = []

        def stop() -> None:
            board = await_flashing(machines)
            hosts[board].send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            hosts[board].send_signal(signal.SIGCONT)
            stopped.append(board)
            time.sleep(10)

        said = disturbed(machines, stop, 0)
        log = machines.log(f"host-{stopped[0]}")
        assert "is lost, what it did is given up" in log, log
        assert "offered again" in log, log
    return f"a worker stopped for {seconds:g} s: its late result was refused, and it offered itself again; {said}"


def check_partition(folder: Path, seconds: float) -> str:
    try:
        with distinct_networks(2) as networks, fleet_machines(folder, host=networks.here) as machines:
            machines.scheduler()
            for board, name in enumerate(networks.names):
                machines.host(board, prefix=networks.inside(name))

            def part() -> None:
                time.sleep(2)
                connect(networks.names[0], up=False)
                time.sleep(seconds)
                connect(networks.names[0], up=True)
                time.sleep(20)

            said = disturbed(machines, part, 0)
            log = machines.log("host-0")
            assert "offered again" in log, log
    except (OSError, subprocess.CalledProcessError) as error:
        return f"a partition: left out, this machine allows no network namespaces ({error})"
    return f"a network cut for {seconds:g} s: the worker offered itself again; {said}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long a worker, or the network, is gone")
    arguments = parser.parse_args()
    fine = True
    checks: tuple[tuple[Callable[[Path, float], str], float], ...] = (
        (check_stop, arguments.seconds),
        (check_partition, arguments.seconds),
        (lambda folder, count: check_kills(folder, int(count)), arguments.kills),
    )
    for check, scale in checks:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(f"{check(Path(folder), scale)} ({time.monotonic() - started:.0f} s)", flush=True)
            except AssertionError as error:
                fine = False
                print(f"FAILED: {error}", flush=True)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
