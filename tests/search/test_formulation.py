"""What is looked for: a weighted product, or the front by ever new weights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import FIGURES, Plain, conflict, made, run

from tinynas.config import load_config
from tinynas.errors import ConfigError
from tinynas.search.fitness import Fitness, hypervolume
from tinynas.search.scalar import weighted_product


def test_the_weighted_product_is_mnasnets():
    assert weighted_product(("error", "latency_us"), (0.1, 1000.0), {}) == pytest.approx(0.9 * 1000**-0.07)
    assert weighted_product(("error", "latency_us"), (0.1, 100.0), {"latency_us": -0.5}) == pytest.approx(0.09)
    assert weighted_product(("latency_us",), (2.0,), {"latency_us": -1.0}) == 0.5


@given(errors=st.tuples(st.floats(0, 1), st.floats(0, 1)), costs=st.tuples(st.floats(0.1, 1e6), st.floats(0.1, 1e6)))
def test_a_product_never_prefers_what_is_dominated(errors, costs):
    better, worse = ((pick(errors), pick(costs)) for pick in (min, max))
    assert weighted_product(FIGURES[:2], better, {}) >= weighted_product(FIGURES[:2], worse, {})


@pytest.mark.parametrize("name", ["nsga2", "local", "aging", "reinforce", "bayesian"])
def test_a_search_by_the_product_finds_a_better_one_than_random_search(name):
    def evaluate(genome):
        return Fitness((sum(genome.values) / 60, 1.0 + genome.values[0]))

    def best(name):
        strategy = made(
            name,
            Plain(32, 8, 8, 8),
            seed=1,
            population=10,
            formulation="weighted_product",
            exponents={"latency_us": -0.5},
        )
        return max(
            weighted_product(FIGURES[:2], fitness.objectives, {"latency_us": -0.5})
            for _, fitness in run(
                strategy, lambda genome: Fitness((sum(genome.values) / 60, 1.0 + genome.values[0])), 80
            )
        )

    assert best(name) > best("random")


@pytest.mark.parametrize("name", ["nsga2", "local"])
def test_random_weights_lead_to_all_of_the_front(name):
    def volume(name, seed, formulation):
        strategy = made(name, Plain(32, 8, 8, 8), seed=seed, population=10, formulation=formulation)
        results = run(strategy, conflict, 100)
        genomes = [genome for genome, _ in results]
        assert len(set(genomes)) == 100
        return hypervolume([fitness.objectives for _, fitness in results], (4.0, 4.0))

    assert all(volume(name, seed, "chebyshev") > volume("random", seed, "pareto") for seed in range(2))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"exponents": {"latency_us": -0.1}}, "takes no exponents"),
        ({"formulation": "weighted_product", "exponents": {"error": -0.1}}, "not of error"),
        ({"formulation": "weighted_product", "exponents": {"sram_bytes": -0.1}}, "not of sram_bytes"),
        ({"formulation": "weighted_product", "exponents": {"latency_us": 0.1}}, "less than 0"),
        ({"formulation": "sum"}, "pareto"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, word):
    with pytest.raises(ConfigError, match=word):
        load_config(None, {"search": settings})
