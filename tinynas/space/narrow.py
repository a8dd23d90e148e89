"""A space with fewer choices: axes fixed to one value, or without the choices that a board does badly."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tinynas.boards import nearest
from tinynas.errors import ConfigError
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Genome, Space, require_inside


class NarrowSpace:
    """The networks of `base` whose axes have one of the given choices; genomes and keys are those of `base`."""

    def __init__(self, base: Space, choices: Mapping[str, Sequence[int]]) -> None:
        self._base = base
        self.name = base.name
        self.axes = tuple(replace(axis, choices=tuple(choices.get(axis.name, axis.choices))) for axis in base.axes)

    def canonical(self, genome: Genome) -> Genome:
        require_inside(self, genome)
        whole = self._base.canonical(genome)
        values = (
            value if value in axis.choices else axis.choices[0]
            for axis, value in zip(self.axes, whole.values, strict=True)
        )
        found = Genome(self.name, tuple(values))
        # The base's form may have moved a setting to an axis that has it no more; then another network would come out.
        return found if self._base.canonical(found) == whole else genome

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        require_inside(self, genome)
        return self._base.decode(genome, input_shape, classes)


def fixed(space: Space, values: Mapping[str, int]) -> Space:
    """The space with each named axis at one value, or itself without any.

    Raises:
        ConfigError: an axis is not known, or lacks the value.
    """
    return narrowed(space, {name: (value,) for name, value in values.items()})


def narrowed(space: Space, choices: Mapping[str, Sequence[int]]) -> Space:
    """The space with other choices for the named axes, in its own order, or itself without any. Raises as `fixed`."""
    axes = {axis.name: axis for axis in space.axes}
    for name, wanted in choices.items():
        if name not in axes:
            raise ConfigError(f"space {space.name} has no axis {name!r}: {nearest(name, sorted(axes))}")
        if not wanted or not set(wanted) <= set(axes[name].choices):
            raise ConfigError(f"axis {name} of space {space.name} takes {axes[name].choices}, not {tuple(wanted)}")
    ordered = {name: [choice for choice in axes[name].choices if choice in wanted] for name, wanted in choices.items()}
    return NarrowSpace(space, ordered) if choices else space


def without(space: Space, dropped: Mapping[str, Sequence[int]]) -> Space:
    """The space without some choices: `{"kernel": (7,)}` takes 7 from axes kernel, kernel_1, kernel_2 and so on.

    Raises:
        ConfigError: no axis is called so, it lacks the choice, or none would be left.
    """
    choices: dict[str, list[int]] = {}
    for name, gone in dropped.items():
        axes = [axis for axis in space.axes if re.fullmatch(rf"{re.escape(name)}(_\d+)*", axis.name)]
        if not axes:
            known = sorted({re.sub(r"(_\d+)+$", "", axis.name) for axis in space.axes})
            raise ConfigError(f"space {space.name} has no axes {name!r}: {nearest(name, known)}")
        for axis in axes:
            lacking = [choice for choice in gone if choice not in axis.choices]
            if lacking:
                raise ConfigError(f"axis {axis.name} of space {space.name} takes {axis.choices}, not {tuple(lacking)}")
            choices[axis.name] = [choice for choice in axis.choices if choice not in gone]
            if not choices[axis.name]:
                raise ConfigError(f"axis {axis.name} of space {space.name} has no choice left without {tuple(gone)}")
    return narrowed(space, choices)
