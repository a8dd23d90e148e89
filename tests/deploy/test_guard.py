"""What a killed tinynas leaves behind: nothing that could meet its successor on the same board."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tinynas.deploy import guard
from tinynas.lock import FileLock

# A flasher three processes deep, as PlatformIO's is: it says that it works until it ends.
FLASHER = "sh -c 'sh -c \"while :; do echo $$ >> beats; sleep 0.02; done\" & wait' & wait"


def guarded(command, **options):
    return subprocess.Popen([sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *command], **options)


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137), ("kill -9 0", 137)])
def test_the_programs_exit_status_is_told(script, code):
    assert guarded(["/bin/sh", "-c", script]).wait(10) == code


def test_a_parent_that_has_ended_before_starts_nothing(tmp_path):
    command = [sys.executable, "-I", "-S", guard.__file__, "1", "/bin/sh", "-c", "touch started"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_who_is_told_to_end_ends_everything_first(tmp_path):
    process = guarded(["/bin/sh", "-c", FLASHER], cwd=tmp_path)
    wait_for(tmp_path / "beats")
    process.terminate()
    process.wait(10)
    assert_silent(tmp_path / "beats")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_killed_in_mid_flash_leaves_no_flasher_when_the_board_is_free(tmp_path, number):
    worker = (
        "import os, subprocess, sys, time; from pathlib import Path; from tinynas.lock import FileLock; "
        "board = FileLock(Path('lock')); assert board.acquire(); "
        "subprocess.Popen([sys.executable, '-I', '-S', sys.argv[1], str(os.getpid()), '/bin/sh', '-c', sys.argv[2]], "
        "pass_fds=[board.descriptor], start_new_session=True).wait()"
    )
    process = subprocess.Popen([sys.executable, "-c", worker, guard.__file__, FLASHER], cwd=tmp_path)
    wait_for(tmp_path / "beats")
    process.send_signal(number)
    process.wait()
    board = FileLock(tmp_path / "lock")
    deadline = time.monotonic() + 10
    while not board.acquire():
        assert time.monotonic() < deadline
    assert_silent(tmp_path / "beats")
    board.release()


def wait_for(path: Path):
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_silent(beats: Path):
    size = beats.stat().st_size
    time.sleep(0.3)
    assert beats.stat().st_size == size
