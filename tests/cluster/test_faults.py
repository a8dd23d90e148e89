"""Workers and schedulers fail while boards are flashed and measured: every result is right, and nobody else's."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fleet_cluster import await_flashing, fleet_machines, fleet_pool, measured_while, order, require_right

from tinynas.device.journal import Journal

# A stopped worker is given up after 5 to 7 s, in which ten heartbeats fall; our setting is 12.
IMPATIENT = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "2s"}


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    with fleet_machines(tmp_path_factory.mktemp("fleet"), environment=IMPATIENT) as found:
        found.running, _ = found.scheduler()
        found.hosts = [found.host(0), found.host(1)]
        yield found


@pytest.fixture
def pool(machines):
    with fleet_pool(machines) as pool:
        yield pool


def test_workers_killed_in_mid_flash_leave_one_flasher_to_a_board_and_every_result_right(machines, pool):
    killed = []

    def kill():
        for _ in range(2):
            board = await_flashing(machines)
            machines.hosts[board].kill()
            machines.hosts[board].wait()
            killed.append(board)
            machines.hosts[board] = machines.host(board)

    measured = measured_while(pool, threading.Thread(target=kill), 100)
    assert len(killed) == 2
    require_right(machines, measured.keys(), measured.values())


def test_a_scheduler_that_is_killed_and_started_again_costs_no_result(machines, pool):
    def restart():
        await_flashing(machines)
        machines.running.kill()
        machines.running.wait()
        time.sleep(1.0)
        machines.running, _ = machines.scheduler()

    measured = measured_while(pool, threading.Thread(target=restart), 1000)
    require_right(machines, measured.keys(), measured.values())


def test_the_late_result_of_a_worker_that_was_stopped_is_refused(machines, pool):
    with ThreadPoolExecutor(1) as threads:
        measuring = threads.submit(pool.measure, order(40))
        stopped = await_flashing(machines)
        machines.hosts[stopped].send_signal(signal.SIGSTOP)
        try:
            found = measuring.result(timeout=60)
        finally:
            machines.hosts[stopped].send_signal(signal.SIGCONT)
    assert found.station == f"b{1 - stopped}"
    require_right(machines, [40], [found])
    deadline = time.monotonic() + 30
    while "offered again" not in machines.log(f"host-{stopped}") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "is lost, what it did is given up" in machines.log(f"host-{stopped}")
    # It measures again, and what it delivers is what was asked for now.
    with ThreadPoolExecutor(4) as threads:
        measured = list(threads.map(pool.measure, map(order, range(41, 47))))
    require_right(machines, range(41, 47), measured)


def test_a_held_board_is_withdrawn_and_offered_again(machines, pool):
    journal = Journal(machines.folder / "host-0" / "bench" / "journal.db")
    journal.note("b0", "reserve", detail="Ada solders")
    deadline = time.monotonic() + 20
    while pool.size != 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert pool.size == 1
    assert {pool.measure(order(number)).station for number in (50, 51)} == {"b1"}
    journal.note("b0", "release")
    while pool.size != 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert pool.size == 2


def test_what_a_worker_measured_on_a_board_that_has_drifted_since_is_suspect(machines, pool):
    assert pool.suspects() == set()
    with ThreadPoolExecutor(4) as threads:
        found = dict(zip(range(60, 70), threads.map(pool.measure, map(order, range(60, 70))), strict=True))
    machines.fleet.boards[1].slowness = 1.1
    assert pool.suspects() == {str(number) for number, each in found.items() if each.station == "b1"} != set()
    assert pool.suspects() == set()


def test_a_worker_that_is_gone_leaves_what_it_measured_suspect(machines, pool):
    measured = [pool.measure(order(number)) for number in (70, 71)]
    assert {each.station for each in measured} == {"b0"}
    machines.hosts[0].kill()
    machines.hosts[0].wait()
    try:
        assert pool.suspects() == {"70", "71"}
    finally:
        machines.hosts[0] = machines.host(0)


def test_ctrl_c_ends_worker_and_scheduler_calmly(machines):
    for process in (*machines.hosts, machines.running):
        process.send_signal(signal.SIGINT)
    assert [process.wait(30) for process in (*machines.hosts, machines.running)] == [0, 0, 0]
    assert "Traceback" not in "".join(path.read_text() for path in machines.folder.glob("*.log"))
    assert "worker: ended" in machines.log("host-0")
