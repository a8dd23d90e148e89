"""What makes the keys of space `mobilenet` unique, and what its networks look like."""

import random

from tinynas.space.genome import Genome, named, random_genome, smallest
from tinynas.space.mobilenet import SPACE, channels

WIDTHS = next(axis.choices for axis in SPACE.axes if axis.name == "width")
BASES = (16, 24, 40, 64, 96)


def with_genes(**genes):
    return Genome(SPACE.name, tuple((named(SPACE, smallest(SPACE)) | genes).values()))


def test_channels_tell_stages_apart_at_every_width_and_widths_at_the_stem():
    for width in WIDTHS:
        counts = [channels(base, width) for base in BASES]
        assert counts == sorted(set(counts))
        assert all(count % 4 == 0 for count in counts)
    assert len({channels(16, width) for width in WIDTHS}) == len(WIDTHS)


def test_a_block_is_an_inverted_residual():
    network = SPACE.decode(with_genes(width=50, depth_1=1, depth_2=2, expansion_2=6, kernel_2=5), (32, 32, 3), 10)
    ops = [layer.op for layer in network.layers]
    assert ops == [
        *("input", "conv"),
        *("depthwise", "conv", "add"),
        *("conv", "depthwise", "conv"),
        *("conv", "depthwise", "conv", "add"),
        *("global_avg_pool", "dense"),
    ]
    wide, deep, narrow = network.layers[5:8]
    assert (wide.filters, wide.activation) == (6 * 8, "relu6")
    assert (deep.kernel, deep.stride, deep.activation) == ((5, 5), (2, 2), "relu6")
    assert (narrow.filters, narrow.activation, narrow.shape) == (12, "none", (16, 16, 12))


def test_an_expansion_of_one_widens_nothing():
    network = SPACE.decode(with_genes(depth_1=2), (32, 32, 3), 10)
    assert [layer.op for layer in network.layers[2:-2]] == 2 * ["depthwise", "conv", "add"]


def test_the_resolution_divides_the_input():
    for reduce in (1, 2, 3, 4):
        network = SPACE.decode(with_genes(reduce=reduce, depth_1=1), (96, 96, 3), 10)
        stem = next(layer for layer in network.layers if layer.op == "conv")
        assert stem.shape[:2] == (96 // reduce, 96 // reduce)


def test_its_networks_span_three_orders_of_magnitude_of_compute():
    rng = random.Random(0)
    macs = [SPACE.decode(random_genome(SPACE, rng), (96, 96, 3), 2).macs for _ in range(500)]
    assert min(macs) < 1e5 * 2
    assert max(macs) > 1e8
