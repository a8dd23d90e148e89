"""What a search may begin with."""

import pytest

from tinynas.config import load_config
from tinynas.cost import Cost
from tinynas.errors import CandidateError, ConfigError
from tinynas.search.fitness import Fitness
from tinynas.search.registry import make_strategy
from tinynas.space.genome import Genome
from tinynas.space.known import KNOWN
from tinynas.space.narrow import fixed
from tinynas.space.registry import load_space
from tinynas.study.start import starting_genomes
from tinynas.study.store import Store, Trial

MLP = load_space("mlp")
FRONT = ["mlp:1-16-8-8", "mlp:2-64-32-8"]


@pytest.fixture
def study(tmp_path):
    """A study of space mlp with two networks on its front and one behind them."""
    facts = {
        "config": load_config(None).model_dump(mode="json"),
        "space": {"name": "mlp", "axes": [{"name": axis.name, "choices": list(axis.choices)} for axis in MLP.axes]},
    }
    with Store.create(tmp_path / "old.db", facts) as store:
        for number, (key, accuracy, latency_us) in enumerate(
            [(FRONT[0], 0.8, 10.0), (FRONT[1], 0.9, 50.0), ("mlp:1-8-8-8", 0.7, 60.0)]
        ):
            cost = Cost(latency_us=latency_us, latency_source="emulated")
            store.add_trial(
                Trial(number=number, genome=key, state="complete", accuracy_int8_val=accuracy, cost=cost), {}
            )
    return str(tmp_path / "old.db")


@pytest.mark.parametrize(("space", "name"), [(space, name) for space, names in KNOWN.items() for name in names])
def test_known_networks_are_in_their_spaces_and_are_networks(space, name):
    loaded = load_space(space)
    genome = starting_genomes([name], loaded)[0]
    genes = dict(zip((axis.name for axis in loaded.axes), genome.values, strict=True))
    assert set(KNOWN[space][name]) <= set(genes)
    shape = (100, 6) if space == "series" else (96, 96, 1)
    assert loaded.decode(genome, shape, 10).macs > 100_000


def test_a_front_a_genome_and_a_known_network_come_each_once(study):
    found = starting_genomes([study, FRONT[0], "mlp:3-8-8-8", study], MLP)
    assert [genome.key for genome in found] == [FRONT[1], FRONT[0], "mlp:3-8-8-8"]


def test_a_narrowed_space_takes_what_it_still_holds(study):
    found = starting_genomes([study], fixed(MLP, {"depth": 1}))
    assert [genome.key for genome in found] == [FRONT[0]]
    with pytest.raises(ConfigError, match="none of the 2 networks"):
        starting_genomes([study], fixed(MLP, {"depth": 3}))


@pytest.mark.parametrize(
    ("space", "entry", "word"),
    [
        ("image", "mobilnet", r"did you mean mobilenet\?"),
        ("mlp", "ds_cnn", "it has none"),
        ("mlp", "mlp:9-9", "with 4 axes"),
        ("mlp", "mlp:1-17-8-8", "takes"),
        ("mlp", "absent.db", "absent.db"),
    ],
)
def test_what_is_neither_is_refused(space, entry, word):
    with pytest.raises((ConfigError, CandidateError), match=word):
        starting_genomes([entry], load_space(space))


def test_a_study_of_another_space_is_refused(study):
    with pytest.raises(ConfigError, match="searched space mlp, this one searches image"):
        starting_genomes([study], load_space("image"))


@pytest.mark.parametrize("formulation", ["pareto", "chebyshev"])
def test_a_search_asks_for_them_first_and_never_again(formulation):
    start = [Genome.parse(key) for key in FRONT]
    strategy = make_strategy(
        "local",
        MLP,
        seed=1,
        population=4,
        objectives=("error", "latency_us"),
        formulation=formulation,
        predictor=False,
        start=start,
    )
    asked = []
    for _ in range(20):
        asked.append(strategy.ask())
        strategy.tell(asked[-1], Fitness((float(sum(asked[-1].values)), float(asked[-1].values[0]))))
    assert asked[:2] == start
    assert len(set(asked)) == 20


def test_a_start_in_a_file_of_settings_is_found_beside_it(tmp_path):
    (tmp_path / "s.toml").write_text('[search]\nstart = ["old.db", "ds_cnn"]\n')
    assert load_config(tmp_path / "s.toml").search.start == (str(tmp_path / "old.db"), "ds_cnn")
