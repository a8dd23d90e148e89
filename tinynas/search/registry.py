"""Strategies by name."""

from collections.abc import Callable

from tinynas.boards import nearest
from tinynas.errors import ConfigError
from tinynas.search.aging import AgingEvolution
from tinynas.search.local import LocalSearch
from tinynas.search.nsga2 import Nsga2
from tinynas.search.nsga3 import Nsga3
from tinynas.search.random_search import RandomSearch
from tinynas.search.strategy import Admissible, Strategy
from tinynas.space.genome import Space

_STRATEGIES: dict[str, Callable[..., Strategy]] = {
    "aging": AgingEvolution,
    "local": LocalSearch,
    "nsga2": Nsga2,
    "nsga3": Nsga3,
    "random": RandomSearch,
}


def strategy_names() -> list[str]:
    """Names of all strategies, sorted."""
    return sorted(_STRATEGIES)


def require_strategy(name: str) -> None:
    """Check a strategy's name.

    Raises:
        ConfigError: no strategy has that name (the nearest one is suggested).
    """
    if name not in _STRATEGIES:
        raise ConfigError(f"strategy {name!r} is not known: {nearest(name, strategy_names())}")


def make_strategy(
    name: str, space: Space, *, seed: int, population: int, admissible: Admissible = lambda genome: True
) -> Strategy:
    """A strategy at its start. `admissible` is a cheap test that sampling may use to spare the budget.

    Raises:
        ConfigError: no strategy has that name.
    """
    require_strategy(name)
    return _STRATEGIES[name](space, seed=seed, population=population, admissible=admissible)
