"""Strategies by name."""

import importlib.util
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from tinynas.boards import nearest
from tinynas.errors import ConfigError
from tinynas.search.aging import AgingEvolution
from tinynas.search.bayesian import Bayesian
from tinynas.search.formulation import RandomChebyshev, WeightedProduct
from tinynas.search.gradient import Gradient
from tinynas.search.local import LocalSearch
from tinynas.search.nsga2 import Nsga2
from tinynas.search.nsga3 import Nsga3
from tinynas.search.random_search import RandomSearch
from tinynas.search.reinforce import Reinforce
from tinynas.search.strategy import (
    Admissible,
    Distribution,
    Draw,
    Features,
    Guide,
    Informed,
    Setting,
    Started,
    Strategy,
)
from tinynas.space.genome import Genome, Space

Formulation = Literal["pareto", "weighted_product", "chebyshev"]

_STRATEGIES: dict[str, Callable[[Setting], Strategy]] = {
    "aging": AgingEvolution,
    "bayesian": Bayesian,
    "gradient": Gradient,
    "local": LocalSearch,
    "nsga2": Nsga2,
    "nsga3": Nsga3,
    "random": RandomSearch,
    "reinforce": Reinforce,
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
        ConfigError: it needs a package that is not installed.
        ConfigError: a predictor is of no use to it.
    """
    if name not in _STRATEGIES:
        raise ConfigError(f"strategy {name!r} is not known: {nearest(name, strategy_names())}")
    if name == "bayesian" and importlib.util.find_spec("optuna") is None:
        raise ConfigError("strategy 'bayesian' needs Optuna: pip install 'tinynas[bayesian]'")
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
    objectives: Sequence[str],
    formulation: Formulation = "pareto",
    exponents: Mapping[str, float] | None = None,
    predictor: bool | None = None,
    admissible: Admissible = lambda genome: True,
    features: Features | None = None,
    start: Sequence[Genome] = (),
    distributions: Sequence[Distribution] = (),
) -> Strategy:
    """A strategy at its start.

    formulation, exponents: what is looked for, see `search.formulation`.
    admissible: a cheap test that sampling may use to spare the budget.
    predictor: whether one chooses what to evaluate of many proposals; None: where the strategy makes any. It learns
        from genomes, and from their `features`.
    start: what is asked for first; the more these are, the fewer are drawn at random.
    distributions: what strategy `gradient` draws from, at least one: see `search.gradient.learn_distributions`.

    Raises:
        ConfigError: as `require_strategy`.
    """
    require_strategy(name, predictor)
    rng = random.Random(seed)
    is_guided = name in _GUIDED if predictor is None else predictor
    told = objectives if formulation == "pareto" else (formulation,)
    drawn = set(start)

    def make() -> Strategy:
        guide = _predictor(space, random.Random(rng.getrandbits(31)), features) if is_guided else None
        draw = Draw(
            space,
            rng,
            admissible=admissible,
            drawn=drawn,
            guide=guide,
        )
        setting = Setting(
            space=space, rng=rng, draw=draw, population=population, objectives=told, distributions=distributions
        )
        return Informed(_STRATEGIES[name](setting), draw, guide)

    match formulation:
        case "pareto":
            strategy = make()
        case "weighted_product":
            strategy = WeightedProduct(make(), objectives, exponents or {})
        case "chebyshev":
            strategy = RandomChebyshev(make, random.Random(seed), population)
    return Started(strategy, start)


def _predictor(space: Space, rng: random.Random, features: Features | None) -> Guide:
    # SciPy's and scikit-learn's import takes a second, which commands that search nothing, or refuse to, need not wait.
    from tinynas.search.predictor import Predictor

    return Predictor(space, rng, features)
