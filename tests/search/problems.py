"""Small problems for strategies, and how they are run on them."""

from tinynas.search.fitness import Fitness
from tinynas.search.gradient import learn_distributions
from tinynas.search.registry import make_strategy
from tinynas.space.genome import Axis

FIGURES = ("error", "latency_us", "sram_bytes", "flash_bytes")


class Plain:
    """A space whose genomes are their own canonical form."""

    def __init__(self, *sizes):
        self.name = "plain"
        self.axes = tuple(Axis(name=f"a{at}", choices=tuple(range(size))) for at, size in enumerate(sizes))

    def canonical(self, genome):
        return genome

    def decode(self, genome, input_shape, classes):
        raise NotImplementedError


def conflict(genome):
    """Two objectives that pull apart on the first axis; the other axes only cost."""
    first, *rest = genome.values
    waste = sum(rest) / 10
    return Fitness((first / 31 + waste, (1 - first / 31) ** 2 + waste))


def made(name, space, *, seed, population, objectives=FIGURES[:2], **more):
    """A strategy by name; "+predictor" behind it gives it one. `gradient` has learned what `conflict` is."""
    name, predictor, _ = name.partition("+predictor")
    if name == "gradient" and "distributions" not in more:
        more["distributions"] = learned(space, lambda genome, number: conflict(genome).objectives[0])
    return make_strategy(
        name, space, seed=seed, population=population, objectives=objectives, predictor=bool(predictor), **more
    )


def learned(space, loss, latency=lambda genome: conflict(genome).objectives[1], seed=0):
    """What strategy `gradient` learns before it searches."""
    return list(learn_distributions(space, loss, latency, seed))


def run(strategy, evaluate, budget):
    seen = []
    while len(seen) < budget and (genome := strategy.ask()):
        seen.append((genome, evaluate(genome)))
        strategy.tell(*seen[-1])
    return seen
