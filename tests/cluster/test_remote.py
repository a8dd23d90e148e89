"""What a cluster's training slots answer is what this machine would have found: verdicts, and images."""

import logging

import pytest
from random_models import draw_small_model

from tinynas.boards import load_board
from tinynas.cluster.messages import TRAIN
from tinynas.cluster.remote import ClusterCrew, ClusterWorkshop, connected
from tinynas.compiler import compile_network
from tinynas.deploy.desks import Desks
from tinynas.errors import ConfigError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNAS_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def running(machines):
    machines.scheduler()
    return machines


@pytest.fixture
def board():
    return load_board("netduinoplus2")


@pytest.fixture
def programs(board):
    models = {"first": draw_small_model("FULLY_CONNECTED"), "second": draw_small_model("SOFTMAX")}
    return [compile_network(model, name=name, target=board.target) for name, model in models.items()]


def on_a_worker(machines, name, home, work, **environment):
    """What `work` gives with a cluster that has one worker, and whether this machine built anything."""
    worker, _ = machines.worker(name, "--train", 1, **environment)
    try:
        with connected(machines.place) as cluster:
            cluster.await_offer(TRAIN)
            return work(cluster), (home / "build").exists()
    finally:
        worker.terminate()
        worker.wait()


def test_a_verdict_of_a_worker_is_the_works_own(running, home):
    def verdict(cluster):
        with pytest.raises(ConfigError, match="'nonesuch' is not known"):
            ClusterCrew(cluster, memory_bytes=8 << 30).call("loading", 60, load_board, "nonesuch")

    on_a_worker(running, "judge", home, verdict)


def test_images_come_from_a_worker_as_they_would_be_built_here(running, home, board, programs):
    def all_of(workshop):
        alone = [workshop.build(board.at(90_000_000), program) for program in programs]
        return alone, workshop.build_together(board, alone)

    found, built_here = on_a_worker(running, "builder", home, lambda cluster: all_of(ClusterWorkshop(cluster)))
    assert not built_here
    assert found == all_of(Desks())


def test_what_a_worker_without_the_compiler_cannot_build_is_built_here_and_said(running, home, board, programs, caplog):
    def twice(workshop):
        return [workshop.build(board, programs[0]) for _ in range(2)]

    with caplog.at_level(logging.WARNING):
        found, built_here = on_a_worker(
            running, "bare", home, lambda cluster: twice(ClusterWorkshop(cluster)), PATH=str(home / "nothing")
        )
    assert built_here
    assert found == twice(Desks())
    (said,) = [record.getMessage() for record in caplog.records if "cannot build" in record.getMessage()]
    assert "arm-none-eabi-gcc is not on PATH" in said
