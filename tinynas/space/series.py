"""Space `series`: one-dimensional depthwise separable networks for (time, channels) inputs.

Also takes (time, bands, 1) spectrograms, whose bands become channels of a flat kernel over time.
"""

from tinynas.space.architecture import Architecture, Builder
from tinynas.space.genome import Axis, Genome, named, require_inside
from tinynas.space.stages import pack_genes

_STAGES = 3
_GLOBAL_POOL, _FLATTEN = 0, 1

_AXES = (
    Axis(name="stem_filters", choices=(8, 16, 24, 32)),
    Axis(name="stem_kernel", choices=(3, 5, 7, 9)),
    Axis(name="stem_stride", choices=(1, 2, 4)),
    *(
        axis
        for stage in range(1, _STAGES + 1)
        for axis in (
            Axis(name=f"depth_{stage}", choices=(0, 1, 2, 3)),
            Axis(name=f"kernel_{stage}", choices=(3, 5, 7, 9)),
            Axis(name=f"filters_{stage}", choices=(8, 16, 24, 32, 48, 64)),
            Axis(name=f"stride_{stage}", choices=(1, 2)),
        )
    ),
    Axis(name="head", choices=(_GLOBAL_POOL, _FLATTEN), ordered=False),
)


class SeriesSpace:
    """See the module."""

    name = "series"
    axes = _AXES

    def canonical(self, genome: Genome) -> Genome:
        require_inside(self, genome)
        genes = pack_genes(named(self, genome), _AXES, ("kernel", "filters"))
        return Genome(self.name, tuple(genes.values()))

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        genes = named(self, self.canonical(genome))
        build = Builder(input_shape, classes)
        bands = build.shape(0)[1]
        kernel, stride = genes["stem_kernel"], genes["stem_stride"]
        # The stem spans all bands of a spectrogram at once; after it the width is 1.
        last = build.conv(0, genes["stem_filters"], (kernel, bands), (stride, bands))
        for stage in range(1, _STAGES + 1):
            for position in range(genes[f"depth_{stage}"]):
                step = genes[f"stride_{stage}"] if position == 0 else 1
                last = build.depthwise(last, (genes[f"kernel_{stage}"], 1), (step, 1))
                last = build.conv(last, genes[f"filters_{stage}"])
        last = build.global_avg_pool(last) if genes["head"] == _GLOBAL_POOL else build.flatten(last)
        return build.finish(last)


SPACE = SeriesSpace()
