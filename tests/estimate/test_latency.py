"""Tables give known layers back exactly, and both methods find what layers between them take."""

import random

import numpy as np
import pytest
from calibrations import OUTSIDE, calibration, cycles_of, layer, network

from tinynas.errors import ConfigError
from tinynas.estimate.latency import LEAST_NETWORKS, METHODS, make_estimator, relative_errors
from tinynas.estimate.learned import Learned, observations
from tinynas.estimate.table import Table

SIZES = [(rows, columns) for rows in (1, 4, 9, 20, 33) for columns in (1, 8, 30, 77)]


def test_a_table_interpolates_known_layers_exactly():
    table = Table(observations([network(SIZES)]))
    for rows, columns in SIZES:
        assert table.cycles(layer(rows, columns).work) == cycles_of(rows, columns)


def test_a_table_averages_what_equal_layers_took():
    first, second = layer(2, 3), layer(2, 3).model_copy(update={"cycles": 1000, "wait_cycles": 0})
    known = network([(2, 3), (2, 3)]).model_copy(update={"layers": (first, second)})
    assert Table(observations([known])).cycles(first.work) == (first.taken + 1000) / 2


@pytest.mark.parametrize("model", [Table, Learned])
def test_layers_between_known_ones_are_found_within_two_percent(model):
    fitted = model(observations([network(SIZES)]))
    rng = random.Random(0)
    for rows, columns in [(rng.randint(2, 33), rng.randint(2, 77)) for _ in range(100)]:
        assert fitted.cycles(layer(rows, columns).work) == pytest.approx(cycles_of(rows, columns), rel=0.02, abs=5)


@pytest.mark.parametrize("model", [Table, Learned])
def test_a_kind_that_was_not_seen_takes_what_its_family_does_and_a_family_that_was_not_is_unknown(model):
    fitted, known = model(observations([network(SIZES)])), layer(9, 10)
    other = known.model_copy(update={"kind": "tn_rows-2"})
    assert fitted.cycles(other.work) == pytest.approx(cycles_of(9, 10), rel=0.02)
    stranger = known.model_copy(update={"kind": "tn_softmax", "family": "tn_softmax"})
    assert fitted.cycles(stranger.work) is None


@pytest.mark.parametrize("model", [Table, Learned])
def test_a_kind_may_deviate_from_its_family(model):
    slow = [
        layer(*each).model_copy(update={"kind": "tn_rows-2", "cycles": 2 * cycles_of(*each), "wait_cycles": 0})
        for each in SIZES
    ]
    both = [network(SIZES), network(SIZES).model_copy(update={"layers": tuple(slow)})]
    fitted, asked = model(observations(both)), layer(12, 40)
    assert fitted.cycles(asked.work) == pytest.approx(cycles_of(12, 40), rel=0.03)
    deviating = asked.model_copy(update={"kind": "tn_rows-2"})
    assert fitted.cycles(deviating.work) == pytest.approx(2 * cycles_of(12, 40), rel=0.03)


@pytest.mark.parametrize("method", METHODS)
def test_networks_that_were_held_out_are_estimated_well_and_give_the_interval(method, tmp_path):
    made = calibration()
    estimator = make_estimator(method, made, tmp_path)
    errors = np.abs(relative_errors(estimator, made.held_out))
    assert len(errors) == len(made.held_out)
    assert errors.mean() < 0.02
    inside = np.mean(errors <= np.expm1(estimator.spread))
    assert 0.95 <= inside <= 1
    assert estimator.outside_cycles == OUTSIDE


def test_where_nothing_counts_layers_the_regression_takes_networks_and_there_is_no_table(tmp_path):
    made = calibration(counted=False)
    errors = relative_errors(make_estimator("learned", made, tmp_path), made.held_out)
    assert np.abs(errors).mean() < 0.02
    with pytest.raises(ConfigError, match="nothing counts layers"):
        make_estimator("table", made, tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_too_few_networks_are_refused_with_both_numbers(method, tmp_path):
    with pytest.raises(ConfigError, match=f"has 5 networks to fit to, {LEAST_NETWORKS} are needed"):
        make_estimator(method, calibration(5), tmp_path)


def test_without_networks_that_were_held_out_there_is_no_interval(tmp_path):
    assert make_estimator("table", calibration(held_out=0), tmp_path).spread is None
