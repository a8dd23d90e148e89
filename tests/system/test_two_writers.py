"""Two processes that open one study."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

FROZEN = Path(__file__).parents[1] / "study" / "frozen" / "2026-11-24.db"
WRITER = """
import sys, time
from pathlib import Path
from tinynas.study.store import Store
with Store.open_to_write(Path(sys.argv[1])):
    print("open", flush=True)
    time.sleep(600)
"""


def resumed(path):
    command = [sys.executable, "-m", "tinynas", "resume", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_the_second_is_refused_with_the_firsts_process_and_host_until_that_one_has_ended(tmp_path):
    path = Path(shutil.copy(FROZEN, tmp_path / "s.db"))
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "open\n"
        second = resumed(path)
        assert second.returncode == 4
        assert f"is being written by process {first.pid} on {socket.gethostname()} since" in second.stderr
        assert "wait for it or stop it" in second.stderr
        first.send_signal(signal.SIGKILL)
    lock = path.with_name("s.db.lock")
    assert f"process {first.pid}" in lock.read_text(), "a killed writer leaves its name"
    third = subprocess.run(
        [sys.executable, "-c", WRITER.replace("time.sleep(600)", ""), str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert (third.returncode, third.stdout) == (0, "open\n"), third.stderr
