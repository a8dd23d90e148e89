"""What strategy `gradient` learns before it searches: probabilities of choices, from a supernet's weights and a latency
table. It is a fact of the study, so that a resumed one asks the same and learns nothing again.
"""

import random
from collections.abc import Sequence

from tinynas.boards import Board
from tinynas.compiler import compile_network
from tinynas.config import Config
from tinynas.errors import CandidateError, ConfigError
from tinynas.estimate.latency import analytic_estimator
from tinynas.estimate.layers import LayerTable, observe_layers
from tinynas.estimate.learned import Observation
from tinynas.search.strategy import Distribution
from tinynas.space.architecture import Architecture
from tinynas.space.genome import random_genome
from tinynas.space.hardware import Deployment
from tinynas.study import training, work
from tinynas.study.deployment import network_space, search_options
from tinynas.study.session import Session

DISTRIBUTIONS = "distributions"
# Of so many networks the layers are in the table.
_NETWORKS = 16
_MOST_DRAWS = 1000
# What the latency stands for: energy is power times time.
_COSTS = ("latency_us", "energy_uj")


def require_learnable(config: Config, board: Board) -> None:
    """Check that strategy `gradient` has a latency to weigh, where it is to search.

    Raises:
        ConfigError: the objectives are not the error and the latency or energy.
        ConfigError: latencies are measured, and nothing is known of the board's CPU to estimate them from.
    """
    objectives = config.search.objectives
    if config.search.strategy != "gradient":
        return
    if "error" not in objectives or not set(_COSTS) & set(objectives):
        raise ConfigError(
            f"strategy 'gradient' weighs the error against the latency, the objectives are {', '.join(objectives)}: "
            f"have error and {' or '.join(_COSTS)} among them, or take another strategy"
        )
    if config.estimate.latency == "measured":
        analytic_estimator(board)


def learned_distributions(session: Session, supernet: work.Supernet) -> Sequence[Distribution]:
    """Probabilities of all choices, one distribution for each trade-off. Hardware genes are left to chance.

    Raises:
        ConfigError: no network of the space can be compiled.
        ChildError: the learning crashed or took too long.
    """
    lab = session.lab
    config = lab.config.model_copy(update={"task": lab.data})
    table = latency_table(session)
    learned = lab.in_child("learning what to search", training.learn_choices, config, supernet.path, table)
    genes = lab.space.axes[len(network_space(lab.config).axes) :]
    even = [[1 / len(axis.choices)] * len(axis.choices) for axis in genes]
    return [[*distribution, *even] for distribution in learned]


def latency_table(session: Session) -> LayerTable:
    """What layers take on the main board, by its estimator, or where it has none by its CPU's instructions, from random
    networks of the space. Raises ConfigError where none of them can be compiled.
    """
    lab = session.lab
    board = lab.main.board
    estimator = lab.main.estimator or analytic_estimator(board)
    options = search_options(Deployment(optimize=lab.config.board.optimize))

    def observe(network: Architecture) -> list[Observation]:
        try:
            tflite = lab.in_child("converting", work.convert_random, network, lab.config.search.seed)
            program = compile_network(tflite, target=board.target, constants=board.constants, **options.arguments)
        except CandidateError:
            return []
        return observe_layers(network, program, estimator)

    observations = [layer for layers in session.threads.map(observe, _networks(session)) for layer in layers]
    if not observations:
        raise ConfigError(f"none of {_NETWORKS} random networks of space {lab.space.name} can be compiled")
    return LayerTable(observations, estimator.clock_hz, estimator.outside_cycles)


def _networks(session: Session) -> list[Architecture]:
    lab, found = session.lab, list[Architecture]()
    space, rng = network_space(lab.config), random.Random(lab.config.search.seed)
    for _ in range(_MOST_DRAWS):
        try:
            found.append(space.decode(random_genome(space, rng), lab.task.input_shape, len(lab.task.class_names)))
        except CandidateError:
            continue
        if len(found) == _NETWORKS:
            break
    return found
