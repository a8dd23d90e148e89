"""Space `mlp`: up to three hidden layers on the flattened input."""

from tinynas.space.architecture import Architecture, Builder
from tinynas.space.genome import Axis, Genome, named, require_inside

_WIDTHS = (8, 16, 24, 32, 48, 64, 96, 128)
_LAYERS = 3
_AXES = (
    Axis(name="depth", choices=(0, 1, 2, 3)),
    *(Axis(name=f"units_{layer}", choices=_WIDTHS) for layer in range(1, _LAYERS + 1)),
)


class MlpSpace:
    """See the module."""

    name = "mlp"
    axes = _AXES

    def canonical(self, genome: Genome) -> Genome:
        require_inside(self, genome)
        depth, *units = genome.values
        return Genome(self.name, (depth, *(unit if at < depth else _WIDTHS[0] for at, unit in enumerate(units))))

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        genes = named(self, self.canonical(genome))
        build = Builder(input_shape, classes)
        last = 0 if len(build.shape(0)) == 1 else build.flatten(0)
        for layer in range(1, genes["depth"] + 1):
            last = build.dense(last, genes[f"units_{layer}"])
        return build.finish(last)


SPACE = MlpSpace()
