"""Strategies by name."""

import random
from collections.abc import Callable

from tinynas.boards import nearest
from tinynas.errors import ConfigError
from tinynas.search.aging import AgingEvolution
from tinynas.search.local import LocalSearch
from tinynas.search.nsga2 import Nsga2
from tinynas.search.nsga3 import Nsga3
from tinynas.search.predictor import POOL, Features, Guided, Predictor
from tinynas.search.random_search import RandomSearch
from tinynas.search.strategy import Admissible, Draw, Setting, Strategy
from tinynas.space.genome import Space

_STRATEGIES: dict[str, Callable[[Setting], Strategy]] = {
    "aging": AgingEvolution,
    "local": LocalSearch,
    "nsga2": Nsga2,
    "nsga3": Nsga3,
    "random": RandomSearch,
}
# Those that make proposals of which a predictor can choose.
_GUIDED = ("aging", "local", "nsga2", "nsga3")


def strategy_names() -> list[str]:
    """Names of all strategies, sorted."""
    return sorted(_STRATEGIES)


def guided_names() -> list[str]:
    """Names of the strategies that a predictor can help, sorted."""
    return sorted(_GUIDED)


def require_strategy(name: str, predictor: bool | None) -> None:
    """Check a strategy's name, and that a predictor can help it where one is wanted.

    Raises:
        ConfigError: no strategy has that name (the nearest one is suggested).
        ConfigError: a predictor is of no use to it.
    """
    if name not in _STRATEGIES:
        raise ConfigError(f"strategy {name!r} is not known: {nearest(name, strategy_names())}")
    if predictor and name not in _GUIDED:
        raise ConfigError(
            f"strategy {name!r} has no proposals for a predictor to choose from: leave out [search] predictor, "
            f"or take one of {', '.join(_GUIDED)}"
        )


def make_strategy(
    name: str,
    space: Space,
    *,
    seed: int,
    population: int,
    objectives: int,
    predictor: bool | None = None,
    admissible: Admissible = lambda genome: True,
    features: Features | None = None,
) -> Strategy:
    """A strategy at its start.

    admissible: a cheap test that sampling may use to spare the budget.
    predictor: whether one chooses what to evaluate of many proposals; None: where the strategy makes any. It learns
        from genomes, and from their `features`.

    Raises:
        ConfigError: as `require_strategy`.
    """
    require_strategy(name, predictor)
    rng = random.Random(seed)
    is_guided = name in _GUIDED if predictor is None else predictor
    guide = Predictor(space, random.Random(seed), features) if is_guided else None
    draw = Draw(space, rng, admissible, guide.choose if guide else None, POOL if guide else 1)
    setting = Setting(space=space, rng=rng, draw=draw, population=population, objectives=objectives)
    strategy = _STRATEGIES[name](setting)
    return Guided(strategy, guide) if guide else strategy
