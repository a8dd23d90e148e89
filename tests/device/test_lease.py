import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tinynas.device import lease as lease_module
from tinynas.device.lease import Lease
from tinynas.errors import BenchError, LeaseLostError

# Leases the board of its first argument, says so, and waits to be told to deliver.
HOLDER = """
import sys
from pathlib import Path
from tinynas.device import lease
from tinynas.errors import LeaseLostError
lease._RENEW_S = 0.05
board = lease.Lease(Path(sys.argv[1]), "left")
assert board.acquire()
epoch = board.epoch
print(epoch, flush=True)
sys.stdin.readline()
try:
    print("delivered", board.epoch, flush=True)
except LeaseLostError as error:
    print("refused", error, flush=True)
"""


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "board.lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "1\n"
        yield process
        process.kill()


def test_a_lease_ends_with_its_process_and_the_next_one_has_another_epoch(tmp_path, holder):
    lease = Lease(tmp_path / "board.lock", "left")
    assert not lease.acquire()
    assert lease.holder().pid == holder.pid
    holder.kill()
    holder.wait()
    assert lease.acquire()
    assert lease.epoch == 2
    lease.release()
    assert lease.acquire()
    assert lease.epoch == 3
    lease.release()


def test_a_stopped_process_loses_its_lease_and_its_late_result_is_refused(tmp_path, holder):
    holder.send_signal(signal.SIGSTOP)
    lease = Lease(tmp_path / "board.lock", "left", stale_s=0.5)
    assert not lease.acquire()
    deadline = time.monotonic() + 10
    while not lease.acquire():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert lease.epoch == 2
    holder.send_signal(signal.SIGCONT)
    out, _ = holder.communicate("now\n", timeout=10)
    assert out == (
        f"refused board left: lease 1 has ended, process {os.getpid()} holds lease 2: its results are refused\n"
    )
    # What the first one did when it ended must not free the board.
    assert not Lease(tmp_path / "board.lock", "left").acquire()
    assert lease.epoch == 2
    lease.release()


def test_a_process_that_works_keeps_its_lease_however_long_another_one_waits(tmp_path, holder):
    waiting = Lease(tmp_path / "board.lock", "left", stale_s=0.3)
    ends = time.monotonic() + 1.0
    while time.monotonic() < ends:
        assert not waiting.acquire()
        time.sleep(0.02)
    out, _ = holder.communicate("now\n", timeout=10)
    assert out == "delivered 1\n"


def test_a_dead_holders_flasher_keeps_the_board_for_as_long_as_it_lives(tmp_path):
    path = tmp_path / "board.lock"
    program = (
        "import subprocess, sys; from pathlib import Path; from tinynas.device.lease import Lease; "
        "lease = Lease(Path(sys.argv[1]), 'left'); assert lease.acquire(); "
        "print(subprocess.Popen(['sleep', '1'], pass_fds=[lease.descriptor]).pid)"
    )
    subprocess.run([sys.executable, "-c", program, path], check=True, stdout=subprocess.DEVNULL)
    started = time.monotonic()
    lease = Lease(path, "left", stale_s=0.1)
    while not lease.acquire():
        time.sleep(0.02)
    assert time.monotonic() - started > 0.5
    lease.release()


def test_of_many_that_wait_for_a_silent_one_a_single_one_gets_the_board(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(lease_module, "_RENEW_S", 0.02)
    holder.send_signal(signal.SIGSTOP)
    leases = [Lease(tmp_path / "board.lock", "left", stale_s=0.2) for _ in range(8)]
    took = []
    ends = time.monotonic() + 1.5

    def wait(lease):
        while time.monotonic() < ends:
            if lease.acquire():
                took.append(lease)
                return

    threads = [threading.Thread(target=wait, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (only,) = took
    assert only.epoch == 2
    only.release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"epoch": "x"}', b"\xff", b'{"epoch": 1e999, "pid": 1}'])
def test_a_damaged_lock_file_does_not_lock_a_board_out(tmp_path, content):
    (tmp_path / "board.lock").write_bytes(content)
    lease = Lease(tmp_path / "board.lock", "left")
    assert lease.acquire()
    assert lease.epoch == 1
    lease.release()


def test_what_was_not_leased_has_no_epoch(tmp_path):
    lease = Lease(tmp_path / "board.lock", "left")
    with pytest.raises(LeaseLostError, match="lease none has ended, nobody holds it"):
        _ = lease.epoch
    with pytest.raises(ValueError, match="left is not leased"):
        _ = lease.descriptor


def test_a_lock_that_cannot_be_written_is_the_benchs_fault(tmp_path):
    with pytest.raises(BenchError, match=r"cannot be written: .*No such file"):
        Lease(tmp_path / "missing" / "board.lock", "left").acquire()


def test_a_lease_is_renewed_several_times_before_it_counts_as_silent():
    assert lease_module._RENEW_S * 10 < lease_module.STALE_S
