"""What strategy `gradient` learns, and what it then asks for."""

import math

import pytest
from problems import Plain, learned, made

from tinynas.search.fitness import Fitness
from tinynas.search.gradient import LADDER
from tinynas.space.genome import Genome

SPACE = Plain(4, 3, 2)
BEST = (3, 0, 1)


def miss(genome, number=0):
    """How far a genome is from the BEST, with noise that differs from round to round."""
    noise = 0.2 * math.sin(7 * number + sum(genome.values))
    return noise + sum(abs(a - b) for a, b in zip(genome.values, BEST, strict=True))


def cost(genome):
    return sum(genome.values) / 3


def modes(distributions):
    return [tuple(max(range(len(row)), key=row.__getitem__) for row in each) for each in distributions]


def test_the_latency_alone_leads_to_the_cheapest_choices():
    last = learned(SPACE, lambda genome, number: 0.0, cost)[-1]
    assert all(row[0] > 0.9 for row in last)


def test_the_cross_entropy_alone_leads_to_the_best_choices_through_noise():
    found = learned(SPACE, miss, lambda genome: 0.0)
    assert modes(found) == [BEST] * len(LADDER)
    assert all(row[choice] > 0.9 for row, choice in zip(found[-1], BEST, strict=True))


def test_each_trade_off_weighs_them_anew():
    def loss(genome, number):
        return 0.5 * sum(value < most for value, most in zip(genome.values, (3, 2, 1), strict=True))

    first, *_, last = modes(learned(SPACE, loss, cost))
    assert (first, last) == ((3, 2, 1), (0, 0, 0))


def test_choices_that_depend_on_each_other_end_together():
    # Equal choices are good, whichever they are: each axis alone knows nothing.
    found = learned(Plain(2, 2), lambda genome, number: float(len(set(genome.values))), lambda genome: 0.0)[-1]
    first, second = modes([found])[0]
    assert first == second


def test_what_cannot_be_built_is_unlikely():
    def loss(genome, number):
        return math.inf if genome.values[0] > 1 else 0.0

    last = learned(SPACE, loss, lambda genome: 0.0)[-1]
    assert sum(last[0][2:]) < 0.1
    assert all(math.isfinite(each) for row in learned(SPACE, lambda *_: math.inf)[-1] for each in row)


def test_equal_seeds_learn_the_same_and_others_do_not():
    one, again, other = (learned(SPACE, miss, cost, seed=seed) for seed in (1, 1, 2))
    assert one == again != other


def surely(*values):
    return [[0.97 if choice == value else 0.01 for choice in range(4)] for value in values]


def test_the_likeliest_genomes_come_first_then_others_that_are_likely():
    ladder = [surely(3, 3, 3), surely(3, 3, 3), surely(0, 0, 0)]
    strategy = made_with(ladder)
    asked = [strategy.ask().values for _ in range(12)]
    assert asked[:2] == [(3, 3, 3), (0, 0, 0)]
    assert len(set(asked)) == 12
    # At random an axis has the value of either mode half the time.
    assert sum(value in (0, 3) for values in asked for value in values) > 27


@pytest.mark.parametrize("kept", [0, 3])
def test_distributions_whose_genomes_keep_the_limits_are_drawn_from_more_often(kept):
    strategy = made_with([surely(0, 0, 0), surely(3, 3, 3)])
    near = 0
    for _ in range(40):
        genome = strategy.ask()
        close = sum(abs(value - kept) for value in genome.values) < 5
        near += close
        strategy.tell(genome, Fitness((0.5, 1.0)) if close else Fitness(None, 1.0))
    assert near >= 24


def made_with(distributions):
    return made("gradient", Plain(4, 4, 4), seed=1, population=4, distributions=distributions)


def test_a_genome_of_a_start_is_no_distribution_s():
    strategy = made_with([surely(1, 1, 1)])
    strategy.tell(Genome("plain", (1, 1, 1)), Fitness(None, 1.0))
    assert strategy.ask() != Genome("plain", (1, 1, 1))
