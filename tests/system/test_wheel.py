"""A wheel built from the checkout works elsewhere: firmware and boards travel in it."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
MODEL = CHECKOUT.parent / "shared" / "models" / "ad.tflite"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    # Built from a copy, so that neither build folders nor untracked files of the checkout get into it.
    for name in filter(None, names.split("\0")):
        if (CHECKOUT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((CHECKOUT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(source / "dist"), str(source)],
        check=True,
        capture_output=True,
    )
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Another environment with the wheel; what tinynas depends on is taken from this one, read-only."""
    folder = tmp_path_factory.mktemp("another environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    other = folder / "bin" / "python"
    install = [str(other), "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    packages = next((folder / "lib").glob("python3*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return other


def run(python, *arguments, cwd, home):
    environment = {**os.environ, "TINYNAS_HOME": str(home)}
    return subprocess.run(
        [str(python), "-m", "tinynas", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_tracked_source_is_in_the_wheel(wheel):
    tracked = subprocess.run(
        ["git", "ls-files", "tinynas", "firmware", "boards"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    inside = set(zipfile.ZipFile(wheel).namelist())
    for name in filter(None, tracked):
        assert (name if name.startswith("tinynas/") else f"tinynas/_bundled/{name}") in inside


def test_the_installed_wheel_is_the_one_that_runs_and_knows_its_boards(python, tmp_path):
    where = subprocess.run(
        [str(python), "-c", "import tinynas; print(tinynas.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(CHECKOUT) not in where
    boards = json.loads(run(python, "boards", "--json", cwd=tmp_path, home=tmp_path / "home").stdout)
    assert "netduinoplus2" in [board["name"] for board in boards]


@pytest.mark.skipif(not MODEL.is_file(), reason="the reference networks are not beside the checkout")
def test_the_installed_wheel_builds_and_measures_from_a_folder_of_its_own(python, tmp_path):
    result = run(python, "measure", MODEL, "--json", cwd=tmp_path, home=tmp_path / "a home")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["latency_source"] == "emulated"
    assert [path.name for path in tmp_path.iterdir()] == ["a home"]
