"""The instruction model of a CPU, for boards that were never calibrated."""

import pytest
from calibrations import OUTSIDE, calibration, cycles_of, layer

from tinynas.boards import load_board
from tinynas.errors import ConfigError
from tinynas.estimate.instructions import Instructions, fit_instructions
from tinynas.estimate.latency import analytic_estimator

BOARD = load_board("netduinoplus2")


@pytest.fixture(scope="module")
def fitted():
    return fit_instructions(calibration(), BOARD, OUTSIDE)


def test_a_fitted_model_gives_what_was_observed_with_the_wait_states_of_its_board(fitted):
    model = Instructions(fitted, BOARD.flash_timing.wait_states)
    for rows, columns in [(3, 80), (20, 20), (59, 7)]:
        assert model.cycles(layer(rows, columns).work) == pytest.approx(cycles_of(rows, columns), rel=0.03)


def test_without_wait_states_a_layer_takes_its_cycles_alone(fitted):
    taken = layer(30, 40)
    assert Instructions(fitted, 0).cycles(taken.work) == pytest.approx(taken.cycles, rel=0.03)


def test_a_kind_that_is_not_in_the_model_takes_what_its_family_does(fitted):
    other = layer(30, 40).model_copy(update={"kind": "tn_rows-2"})
    assert Instructions(fitted, 5).cycles(other.work) == pytest.approx(cycles_of(30, 40), rel=0.05)
    stranger = other.model_copy(update={"family": "_strange"})
    assert Instructions(fitted, 5).cycles(stranger.work) is None


def test_a_cpu_without_a_model_is_refused_with_what_to_do_instead():
    with pytest.raises(ConfigError, match="portable, there are instruction models for cortex-m4 alone"):
        analytic_estimator(load_board("sifive_e"))
