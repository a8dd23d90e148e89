"""Networks of the spaces on the emulated default board: their outputs are tflite-micro's, byte for byte."""

import random

import numpy as np
import pytest

from tinynas.children import call_in_child
from tinynas.compiler import Options
from tinynas.errors import CandidateError
from tinynas.space.cell import SPACE as CELL
from tinynas.space.genome import Genome, random_genome
from tinynas.space.mobilenet import SPACE as MOBILENET
from tinynas.study.single import measure_file

SHAPE, CLASSES = (16, 16, 3), 5
MOST_MACS = 3_000_000


def drawn(space, count):
    """Random networks that an emulated board computes in a second."""
    rng, found = random.Random(11), []
    while len(found) < count:
        genome = random_genome(space, rng)
        try:
            network = space.decode(genome, SHAPE, CLASSES)
        except CandidateError:
            continue
        if network.macs < MOST_MACS:
            found.append(network)
    return found


# x + x; a pooling that two nodes read, and convolutions of sums.
CELLS = [(1, 0, 0, 1, 1, 0), (4, 1, 1, 3, 1, 2)]


def convert(networks):
    from tinynas.model.build import build
    from tinynas.model.quantize import quantize

    samples = np.random.default_rng(0).normal(size=(16, *SHAPE)).astype(np.float32)
    return [quantize(build(network, seed), samples) for seed, network in enumerate(networks)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Name -> a .tflite file of untrained networks; their outputs are as hard to get right as any."""
    cells = [CELL.decode(Genome("cell", (1, 8, 2, *cell)), SHAPE, CLASSES) for cell in CELLS]
    networks = [*drawn(MOBILENET, 2), *cells]
    folder, found = tmp_path_factory.mktemp("models"), {}
    for index, tflite in enumerate(call_in_child("converting", 300, 8 << 30, convert, networks)):
        found[str(index)] = folder / f"{index}.tflite"
        found[str(index)].write_bytes(tflite)
    return found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("0", Options()),
        ("1", Options(patches="auto", optimize="size")),
        ("2", Options()),
        ("3", Options(patches="auto", optimize="size")),
    ],
)
def test_a_network_gives_the_references_bytes_on_the_board(models, name, options):
    # It raises where a byte differs.
    found = measure_file(models[name], "netduinoplus2", repeats=1, options=options)
    assert found["latency_us"] > 0
    assert found["optimize"] == options.optimize
