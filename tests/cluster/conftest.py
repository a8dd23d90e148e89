"""What the tests of clusters share."""

import gc
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("distributed")
# Its modules are found by name: tests are no packages.
sys.path.insert(0, str(Path(__file__).parents[1] / "system"))
sys.path.insert(0, str(Path(__file__).parent))

from cluster_processes import Machines, free_port

from tinynas.cluster.certificates import init_cluster


@pytest.fixture(autouse=True)
def no_sockets_left():
    """Dask leaves a socket open whose handshake was cut off when a scheduler died: nobody is to hear of it later."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextmanager
def new_cluster(folder):
    """A cluster in which nothing runs yet."""
    init_cluster(folder / "lab", "127.0.0.1", free_port())
    found = Machines(folder=folder, file=folder / "lab" / "cluster.toml")
    try:
        yield found
    finally:
        found.end()


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    with new_cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def own_machines(tmp_path):
    """A cluster that no other test has used."""
    with new_cluster(tmp_path) as found:
        yield found
