"""Networks that people made, as a space: one axis chooses among them, so that they are trained and measured like any
candidate. `tests/benchmarks/references.py` sets a search's front beside them.
"""

from collections.abc import Callable

from tinynas.space.architecture import Architecture, Builder
from tinynas.space.genome import Axis, Genome, require_inside


def ds_cnn(build: Builder) -> int:
    """Zhang et al., "Hello Edge", 2017, as in MLPerf Tiny's keyword spotting, for 49 x 10 features."""
    last = build.conv(0, 64, (10, 4), 2)
    for _ in range(4):
        last = build.conv(build.depthwise(last, 3), 64)
    return build.global_avg_pool(last)


def mobilenet(build: Builder) -> int:
    """Howard et al., "MobileNets", 2017, at a quarter of the width, as in MLPerf Tiny's visual wake words."""
    last = build.conv(0, 8, 3, 2)
    for filters, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)):
        last = build.conv(build.depthwise(last, 3, stride), filters)
    return build.global_avg_pool(last)


def resnet(build: Builder) -> int:
    """He et al., "Deep Residual Learning", 2016, with eight layers as in MLPerf Tiny's image classification."""
    last = build.conv(0, 16, 3)
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        inner = build.conv(last, filters, 3, stride)
        inner = build.conv(inner, filters, 3, activation="none")
        if stride > 1:
            last = build.conv(last, filters, 1, stride, activation="none")
        last = build.add(inner, last, activation="relu")
    return build.global_avg_pool(last)


def cnn_1d(build: Builder) -> int:
    """Three convolutions over time with pooling between them, as most papers on activities begin."""
    last = 0
    for filters in (32, 64, 64):
        last = build.max_pool(build.conv(last, filters, (5, 1)), (2, 1), (2, 1))
    return build.global_avg_pool(last)


NETWORKS: dict[str, Callable[[Builder], int]] = {
    "ds_cnn": ds_cnn,
    "mobilenet": mobilenet,
    "resnet": resnet,
    "cnn_1d": cnn_1d,
}


class ReferenceSpace:
    """The networks by their place in NETWORKS."""

    name = "reference"
    axes = (Axis(name="network", choices=tuple(range(len(NETWORKS))), ordered=False),)

    def canonical(self, genome: Genome) -> Genome:
        require_inside(self, genome)
        return genome

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        build = Builder(input_shape, classes)
        return build.finish(list(NETWORKS.values())[genome.values[0]](build))


SPACE = ReferenceSpace()
