"""A wall clock that is moved while a study is searched changes nothing that is decided by durations."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("seconds", [-86_400, 86_400], ids=["a day back", "a day on"])
def test_a_clock_that_is_moved_harms_no_study_time_limit_status_or_lease(tmp_path, seconds):
    library = tmp_path / "moved_clock.so"
    flags = ("-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
    subprocess.run(["cc", *flags, "-o", library, HERE / "moved_clock.c", "-ldl"], check=True)
    ended = subprocess.run(
        [sys.executable, str(HERE / "clock_moves.py"), str(tmp_path), str(seconds)],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["study"].pop("moved_s") == pytest.approx(seconds, abs=60)
    assert found["study"] == {"same": True, "repeated": []}
    times = found["time_budget"]
    assert 0 <= times["before_s"] - times["after_s"] < 5
    assert 0 <= times["elapsed_s"] < 5
    assert found["status"] == {"heard": True, "left": False}
    assert found["lease"] == {
        "taken": True,
        "given at once": False,
        "given after the move": False,
        "epoch": 1,
        "given after its silence": True,
        "the silent one": "is refused",
    }
