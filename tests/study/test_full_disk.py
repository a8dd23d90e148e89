"""A disk that is full or broken, or a kill, at each call that changes a study's files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinynas.errors import StoreError
from tinynas.study.store import Store

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def failing_files(tmp_path_factory):
    """The file layer that fails, compiled."""
    library = tmp_path_factory.mktemp("layer") / "failing_files.so"
    flags = ("-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
    subprocess.run(["cc", *flags, "-o", str(library), str(HERE / "failing_files.c"), "-ldl"], check=True)
    return library


def outcomes(failing_files, folder, step, *faults):
    ended = subprocess.run(
        [sys.executable, str(HERE / "short_study.py"), str(folder), str(step), *faults],
        env={**os.environ, "LD_PRELOAD": str(failing_files)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.slow
def test_wherever_the_disk_fails_the_study_is_readable_and_ends_as_if_it_had_not(failing_files, tmp_path):
    found = outcomes(failing_files, tmp_path, 1, "ENOSPC", "EIO")
    for outcome in found.values():
        assert outcome["wrong"] == {}
        assert outcome["tried"] == outcome["calls"] > 100
        # Before there is a study, and after.
        assert all("start the search again" in each or "tinynas resume PATH" in each for each in outcome["messages"])
    assert any("full" in each for each in found["ENOSPC"]["messages"])
    assert any("I/O error" in each for each in found["EIO"]["messages"])


def test_wherever_it_is_killed_the_study_is_readable_and_ends_as_if_it_had_not(failing_files, tmp_path):
    (outcome,) = outcomes(failing_files, tmp_path, 4, "SIGKILL").values()
    assert outcome["wrong"] == {}
    assert outcome["tried"] > 30


def test_on_a_file_system_without_space_the_next_command_is_named_and_helps(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "none", small]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this user may not mount a file system: {mounted.stderr.decode().strip()}")
    try:
        path = small / "study.db"
        with Store.create(path, {"elapsed_s": 0.0}) as store, pytest.raises(StoreError, match=f"tinynas resume {path}"):
            for number in range(1000):
                store.set_fact(f"fact {number}", "x" * 5000)
                kept = number
        with Store.open_to_read(path) as store:
            assert store.fact(f"fact {kept}") == "x" * 5000
        subprocess.run(["mount", "-o", "remount,size=2m", small], check=True)
        with Store.open_to_write(path) as store:
            store.set_fact(f"fact {kept + 1}", "there is space again")
            assert [store.fact(f"fact {number}") is None for number in (0, kept, kept + 1)] == [False] * 3
    finally:
        subprocess.run(["umount", small], check=True)
