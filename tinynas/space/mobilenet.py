"""Space `mobilenet`: inverted residuals throughout, as in MCUNet (Lin et al. 2020) and ProxylessNAS (Cai et al. 2019).

Resolution, width multiplier, stem, five stages of inverted residuals (MobileNetV2: Sandler et al. 2018) that differ in
kernel, expansion and depth, head. Strides and the growth of the channels from stage to stage are fixed, as they are
there: what they would change, resolution, width and depth change, too.
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from tinynas.space.architecture import Architecture, Builder
from tinynas.space.genome import Axis, Genome, named, require_inside


class _Base(NamedTuple):
    """A stage at width 100: the channels that its blocks put out, and the stride of the first one."""

    channels: int
    stride: int


_STEM = 16
_STAGES = (_Base(16, 1), _Base(24, 2), _Base(40, 2), _Base(64, 2), _Base(96, 1))
# The kernels take channels by fours.
_MULTIPLE = 4
_GENES = ("depth", "kernel", "expansion")

_AXES = (
    # The input is averaged over windows of this size before anything else.
    Axis(name="reduce", choices=(1, 2, 3, 4)),
    # Channels in percent of _STAGES.
    Axis(name="width", choices=(25, 50, 75, 100, 125, 150)),
    Axis(name="stem_stride", choices=(1, 2)),
    *(
        axis
        for stage in range(1, len(_STAGES) + 1)
        for axis in (
            # The first stage always is: its channels tell the widths apart.
            Axis(name=f"depth_{stage}", choices=(0, 1, 2, 3) if stage > 1 else (1, 2, 3)),
            Axis(name=f"kernel_{stage}", choices=(3, 5, 7)),
            # 1: the depthwise convolution takes the block's input, and nothing is widened before.
            Axis(name=f"expansion_{stage}", choices=(1, 3, 4, 6)),
        )
    ),
    # A convolution of 1x1 before pooling, to so many times the channels; 0 for none.
    Axis(name="head", choices=(0, 2, 4)),
)


def channels(base: int, width: int) -> int:
    """`base` channels at `width` percent: the nearest multiple of 4, halves upwards, 4 at least.

    Over the base counts of this space it grows from stage to stage at each width, and from width to width for the stem.
    """
    return max(_MULTIPLE, (base * width + 50 * _MULTIPLE) // (100 * _MULTIPLE) * _MULTIPLE)


class MobilenetSpace:
    """See the module."""

    name = "mobilenet"
    axes = _AXES
    # Resolution and width, by which tinynas refine divides it.
    scales = ("reduce", "width")
    # What tinynas screen times: settings of blocks that a board may do badly.
    operators: ClassVar[Mapping[str, tuple[int, ...]]] = {"kernel": (3, 5, 7), "expansion": (1, 3, 4, 6)}

    def operator(self, build: Builder, source: int, name: str, choice: int) -> int:
        """What a choice of `operators` adds to a network, with as many channels as its input has."""
        if name == "kernel":
            return build.depthwise(source, choice, activation="relu6")
        filters = build.shape(source)[-1]
        return _inverted_residual(build, source, filters=filters, kernel=3, expansion=choice, stride=1, role="block")

    def canonical(self, genome: Genome) -> Genome:
        # A block's channels name its stage, and the stem's the width: only a stage that is not there leaves a choice.
        require_inside(self, genome)
        genes, first = named(self, genome), {axis.name: axis.choices[0] for axis in _AXES}
        for stage in range(1, len(_STAGES) + 1):
            if genes[f"depth_{stage}"] == 0:
                genes |= {f"{name}_{stage}": first[f"{name}_{stage}"] for name in _GENES}
        return Genome(self.name, tuple(genes.values()))

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        genes = named(self, self.canonical(genome))
        width = genes["width"]
        build = Builder(input_shape, classes)
        last = 0
        if genes["reduce"] > 1:
            last = build.avg_pool(last, genes["reduce"], genes["reduce"])
        last = build.conv(last, channels(_STEM, width), 3, genes["stem_stride"], activation="relu6", role="stem")
        for stage, base in enumerate(_STAGES, start=1):
            for position in range(genes[f"depth_{stage}"]):
                last = _inverted_residual(
                    build,
                    last,
                    filters=channels(base.channels, width),
                    kernel=genes[f"kernel_{stage}"],
                    expansion=genes[f"expansion_{stage}"],
                    stride=base.stride if position == 0 else 1,
                    role=f"stage_{stage}/block_{position}",
                )
        if genes["head"]:
            last = build.conv(last, genes["head"] * build.shape(last)[-1], activation="relu6", role="head")
        return build.finish(build.global_avg_pool(last))


def _inverted_residual(
    build: Builder, source: int, *, filters: int, kernel: int, expansion: int, stride: int, role: str
) -> int:
    # What widens nothing filters other channels.
    role = f"{role}/inverted" if expansion > 1 else f"{role}/thin"
    wide = source
    if expansion > 1:
        wide = build.conv(source, expansion * build.shape(source)[-1], activation="relu6", role=f"{role}/wide")
    deep = build.depthwise(wide, kernel, stride, activation="relu6", role=f"{role}/deep")
    narrow = build.conv(deep, filters, activation="none", role=f"{role}/narrow")
    # By channels and stride, not by shape, so that which layers a block has does not depend on the input.
    skips = stride == 1 and build.shape(source)[-1] == filters
    return build.add(source, narrow, role=f"{role}/sum") if skips else narrow


SPACE = MobilenetSpace()
