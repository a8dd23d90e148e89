import importlib.metadata
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tinynas.deploy.store import environment, prepare_core, write_whole
from tinynas.errors import InfrastructureError, ToolchainError

FILES = ("scons.py", "package.json", ".piopm")
ASK = (
    "from platformio.package.manager.core import get_core_package_dir as f; print(f('tool-scons', auto_install=False))"
)


@pytest.fixture
def core(tmp_path):
    return tmp_path / "a store" / "platformio"


def package(core):
    return core / "packages" / "tool-scons"


def test_platformio_finds_in_it_the_scons_that_it_asks_for(core):
    prepare_core(core)
    answer = subprocess.run(
        [sys.executable, "-c", ASK], env=environment(core), capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == str(package(core))


def test_preparing_it_again_writes_nothing(core):
    prepare_core(core)
    before = {path: path.stat().st_mtime_ns for path in core.rglob("*")}
    prepare_core(core)
    assert {path: path.stat().st_mtime_ns for path in core.rglob("*")} == before


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [None, b"", b'{"name": "tool-sc'], ids=["missing", "empty", "cut short"])
def test_what_is_missing_or_damaged_is_mended(core, name, content):
    prepare_core(core)
    whole = {each: (package(core) / each).read_bytes() for each in FILES}
    damaged = package(core) / name
    damaged.unlink()
    if content is not None:
        damaged.write_bytes(content)
    prepare_core(core)
    assert {each: (package(core) / each).read_bytes() for each in FILES} == whole


def test_many_may_prepare_it_at_once(core):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(prepare_core, [core] * 8))
    assert sorted(path.name for path in package(core).iterdir()) == sorted(FILES)


def test_a_missing_scons_is_named_with_the_command_that_installs_it(core, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(ToolchainError, match=r"SCons is not installed.*pip install scons"):
        prepare_core(core)


def test_another_scons_than_platformio_asks_for_is_refused_with_both_versions(core, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "4.10.0")
    with pytest.raises(ToolchainError, match=r"SCons 4\.10\.0 .*4\.41000\.0.* asks for tool-scons ~4\.41101\.0"):
        prepare_core(core)


def test_a_folder_that_cannot_be_written_is_named(core):
    core.parent.parent.mkdir(exist_ok=True)
    core.parent.write_text("a file in the way")
    with pytest.raises(InfrastructureError, match=r"PlatformIO's folder .* cannot be written"):
        prepare_core(core)


def test_nothing_of_the_users_reaches_platformio(core, monkeypatch):
    monkeypatch.setenv("PLATFORMIO_BUILD_FLAGS", "-O0")
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", "/elsewhere")
    monkeypatch.setenv("CPATH", "/elsewhere/include")
    variables = environment(core)
    assert variables["PLATFORMIO_CORE_DIR"] == str(core)
    assert variables["PLATFORMIO_SETTING_ENABLE_TELEMETRY"] == "false"
    assert not {"PLATFORMIO_BUILD_FLAGS", "CPATH"} & set(variables)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def interrupt(self, content):
        self.open("wb").close()
        raise KeyboardInterrupt

    monkeypatch.setattr(type(path), "write_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"
