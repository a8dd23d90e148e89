"""Input resolution, or sample rate, as an axis in front of those of any space.

The board is given what the sensor gives, and reducing it is part of the network and of what is measured.
"""

from collections.abc import Sequence
from dataclasses import replace

from tinynas.errors import CandidateError, ConfigError
from tinynas.space.architecture import Architecture, Layer
from tinynas.space.genome import Axis, Genome, Space, require_inside

AXIS = "reduce"


class ResolutionSpace:
    """The networks of `base` for inputs averaged over windows of as many pixels, or moments, as axis `reduce` says."""

    def __init__(self, base: Space, windows: Sequence[int]) -> None:
        self._base = base
        self.name = f"{base.name}+{AXIS}"
        self.axes = (Axis(name=AXIS, choices=tuple(sorted(windows))), *base.axes)

    def canonical(self, genome: Genome) -> Genome:
        require_inside(self, genome)
        return Genome(self.name, (genome.values[0], *self._base.canonical(self._rest(genome)).values))

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        require_inside(self, genome)
        window = genome.values[0]
        shape = _reduced(input_shape, window)
        network = self._base.decode(self._rest(genome), shape, classes)
        return network if window == 1 else _behind_means(network, input_shape, window)

    def _rest(self, genome: Genome) -> Genome:
        return Genome(self._base.name, genome.values[1:])


def with_resolution(space: Space, windows: Sequence[int]) -> Space:
    """The space with an axis `reduce` that takes `windows`, or itself without any.

    Raises:
        ConfigError: it has such an axis already.
    """
    if windows and any(axis.name == AXIS for axis in space.axes):
        raise ConfigError(f"space {space.name} has an axis {AXIS} already: leave out [space] {AXIS}")
    return ResolutionSpace(space, windows) if windows else space


def _reduced(shape: tuple[int, ...], window: int) -> tuple[int, ...]:
    """Raises CandidateError where nothing would be left, and where samples are no images and no series."""
    if window == 1:
        return shape
    *places, channels = shape
    if not places or min(places) < window:
        raise CandidateError(f"windows of {window} do not fit into an input of shape {shape}")
    return (*(size // window for size in places), channels)


def _behind_means(network: Architecture, input_shape: tuple[int, ...], window: int) -> Architecture:
    """The network with means over windows between the input and what read it."""
    first = network.layers[0]
    # A series of shape (time, channels) is an image of one column.
    whole = (input_shape[0], 1, input_shape[1]) if len(input_shape) == 2 else input_shape
    size = (window, 1) if len(input_shape) == 2 else (window, window)
    means = Layer(
        name=AXIS,
        op="avg_pool",
        inputs=(0,),
        shape=first.shape,
        in_channels=first.shape[-1],
        kernel=size,
        stride=size,
        padding="valid",
    )
    rest = (replace(layer, inputs=tuple(index + 1 for index in layer.inputs)) for layer in network.layers[1:])
    return replace(network, layers=(replace(first, shape=whole), means, *rest), input_shape=input_shape)
