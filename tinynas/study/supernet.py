"""A study's supernet: trained once, before the first candidate, so that candidates are scored without training.

It is a file under a key of everything that it depends on: a study that is resumed, or another one of the same task,
seed and settings, finds it again.
"""

import random
from collections.abc import Callable
from pathlib import Path

from tinynas import paths
from tinynas.config import Config
from tinynas.errors import ConfigError, InfrastructureError, NothingFeasibleError
from tinynas.files import write_whole
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Genome, Space, random_genome
from tinynas.study import training, work
from tinynas.study.cache import supernet_key
from tinynas.study.testbed import Lab

# Of so many genomes at random one should meet the limits.
_PATIENCE = 200


def require_shareable(config: Config, space: Space) -> None:
    """Check that candidates of a space can share weights, where [supernet] says that they do, or strategy `gradient`
    learns from a supernet.

    Raises:
        ConfigError: the space has no supernet, or another setting says that candidates are trained.
    """
    learns = config.search.strategy == "gradient"
    if not config.supernet.enabled and not learns:
        return
    base = space.name.partition("+")[0]
    if config.space.file is not None or base not in ("image", "mobilenet"):
        what = "strategy 'gradient'" if learns else "[supernet]"
        raise ConfigError(f"{what} is for spaces image and mobilenet, not for {space.name}: leave it out")
    if not config.supernet.enabled:
        return
    for name, wanted in (("[train] inherit", config.train.inherit), ("[stop] rule", config.stop.rule != "none")):
        if wanted:
            raise ConfigError(
                f"with [supernet] no candidate is trained in the search, which {name} is for: leave it out"
            )


def trained_supernet(
    lab: Lab, decode: Callable[[Genome], Architecture], admissible: Callable[[Genome], bool]
) -> work.Supernet:
    """The supernet of a study's space, trained in a child if it is not there. Its networks are drawn at random among
    those `admissible`.

    Raises:
        ConfigError: the training diverged.
        ChildError: it took too long or too much memory; what was trained is gone on with when the study is resumed.
        NothingFeasibleError: next to no network at random is admissible.
    """
    settings, rng = lab.config.supernet, random.Random(f"supernet/{lab.config.search.seed}")
    networks: list[Architecture] = []
    for _ in range(_PATIENCE * settings.networks):
        genome = random_genome(lab.space, rng)
        if admissible(genome):
            networks.append(decode(genome))
            if len(networks) == settings.networks:
                break
    else:
        raise NothingFeasibleError(
            f"{len(networks)} of {_PATIENCE * settings.networks:,} networks at random may meet the limits, [supernet] "
            f"takes {settings.networks}: raise a limit, or narrow the space"
        )
    seed = lab.config.search.seed
    key = supernet_key(lab.task.digest, networks, seed, lab.config.train, settings.epochs)
    path = work.STATES / f"{key}.supernet.npz"
    file = paths.home() / path
    if file.is_file():
        file.touch()
    else:
        content = lab.crew.call(
            "training the supernet",
            settings.timeout,
            training.train_shared,
            lab.data,
            seed,
            networks,
            lab.config.train,
            epochs=settings.epochs,
            state=path.with_suffix(".state.npz"),
        )
        _write(file, content)
    lab.crew.place(path)
    return work.Supernet(path=path, largest=max(networks, key=lambda network: network.macs))


def _write(file: Path, content: bytes) -> None:
    try:
        write_whole(file, content)
    except OSError as error:
        raise InfrastructureError(f"the supernet's file {file} cannot be written: {error.strerror}") from error
