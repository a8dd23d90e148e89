"""A space of one's own: a stem, up to two separable blocks, a head.

Name it in the config, `[space] file = "docs/examples/tiny_space.py"`, or with `tinynas search --space-file`.
"""

from tinynas.space.architecture import Architecture, Builder
from tinynas.space.genome import Axis, Genome, named


class TinySpace:
    name = "tiny"
    axes = (
        Axis(name="filters", choices=(4, 8, 16)),
        Axis(name="blocks", choices=(0, 1, 2)),
        Axis(name="kernel", choices=(3, 5)),
    )

    def canonical(self, genome: Genome) -> Genome:
        # Without blocks the kernel has no effect: equal networks must have equal keys.
        filters, blocks, kernel = genome.values
        return Genome(self.name, (filters, blocks, kernel if blocks else 3))

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        genes = named(self, genome)
        build = Builder(input_shape, classes)
        last = build.conv(0, genes["filters"], 3, 2)
        for _ in range(genes["blocks"]):
            last = build.conv(build.depthwise(last, genes["kernel"]), genes["filters"])
        return build.finish(build.global_avg_pool(last))


SPACE = TinySpace()
