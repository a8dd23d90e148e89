"""Space refinement as in TinyNAS (Lin et al., MCUNet, 2020): which resolution and width to search at.

Random networks are drawn from every sub-space until enough of them may meet the limits, and the compute of those is
compared: a sub-space whose networks use more of it within the limits is likelier to hold accurate ones. Nothing is
trained, compiled or measured.
"""

import functools
import itertools
import random
from collections.abc import Callable, Sequence

from tinynas.boards import Board
from tinynas.children import call_in_child
from tinynas.config import Config
from tinynas.cost import Costs
from tinynas.deploy.build import baseline
from tinynas.deploy.desks import held_desk
from tinynas.errors import CandidateError, ConfigError
from tinynas.estimate.analytic import estimate_architecture, infeasible_reason
from tinynas.space.genome import Genome, Space, random_genome
from tinynas.space.narrow import fixed
from tinynas.space.registry import load_space
from tinynas.study import work
from tinynas.study.deployment import boards_of, network_space
from tinynas.study.lab import bounds_on_all
from tinynas.study.subspaces import Refinement, SubSpace, written

_LOADING_TIMEOUT_S = 1800.0
_MOST_SUBSPACES = 400
# So many draws for each network that is to be feasible, at most.
_DRAWS = 20


def refine(
    config: Config, scales: Sequence[str], samples: int, notify: Callable[[str], None] = lambda stage: None
) -> Refinement:
    """Compare the sub-spaces that `scales`, names of axes, divide the space into; empty: those that the space names.

    samples: feasible networks that are wanted of each; of a sub-space where that takes too many draws there are fewer.

    Raises:
        ConfigError: unknown board, task, space or axis; the space names no scales; too many sub-spaces.
        ToolchainError: the firmware, whose memories are not the network's, cannot be built.
    """
    boards = boards_of(config)
    space = network_space(config)
    choices = _choices(space, scales or _scales_of(config))
    notify(f"task {config.task.name}")
    task = call_in_child(
        f"loading task {config.task.name}",
        _LOADING_TIMEOUT_S,
        int(config.train.memory),
        work.describe_task,
        config.task,
        config.search.seed,
    )
    notify("firmware")
    with held_desk() as desk:
        bounds = bounds_on_all(config, boards, [baseline(board, desk, config.board.optimize) for board in boards])
    found = []
    for number, values in enumerate(choices, start=1):
        notify(f"sub-space {number} of {len(choices)}: {written(values)}")
        rng = random.Random(f"{config.search.seed}/{sorted(values.items())}")
        judge = functools.partial(_feasible_macs, boards=boards, bounds=bounds, task=task)
        found.append(_sampled(fixed(space, values), values, samples, rng, judge))
    named = " and ".join(board.name for board in boards)
    return Refinement(space=space.name, board=named, bounds=bounds, subspaces=tuple(found))


def _scales_of(config: Config) -> Sequence[str]:
    space = load_space(config.space.name, config.space.file)
    scales: Sequence[str] = getattr(space, "scales", ())
    if not scales:
        raise ConfigError(
            f"space {space.name} names no scales: say with --axis which axes divide it, of "
            f"{', '.join(axis.name for axis in space.axes)}"
        )
    return scales


def _choices(space: Space, scales: Sequence[str]) -> list[dict[str, int]]:
    axes = {axis.name: axis for axis in space.axes}
    for name in scales:
        # Says which axes there are.
        fixed(space, {name: axes[name].choices[0] if name in axes else 0})
    found = [
        dict(zip(scales, each, strict=True)) for each in itertools.product(*(axes[name].choices for name in scales))
    ]
    if len(found) > _MOST_SUBSPACES:
        raise ConfigError(f"{', '.join(scales)} make {len(found):,} sub-spaces, at most {_MOST_SUBSPACES} are compared")
    return found


def _sampled(
    space: Space, values: dict[str, int], samples: int, rng: random.Random, judge: Callable[[Space, Genome], int | None]
) -> SubSpace:
    """Draw until `samples` different networks are feasible, or `_DRAWS` times as many were drawn."""
    seen: set[Genome] = set()
    macs: list[int] = []
    for _ in range(_DRAWS * samples):
        genome = random_genome(space, rng)
        if genome in seen:
            continue
        seen.add(genome)
        compute = judge(space, genome)
        if compute is not None:
            macs.append(compute)
        if len(macs) == samples:
            break
    return SubSpace(values=values, sampled=len(seen), macs=tuple(sorted(macs)))


def _feasible_macs(
    space: Space, genome: Genome, *, boards: Sequence[Board], bounds: dict[str, float], task: work.TaskFacts
) -> int | None:
    """The MACs of a network that may meet the bounds on all boards; None of any other."""
    try:
        architecture = space.decode(genome, task.input_shape, len(task.class_names))
    except CandidateError:
        return None
    main, *others = boards
    also = {board.name: estimate_architecture(architecture, board) for board in others}
    costs = Costs(main=estimate_architecture(architecture, main), also=also)
    return None if infeasible_reason(costs, bounds) else architecture.macs
