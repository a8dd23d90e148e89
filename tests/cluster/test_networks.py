"""Scheduler and workers with addresses of their own, in network namespaces, where the machine allows them."""

import subprocess
import threading
import time

import pytest
from fleet_cluster import fleet_machines, fleet_pool, measured_while, require_right
from networks import connect, distinct_networks

IMPATIENT = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "2s"}


@pytest.fixture
def networks():
    """Addresses of this machine and of two namespaces, each with a wire to it."""
    try:
        with distinct_networks(2) as found:
            yield found
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this machine allows no network namespaces: {error}")


def test_workers_elsewhere_go_on_after_a_partition(networks, tmp_path):
    with fleet_machines(tmp_path, host=networks.here, environment=IMPATIENT) as machines:
        machines.scheduler()
        for board, name in enumerate(networks.names):
            machines.host(board, prefix=networks.inside(name))
        with fleet_pool(machines) as pool:

            def part():
                deadline = time.monotonic() + 120
                while pool.size != 2 and time.monotonic() < deadline:
                    time.sleep(0.1)
                connect(networks.names[0], up=False)
                # Until the scheduler has given the worker up.
                while pool.size != 1 and time.monotonic() < deadline:
                    time.sleep(0.1)
                connect(networks.names[0], up=True)
                while pool.size != 2 and time.monotonic() < deadline:
                    time.sleep(0.1)

            measured = measured_while(pool, threading.Thread(target=part), 2000)
            require_right(machines, measured.keys(), measured.values())
            assert {found.station for found in measured.values()} == {"b0", "b1"}
            assert pool.size == 2
            hosts = {offer.address for offer in pool._cluster.places()}
            assert {address.split("/")[2].partition(":")[0] for address in hosts} == set(networks.addresses)
    assert "is lost, what it did is given up" in machines.log("host-0")
