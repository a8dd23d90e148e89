"""tools/setup on a machine that is set up already."""

import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.skipif(not (CHECKOUT / ".venv" / "tinynas-stamp").is_file(), reason="tools/setup was not used here")
def test_a_second_set_up_changes_nothing():
    stamp = CHECKOUT / ".venv" / "tinynas-stamp"
    before = stamp.stat().st_mtime_ns
    result = subprocess.run([CHECKOUT / "tools" / "setup"], capture_output=True, text=True, check=True)
    assert result.stderr == "setup: ready\n"
    assert result.stdout == ""
    assert stamp.stat().st_mtime_ns == before


@pytest.mark.parametrize("tool", ["setup", "test", "check", "demo"])
def test_every_tool_is_a_valid_shell_script(tool):
    path = CHECKOUT / "tools" / tool
    assert path.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(path)], check=True)
