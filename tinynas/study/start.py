"""What a search begins with instead of genomes at random: known networks, genomes, the fronts of earlier studies."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tinynas.boards import nearest
from tinynas.errors import ConfigError
from tinynas.space.genome import Genome, Space, require_inside
from tinynas.space.known import KNOWN
from tinynas.study.store import Store
from tinynas.study.summary import config_of, search_front


def starting_genomes(start: Sequence[str], space: Space) -> list[Genome]:
    """The genomes that the entries of `[search] start` stand for, each once, in their order.

    An entry is the file of a study (its front, whatever its board), a genome's key, or the name of a known network.

    Raises:
        ConfigError: an entry is none of these, or the space lacks a value of its axes.
        ConfigError: no network of a study's front can be said in this space.
    """
    found: dict[Genome, None] = {}
    for entry in start:
        if entry.endswith(".db"):
            found |= dict.fromkeys(_of_study(Path(entry), space))
        elif ":" in entry:
            genome = Genome.parse(entry)
            require_inside(space, genome)
            found[space.canonical(genome)] = None
        else:
            found[_known(entry, space)] = None
    return list(found)


def _known(name: str, space: Space) -> Genome:
    base = space.name.partition("+")[0]
    networks = KNOWN.get(base, {})
    if name not in networks:
        raise ConfigError(
            f"[search] start: {name!r} is no known network of space {base}: "
            f"{nearest(name, sorted(networks)) if networks else 'it has none'}; a genome is written space:1-2-3, "
            "and an earlier study by its file, *.db"
        )
    genome = _with_genes(space, networks[name])
    if genome is None:
        raise ConfigError(f"[search] start: {name} is not in space {space.name} as its axes were narrowed")
    return genome


def _of_study(path: Path, space: Space) -> list[Genome]:
    """Its front, of the networks that this space can say, too. Axes go by their names, so that a study without
    hardware genes serves one with them.
    """
    with Store.open_to_read(path) as store:
        axes = [axis["name"] for axis in store.fact("space")["axes"]]
        name = store.fact("space")["name"]
        points = search_front(store.trials(), config_of(store).search.objectives)
    if name.partition("+")[0] != space.name.partition("+")[0]:
        raise ConfigError(f"[search] start: study {path} searched space {name}, this one searches {space.name}")
    genes = [dict(zip(axes, Genome.parse(point.trial.genome).values, strict=True)) for point in points]
    found = [genome for each in genes if (genome := _with_genes(space, each)) is not None]
    if not found:
        raise ConfigError(
            f"[search] start: none of the {len(points)} networks on the front of study {path} is in space {space.name} "
            "as it is searched now"
        )
    return found


def _with_genes(space: Space, genes: Mapping[str, int]) -> Genome | None:
    """The genome with these values, and the first choice of every other axis; None where an axis lacks one."""
    values = tuple(genes.get(axis.name, axis.choices[0]) for axis in space.axes)
    if any(value not in axis.choices for axis, value in zip(space.axes, values, strict=True)):
        return None
    return space.canonical(Genome(space.name, values))
