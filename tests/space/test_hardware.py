"""Hardware genes behind any space: they choose the deployment and leave the network alone."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynas.boards import load_board
from tinynas.errors import CandidateError, ConfigError
from tinynas.space.genome import Genome, cross, mutate, random_genome, smallest
from tinynas.space.hardware import Deployment, deployment_of, hardware_values, network_of, with_hardware
from tinynas.space.registry import load_space, space_names

BOARD = load_board("netduinoplus2")
for each in space_names():
    # The first canonical form of a space may take longer than hypothesis allows an example.
    smallest(load_space(each))
GENES = ("optimize", "patches", "fast_memory", "clock", "activations")
SHAPE = (28, 28, 1)
every_space = pytest.mark.parametrize("name", space_names())


@every_space
@given(seed=st.integers(0, 2**32))
def test_genes_change_the_deployment_alone(name, seed):
    base, rng = load_space(name), random.Random(seed)
    space = with_hardware(base, GENES, BOARD)
    first, second = random_genome(space, rng), random_genome(space, rng)
    for genome in (first, mutate(space, first, rng), *cross(space, first, second, rng)):
        assert space.canonical(genome) == genome
        assert Genome.parse(genome.key) == genome
        network = network_of(space, genome)
        assert base.canonical(network) == network
        try:
            assert space.decode(genome, SHAPE, 10) == base.decode(network, SHAPE, 10)
        except CandidateError:
            continue


@every_space
def test_no_genes_are_no_wrapper(name):
    space = load_space(name)
    genome = random_genome(space, random.Random(0))
    assert with_hardware(space, (), BOARD) is space
    assert network_of(space, genome) == genome
    assert hardware_values(space, genome) == ()
    assert deployment_of(space, genome, Deployment(optimize="size")) == Deployment(optimize="size")


def test_values_are_what_the_network_becomes():
    space = with_hardware(load_space("mlp"), GENES, BOARD)
    assert space.name == "mlp+optimize+patches+fast_memory+clock+activations"
    genome = Genome(space.name, (0, 8, 8, 8, 1, 1, 16, 120, 16))
    assert deployment_of(space, genome, Deployment()) == Deployment(
        optimize="size", patches="auto", fast_bytes=16384, clock_hz=120_000_000, activation_bits=16
    )
    assert hardware_values(space, genome) == (1, 1, 16, 120, 16)


def test_what_no_gene_says_is_as_configured():
    space = with_hardware(load_space("mlp"), ("patches",), BOARD)
    found = deployment_of(space, Genome(space.name, (0, 8, 8, 8, 1)), Deployment(optimize="size", clock_hz=90_000_000))
    assert found == Deployment(optimize="size", patches="auto", clock_hz=90_000_000)


def test_the_clock_is_one_of_the_boards_steps():
    space = with_hardware(load_space("mlp"), ("clock",), BOARD)
    assert space.clocks_hz == tuple(step.hz for step in BOARD.clock_steps)
    assert with_hardware(load_space("mlp"), ("patches",), BOARD).clocks_hz == ()
    for name in ("mps2_an386", "nucleo_f446re"):
        with pytest.raises(ConfigError, match=f"board {name} runs at .* alone, its manifest has no other clock_steps"):
            with_hardware(load_space("mlp"), ("clock",), load_board(name))


def test_fast_memory_is_never_more_than_the_board_has():
    def choices(board):
        return with_hardware(load_space("mlp"), ("fast_memory",), load_board(board)).axes[-1].choices

    assert choices("netduinoplus2") == (0, 4, 16, 64)
    assert choices("stm32vldiscovery") == (0, 4)
    assert choices("mps2_an386") == (0, 4, 16)
    with pytest.raises(ConfigError, match="board pico is linked by its Arduino core"):
        choices("pico")
    tiny = load_board("stm32vldiscovery").model_copy(update={"sram_bytes": 4096})
    with pytest.raises(ConfigError, match="has 2,048 B for constants beside its flash, the smallest choice"):
        with_hardware(load_space("mlp"), ("fast_memory",), tiny)
