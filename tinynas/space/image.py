"""Space `image`: small convolutional networks for (height, width, channels) inputs.

Resolution, stem, up to four stages of one block kind each, head. Stage blocks are a convolution, a separable
convolution (MobileNet: Howard et al. 2017) or an inverted residual (MobileNetV2: Sandler et al. 2018).
"""

from collections.abc import Mapping
from typing import ClassVar

from tinynas.space.architecture import Architecture, Builder
from tinynas.space.genome import Axis, Genome, named, require_inside

_STAGES = 4
_CONV, _SEPARABLE, _INVERTED = 0, 1, 2
_GLOBAL_POOL, _FLATTEN = 0, 1

_AXES = (
    # The input is averaged over windows of this size before anything else.
    Axis(name="reduce", choices=(1, 2, 4)),
    Axis(name="stem_filters", choices=(4, 8, 12, 16, 24)),
    Axis(name="stem_kernel", choices=(3, 5)),
    Axis(name="stem_stride", choices=(1, 2)),
    *(
        axis
        for stage in range(1, _STAGES + 1)
        for axis in (
            Axis(name=f"depth_{stage}", choices=(0, 1, 2, 3) if stage > 1 else (1, 2, 3)),
            Axis(name=f"block_{stage}", choices=(_CONV, _SEPARABLE, _INVERTED), ordered=False),
            Axis(name=f"kernel_{stage}", choices=(3, 5, 7)),
            Axis(name=f"filters_{stage}", choices=(8, 12, 16, 24, 32, 48, 64, 96)),
            Axis(name=f"stride_{stage}", choices=(1, 2)),
            Axis(name=f"expansion_{stage}", choices=(2, 3, 4)),
        )
    ),
    Axis(name="head", choices=(_GLOBAL_POOL, _FLATTEN), ordered=False),
    Axis(name="hidden", choices=(0, 16, 32, 64)),
)


class ImageSpace:
    """See the module."""

    name = "image"
    axes = _AXES
    # Resolution and width, by which tinynas refine divides it.
    scales = ("reduce", "stem_filters")
    # What tinynas screen times: settings of blocks that a board may do badly.
    operators: ClassVar[Mapping[str, tuple[int, ...]]] = {"block": (_CONV, _SEPARABLE, _INVERTED), "kernel": (3, 5, 7)}

    def operator(self, build: Builder, source: int, name: str, choice: int) -> int:
        """What a choice of `operators` adds to a network, with as many channels as its input has."""
        filters = build.shape(source)[-1]
        settings = {"block_1": _CONV, "kernel_1": 3, "filters_1": filters, "stride_1": 1, "expansion_1": 2}
        return _block(build, source, 1, 0, settings | {f"{name}_1": choice})

    def canonical(self, genome: Genome) -> Genome:
        require_inside(self, genome)
        genes, first = named(self, genome), {axis.name: axis.choices[0] for axis in _AXES}
        for stage in range(1, _STAGES + 1):
            if genes[f"depth_{stage}"] == 0:
                for name in ("block", "kernel", "filters", "stride", "expansion"):
                    genes[f"{name}_{stage}"] = first[f"{name}_{stage}"]
            elif genes[f"block_{stage}"] != _INVERTED:
                genes[f"expansion_{stage}"] = first[f"expansion_{stage}"]
        return Genome(self.name, tuple(genes.values()))

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        genes = named(self, self.canonical(genome))
        build = Builder(input_shape, classes)
        last = 0
        if genes["reduce"] > 1:
            last = build.avg_pool(last, genes["reduce"], genes["reduce"])
        last = build.conv(last, genes["stem_filters"], genes["stem_kernel"], genes["stem_stride"], role="stem")
        for stage in range(1, _STAGES + 1):
            for position in range(genes[f"depth_{stage}"]):
                last = _block(build, last, stage, position, genes)
        last = build.global_avg_pool(last) if genes["head"] == _GLOBAL_POOL else build.flatten(last)
        if genes["hidden"]:
            last = build.dense(last, genes["hidden"], role="hidden")
        return build.finish(last)


def _block(build: Builder, source: int, stage: int, position: int, genes: dict[str, int]) -> int:
    kernel, filters = genes[f"kernel_{stage}"], genes[f"filters_{stage}"]
    stride = genes[f"stride_{stage}"] if position == 0 else 1
    role = f"stage_{stage}/block_{position}"
    match genes[f"block_{stage}"]:
        case 0:
            return build.conv(source, filters, kernel, stride, role=f"{role}/conv")
        case 1:
            deep = build.depthwise(source, kernel, stride, role=f"{role}/separable/deep")
            return build.conv(deep, filters, role=f"{role}/separable/narrow")
    wide = build.conv(source, genes[f"expansion_{stage}"] * build.shape(source)[-1], role=f"{role}/inverted/wide")
    deep = build.depthwise(wide, kernel, stride, role=f"{role}/inverted/deep")
    narrow = build.conv(deep, filters, activation="none", role=f"{role}/inverted/narrow")
    skips = stride == 1 and build.shape(source) == build.shape(narrow)
    return build.add(source, narrow, role=f"{role}/inverted/sum") if skips else narrow


SPACE = ImageSpace()
