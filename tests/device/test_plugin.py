"""The cycle counter is built where it runs, once, and again when its sources change."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tinynas import paths
from tinynas.device.plugin import plugin
from tinynas.errors import InfrastructureError, ToolchainError


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNAS_HOME", str(tmp_path / "home"))
    return shutil.copytree(paths.FIRMWARE / "emulator", tmp_path / "sources")


def test_it_is_built_once(sources):
    built = plugin(sources)
    before = built.stat().st_mtime_ns
    assert plugin(sources) == built
    assert built.stat().st_mtime_ns == before


def test_another_source_is_another_plugin(sources):
    built = plugin(sources)
    (sources / "tn_flash.h").write_text((sources / "tn_flash.h").read_text() + "/* changed */\n")
    assert plugin(sources) != built
    assert plugin(sources).is_file()


def test_several_at_once_build_it_and_leave_nothing_else(sources):
    with ThreadPoolExecutor(4) as threads:
        (built,) = set(threads.map(plugin, [sources] * 4))
    assert list(built.parent.iterdir()) == [built]


def test_without_a_compiler_the_error_says_how_to_get_one(sources, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match=r"cc is not on PATH.*apt-get install gcc libc6-dev"):
        plugin(sources)


def test_what_the_compiler_says_is_told(sources):
    (sources / "tn_flash.c").write_text("#error out of order\n")
    with pytest.raises(ToolchainError, match="out of order"):
        plugin(sources)


def test_a_folder_that_cannot_be_written_is_named(sources, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TINYNAS_HOME", str(tmp_path / "file"))
    with pytest.raises(InfrastructureError, match=r"file/emulator/tn_cycles.* cannot be written"):
        plugin(sources)


def test_its_sources_compile_without_a_warning_that_they_could_do_without(sources, tmp_path):
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wvla", "-Werror", "-fPIC"]
    for path in sorted(sources.glob("*.c")):
        subprocess.run(["cc", *flags, "-c", path, "-o", tmp_path / "out.o"], check=True)
