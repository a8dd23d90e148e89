"""What every space promises, checked on the builtin ones and on a user's own."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynas.errors import CandidateError, ConfigError
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Genome, cross, mutate, named, random_genome, smallest
from tinynas.space.registry import load_space, space_names
from tinynas.space.stages import Stage, packed

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "tiny_space.py"
SPACES = [*(load_space(name) for name in space_names()), load_space("tiny", EXAMPLE)]
SHAPES = {
    "image": (28, 28, 1),
    "mobilenet": (28, 28, 1),
    "cell": (28, 28, 1),
    "series": (64, 3),
    "mlp": (8, 8, 1),
    "tiny": (16, 16, 3),
}
for space in SPACES:
    # The first canonical form of a space may take longer than hypothesis allows an example.
    smallest(space)
seeds = st.integers(0, 2**32)
every_space = pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)


def inside(space, genome):
    return (
        genome.space == space.name
        and len(genome.values) == len(space.axes)
        and all(value in axis.choices for axis, value in zip(space.axes, genome.values, strict=True))
    )


def decoded(space, genome):
    try:
        return space.decode(genome, SHAPES[space.name], 10)
    except CandidateError:
        return None


@every_space
@given(seed=seeds)
def test_every_operator_stays_inside_and_is_canonical(space, seed):
    rng = random.Random(seed)
    first, second = random_genome(space, rng), random_genome(space, rng)
    for genome in (first, second, smallest(space), mutate(space, first, rng), *cross(space, first, second, rng)):
        assert inside(space, genome)
        assert space.canonical(genome) == genome


@every_space
@given(seed=seeds)
def test_the_same_seed_draws_the_same_genomes(space, seed):
    draws = []
    for _ in range(2):
        rng = random.Random(seed)
        first = random_genome(space, rng)
        draws.append((first, mutate(space, first, rng), cross(space, first, smallest(space), rng)))
    assert draws[0] == draws[1]


@every_space
@given(seed=seeds)
def test_a_key_is_parsed_back(space, seed):
    genome = random_genome(space, random.Random(seed))
    assert Genome.parse(genome.key) == genome


@every_space
@given(seed=seeds)
def test_a_genome_decodes_to_one_well_formed_network(space, seed):
    genome = random_genome(space, random.Random(seed))
    network = decoded(space, genome)
    if network is None:
        return
    assert network == decoded(space, genome)
    assert network.layers[-1].shape == (10,)
    for index, layer in enumerate(network.layers):
        assert all(source < index for source in layer.inputs)
        assert layer.bytes > 0
    used = {source for layer in network.layers for source in layer.inputs}
    assert used == set(range(len(network.layers) - 1))


@every_space
@given(seed=seeds)
def test_genomes_that_differ_after_canonical_form_decode_differently(space, seed):
    rng = random.Random(seed)
    first = random_genome(space, rng)
    second = mutate(space, first, rng)
    networks = decoded(space, first), decoded(space, second)
    if first != second and None not in networks:
        assert networks[0] != networks[1]


@every_space
def test_equal_networks_have_equal_keys(space):
    rng, keys = random.Random(0), {}
    for _ in range(3000):
        genome = random_genome(space, rng)
        network = decoded(space, genome)
        assert network is None or keys.setdefault(network, genome.key) == genome.key


def with_genes(space, **genes):
    """The smallest genome but for some genes, not made canonical."""
    return Genome(space.name, tuple((named(space, smallest(space)) | genes).values()))


@pytest.mark.parametrize("name", ["series"])
def test_a_gap_between_stages_makes_no_other_network(name):
    space = load_space(name)
    gap = with_genes(space, depth_1=2, depth_2=0, depth_3=1, filters_3=16, stride_3=2)
    close = with_genes(space, depth_1=2, depth_2=1, filters_2=16, stride_2=2)
    assert space.canonical(gap) == space.canonical(close) == close
    assert decoded(space, gap) == decoded(space, close)


@pytest.mark.parametrize("name", ["series"])
def test_a_stage_split_in_two_makes_no_other_network(name):
    space = load_space(name)
    split, whole = with_genes(space, depth_1=1, depth_2=2), with_genes(space, depth_1=3)
    assert space.canonical(split) == space.canonical(whole) == whole
    assert decoded(space, split) == decoded(space, whole)


@pytest.mark.parametrize("name", ["series"])
def test_a_stage_that_strides_stays_apart_from_the_one_before(name):
    space = load_space(name)
    apart = with_genes(space, depth_1=1, depth_2=1, stride_2=2)
    assert space.canonical(apart) == apart


@given(
    stages=st.lists(st.builds(Stage, st.integers(0, 3), st.integers(1, 2), st.tuples(st.integers(0, 1))), max_size=5),
)
def test_packing_keeps_the_blocks_and_needs_no_more_stages(stages):
    def blocks(stages):
        return [(1 if at else stage.stride, stage.settings) for stage in stages for at in range(stage.depth)]

    short = packed(stages, 3)
    assert blocks(short) == blocks(stages)
    assert len(short) <= sum(stage.depth > 0 for stage in stages)
    assert all(1 <= stage.depth <= 3 for stage in short)
    assert packed(short, 3) == short


@every_space
def test_random_genomes_differ_and_most_decode(space):
    rng = random.Random(0)
    genomes = [random_genome(space, rng) for _ in range(100)]
    assert len(set(genomes)) > 10
    assert sum(decoded(space, genome) is not None for genome in genomes) > 80


@every_space
def test_mutation_reaches_every_choice_of_every_axis(space):
    rng = random.Random(1)
    seen = [set() for _ in space.axes]
    genome = random_genome(space, rng)
    for _ in range(5000):
        genome = mutate(space, genome, rng)
        for values, value in zip(seen, genome.values, strict=True):
            values.add(value)
    assert seen == [set(axis.choices) for axis in space.axes]


@pytest.mark.parametrize("shape", [(28, 28, 1), (96, 96, 3), (8, 8, 1), (32, 20, 2)])
def test_the_image_space_serves_images_of_any_size(shape):
    space, rng = load_space("image"), random.Random(2)
    networks = []
    for _ in range(50):
        try:
            networks.append(space.decode(random_genome(space, rng), shape, 2))
        except CandidateError:
            continue
    assert len(networks) > 20


def test_the_image_space_builds_every_block_kind_and_skips():
    space, rng = load_space("image"), random.Random(3)
    networks = [network for network in (decoded(space, random_genome(space, rng)) for _ in range(300)) if network]
    ops = {layer.op for network in networks for layer in network.layers}
    assert ops >= {"conv", "depthwise", "add", "avg_pool", "global_avg_pool", "flatten", "dense"}


def test_a_series_becomes_two_dimensional_with_flat_kernels():
    space = load_space("series")
    network = space.decode(random_genome(space, random.Random(4)), (64, 3), 5)
    assert network.layers[0].shape == (64, 1, 3)
    assert all(layer.kernel[1] == 1 for layer in network.layers)


def test_names_go_with_values():
    genome = smallest(load_space("mlp"))
    assert named(load_space("mlp"), genome)["depth"] == 0


@pytest.mark.parametrize("key", ["", "mlp", "mlp:", "mlp:1-x", "mlp:01-2", "mlp:1--2-"])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(ConfigError, match="is no genome"):
        Genome.parse(key)


@pytest.mark.parametrize("values", [(9, 8, 8, 8), (0, 8, 8)])
def test_a_genome_of_another_space_is_refused(values):
    with pytest.raises(ConfigError, match="genome mlp"):
        load_space("mlp").decode(Genome("mlp", values), (8, 8, 1), 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SPACE = 3", "must define SPACE with name, axes, decode and canonical"),
        ("x = 1", "must define SPACE"),
        ("1 / 0", "ZeroDivisionError"),
        ("def (", "SyntaxError"),
    ],
)
def test_a_broken_space_file_is_refused(tmp_path, text, message):
    file = tmp_path / "space.py"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_space("own", file)


def test_macs_and_weights_are_those_of_the_layers():
    from tinynas.space.architecture import Builder

    build = Builder((8, 8, 2), 10)
    last = build.conv(0, 4, 3, 2)
    last = build.depthwise(last, 3)
    network: Architecture = build.finish(build.global_avg_pool(last))
    assert [layer.macs for layer in network.layers] == [0, 16 * 9 * 2 * 4, 16 * 9 * 4, 0, 40]
    assert network.constants_bytes == (72 + 16) + (36 + 16) + (40 + 40)
    assert network.peak_activation_bytes == 128
