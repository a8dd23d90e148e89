"""What the tests of exports share: networks with test vectors, and running what was exported."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tinynas.children import Children
from tinynas.config import TaskSection
from tinynas.model.score import arena_bytes, run_reference
from tinynas.space.architecture import Builder
from tinynas.study import work
from tinynas.study.export import Provenance, export

# Modules are found by name: tests are no packages. Models written by hand are at home with the compiler's tests.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "compiler"))
from mixed_ends import mixed_ends

SHARED = Path(__file__).parents[2].parent / "shared" / "models"


@dataclass(frozen=True, kw_only=True)
class Network:
    """An int8 network, its test vector, and the arena that tflite-micro reports."""

    tflite: bytes
    inputs: bytes
    outputs: bytes
    arena_bytes: int


@pytest.fixture(scope="session")
def digits_network():
    """A separable network with a skip connection, untrained, with 16 real inputs."""
    build = Builder((8, 8, 1), 10)
    last = build.conv(0, 8, 3)
    last = build.add(last, build.conv(build.depthwise(last, 3), 8, activation="none"))
    architecture = build.finish(build.flatten(build.avg_pool(last, 8, 8)))
    section = TaskSection(name="digits")
    candidate = work.Candidate(task=section, study_seed=0, architecture=architecture, key="exported")
    with Children(1, memory_bytes=8 << 30, prepare=work.configure) as children:
        network = children.call("converting", 300, work.convert_untrained, candidate, 16)
        arena = children.call("allocating", 300, arena_bytes, network.tflite)
    inputs, outputs = (each.tobytes() for each in (network.vectors.inputs, network.vectors.outputs))
    return Network(tflite=network.tflite, inputs=inputs, outputs=outputs, arena_bytes=arena)


@pytest.fixture(scope="session")
def network_with_mixed_ends():
    """Two inputs and three outputs of four types, with 3 random cases."""
    tflite, random = mixed_ends(), np.random.default_rng(4)
    parts = [random.integers(-128, 128, (3, 75)).astype(np.int8), random.standard_normal((3, 75), np.float32)]
    inputs = np.concatenate([part.view(np.int8) for part in parts], axis=1)
    outputs = run_reference(tflite, inputs)
    return Network(tflite=tflite, inputs=inputs.tobytes(), outputs=outputs.tobytes(), arena_bytes=9_000)


@pytest.fixture(params=["digits", "mixed ends", "kws", "ic", "vww"])
def network(request):
    if request.param in ("digits", "mixed ends"):
        name = {"digits": "digits_network", "mixed ends": "network_with_mixed_ends"}[request.param]
        return request.getfixturevalue(name)
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent")
    tflite, inputs, outputs = (
        (SHARED / f"{request.param}.{end}").read_bytes() for end in ("tflite", "in.bin", "out.bin")
    )
    return Network(tflite=tflite, inputs=inputs, outputs=outputs, arena_bytes=200_000)


def _exported(network, folder, to, provenance=Provenance(origin="a test"), **more):  # noqa: B008
    vector = {"inputs": network.inputs, "outputs": network.outputs}
    return export(
        network.tflite, to=to, folder=folder, provenance=provenance, arena_bytes=network.arena_bytes, **vector, **more
    )


def _run(command, folder, **more):
    """Run a command to its end. Returns its standard output; fails with what it said."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False, **more)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return program


@pytest.fixture(scope="session")
def exported():
    """Export a network to a folder: exported(network, folder, to, provenance, **more)."""
    return _exported


@pytest.fixture(scope="session")
def run():
    """Run a command to its end: run(command, folder) gives its standard output."""
    return _run


@pytest.fixture(scope="session")
def need():
    """Skip the test unless a program is installed: need("cc") gives its name."""
    return _need
