"""What the tests of clusters share."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("distributed")
# Its modules are found by name: tests are no packages.
sys.path.insert(0, str(Path(__file__).parent))

from cluster_processes import Machines, free_port

from tinynas.cluster.certificates import init_cluster


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    init_cluster(folder / "lab", "127.0.0.1", free_port())
    found = Machines(folder=folder, file=folder / "lab" / "cluster.toml")
    yield found
    found.end()
