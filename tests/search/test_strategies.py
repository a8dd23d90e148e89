"""What every strategy promises, and that NSGA-II finds what it should."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import FIGURES, Plain, conflict, made, run

from tinynas.cost import Cost, Flash, Sram
from tinynas.errors import ConfigError
from tinynas.search.fitness import Fitness, fitness, hypervolume, non_dominated, violation
from tinynas.search.nsga3 import divisions_for
from tinynas.search.registry import strategy_names
from tinynas.search.scalar import Ranges
from tinynas.space.genome import Genome
from tinynas.space.registry import load_space

every_strategy = pytest.mark.parametrize("name", [*strategy_names(), "nsga2+predictor"])
# Those that go for the whole front: reinforce goes for one point of it.
CLEVER = [*(name for name in strategy_names() if name not in ("random", "reinforce")), "nsga2+predictor"]


@every_strategy
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 1000))
def test_equal_seeds_and_answers_give_equal_questions(name, seed):
    space = load_space("mlp")
    runs = [
        run(made(name, space, seed=seed, population=6), lambda g: Fitness((sum(g.values), g.values[0])), 16)
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


@every_strategy
def test_the_global_random_state_does_not_matter(name):
    asked = []
    for state in (1, 2):
        random.seed(state)
        asked.append(run(made(name, Plain(32, 4, 4), seed=7, population=6), conflict, 20))
    assert asked[0] == asked[1]


@every_strategy
def test_no_genome_is_asked_for_twice(name):
    genomes = [genome for genome, _ in run(made(name, Plain(8, 4), seed=1, population=8), conflict, 30)]
    assert len(genomes) == len(set(genomes)) == 30


@every_strategy
def test_a_small_space_is_exhausted_and_then_nothing_is_asked(name):
    strategy = made(name, Plain(3, 2), seed=1, population=4)
    assert len(run(strategy, conflict, 100)) == 6
    assert strategy.ask() is None


@every_strategy
def test_inadmissible_genomes_are_left_out_while_others_are_left(name):
    strategy = made(name, Plain(32, 4, 4), seed=1, population=8, admissible=lambda genome: genome.values[0] < 16)
    assert all(genome.values[0] < 16 for genome, _ in run(strategy, conflict, 40))


@every_strategy
def test_a_search_goes_on_while_nothing_is_feasible(name):
    results = run(made(name, Plain(32, 4, 4), seed=1, population=8), lambda g: Fitness(None, math.inf), 40)
    assert len(results) == 40


def test_an_unknown_strategy_gets_the_nearest_name():
    with pytest.raises(ConfigError, match=r"did you mean nsga2\?"):
        made("nsga22", Plain(2), seed=0, population=2)


@pytest.mark.parametrize("name", CLEVER)
def test_a_strategy_covers_more_than_random_search_on_a_known_problem(name):
    budget = 60 if name == "bayesian" else 120

    def volume(name, seed):
        results = run(made(name, Plain(32, 8, 8, 8), seed=seed, population=10), conflict, budget)
        return hypervolume([each.objectives for _, each in results], (4.0, 4.0))

    wins = sum(volume(name, seed) > volume("random", seed) for seed in range(3))
    assert wins == 3


@pytest.mark.parametrize("name", CLEVER)
def test_a_strategy_finds_its_way_into_the_limits_by_violation(name):
    def evaluate(genome):
        excess = sum(genome.values[1:])
        return conflict(genome) if excess == 0 else Fitness(None, float(excess))

    results = run(made(name, Plain(32, 12, 12), seed=3, population=10), evaluate, 120)
    # Only 32 of 4,608 genomes keep the limits: at random less than one would be found.
    assert sum(each.feasible for _, each in results) >= 12


def test_reinforce_learns_what_its_reward_is_made_of():
    def evaluate(genome):
        return Fitness((0.1 + 0.02 * sum(genome.values), 10.0 + genome.values[0]))

    for seed in range(3):
        results = run(made("reinforce", Plain(8, 8, 8, 8), seed=seed, population=10), evaluate, 200)
        errors = [fitness.objectives[0] for _, fitness in results]
        assert sum(errors[-40:]) < sum(errors[:40]) * 0.7


def test_reinforce_learns_to_keep_the_limits():
    def evaluate(genome):
        return conflict(genome) if max(genome.values[1:]) < 4 else Fitness(None, max(genome.values[1:]) - 3.0)

    results = run(made("reinforce", Plain(32, 8, 8, 8), seed=1, population=10), evaluate, 200)
    kept = [fitness.feasible for _, fitness in results]
    assert sum(kept[-50:]) > sum(kept[:50]) + 15


@every_strategy
def test_a_strategy_may_be_told_what_it_did_not_ask_for(name):
    strategy = made(name, Plain(6, 4), seed=1, population=4)
    strangers = [Genome("plain", (5, value)) for value in range(3)]
    for genome in strangers:
        strategy.tell(genome, conflict(genome))
    asked = [genome for genome, _ in run(strategy, conflict, 30)]
    assert len(asked) == len(set(asked)) == 21
    assert not set(asked) & set(strangers)


@pytest.mark.parametrize(
    ("objectives", "count", "divisions"), [(2, 12, 11), (2, 3, 2), (3, 12, 3), (4, 20, 3), (4, 3, 1)]
)
def test_nsga3_has_no_more_directions_than_survivors(objectives, count, divisions):
    assert divisions_for(objectives, count) == divisions
    assert math.comb(objectives + divisions - 1, divisions) <= max(count, objectives)


def test_nsga3_keeps_a_front_of_four_objectives_wide():
    def evaluate(genome):
        shares = [value / 7 for value in genome.values]
        return Fitness((*shares[:3], sum((1 - share) ** 2 for share in shares) / 4))

    def spread(name):
        results = run(made(name, Plain(8, 8, 8, 8), seed=1, population=20, objectives=FIGURES), evaluate, 300)
        return hypervolume([each.objectives for _, each in results], (1.1,) * 4)

    assert spread("nsga3") > spread("random")


def test_weights_are_uniform_and_violation_goes_before_any_objective():
    ranges = Ranges()
    ranges.learn([Fitness((1.0, 10.0)), Fitness((3.0, 30.0)), Fitness(None, 2.0)])
    weights = [ranges.draw_weights(random.Random(seed)) for seed in range(2000)]
    assert all(sum(each) == pytest.approx(1) for each in weights)
    assert sum(first for first, _ in weights) / len(weights) == pytest.approx(0.5, abs=0.02)
    # In parts of the ranges: (0, 1), (0.5, 0.5) and (1, 0).
    order = [Fitness((2.0, 20.0)), Fitness((3.0, 10.0)), Fitness(None, 0.1), Fitness(None, 0.5)]
    worst_first = [order[index] for index in (3, 2, 1, 0)]
    assert sorted(worst_first, key=lambda fitness: ranges.distance(fitness, (0.5, 0.5))) == order
    assert ranges.distance(Fitness((1.0, 30.0)), (1.0, 0.0)) < ranges.distance(Fitness((2.0, 10.0)), (1.0, 0.0))


COST = Cost(latency_us=200.0, sram=Sram(static=0, arena=90, stack=10), flash=Flash(code=50, constants=50))


def test_violation_adds_relative_excesses_over_known_figures():
    assert violation(COST, {"latency_us": 100.0, "sram_bytes": 50.0, "energy_uj": 1.0}) == pytest.approx(2.0)
    assert violation(COST, {"latency_us": 200.0}) == 0.0


def test_fitness_names_the_objectives_or_the_violation():
    assert fitness(("error", "latency_us"), {}, COST, 0.1) == Fitness((0.1, 200.0))
    assert fitness(("error",), {"latency_us": 100.0}, COST, None) == Fitness(None, 1.0)
    assert fitness(("error",), {}, COST, None) == Fitness(None, math.inf)
    assert fitness(("error",), {}, None, None) == Fitness(None, math.inf)


def test_an_unknown_figure_is_no_objective():
    with pytest.raises(ConfigError, match="energy_uj is not known"):
        fitness(("energy_uj",), {}, COST, 0.1)


points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20)


@given(points=points)
def test_the_front_dominates_all_and_itself_in_nothing(points):
    chosen = [points[index] for index in non_dominated(points)]
    assert len(set(chosen)) == len(chosen)
    for point in points:
        assert any(all(a <= b for a, b in zip(best, point, strict=True)) for best in chosen)
    for one in chosen:
        assert not any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in chosen)


@given(points=points)
def test_hypervolume_counts_the_dominated_cells(points):
    cells = {(x, y) for x in range(10) for y in range(10) if any(a <= x and b <= y for a, b in points)}
    assert hypervolume(points, (10, 10)) == pytest.approx(len(cells))


def test_a_genome_is_what_it_says():
    assert Genome("plain", (1, 2)).key == "plain:1-2"
