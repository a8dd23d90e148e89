"""Random search: the baseline that every other strategy is held against."""

from tinynas.search.fitness import Fitness
from tinynas.search.strategy import Setting
from tinynas.space.genome import Genome


class RandomSearch:
    """Every genome is drawn from the space at random; what is told changes nothing."""

    def __init__(self, setting: Setting) -> None:
        self._draw = setting.draw

    def ask(self) -> Genome | None:
        return self._draw.random()

    def tell(self, genome: Genome, fitness: Fitness) -> None:
        del genome, fitness
