import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynas.device.meters.pulses import PulseIntegrator

POWER = np.array([1.0, 1, 5, 7, 1, 1, 9, 1])
SYNC = np.array([0, 0, 1, 1, 0, 0, 1, 0], bool)


def test_each_pulse_has_the_sum_of_its_samples_and_rest_its_mean():
    integrator = PulseIntegrator(sample_hz=1000.0)
    integrator.feed(POWER, SYNC, 3.0)
    recording = integrator.recording()
    # A milliwatt for a millisecond is a microjoule.
    assert recording.pulses_uj == pytest.approx((12.0, 9.0))
    assert recording.pulses_s == pytest.approx((0.002, 0.001))
    assert recording.between_mw == pytest.approx(1.0)
    assert recording.supply_v == pytest.approx(3.0)
    assert recording.resolution_s == pytest.approx(0.001)
    assert (recording.samples, recording.lost, recording.clipped) == (8, 0, 0)


@given(st.lists(st.tuples(st.floats(0, 1e4), st.booleans()), max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_the_blocks_in_which_samples_come_do_not_matter(samples, cuts):
    power, sync = np.array([each for each, _ in samples]), np.array([each for _, each in samples], bool)
    whole, parts = PulseIntegrator(sample_hz=10.0), PulseIntegrator(sample_hz=10.0)
    whole.feed(power, sync, 3.3)
    for block in zip(np.split(power, sorted(cuts)), np.split(sync, sorted(cuts)), strict=True):
        parts.feed(*block, 3.3)
    one, other = whole.recording(), parts.recording()
    assert one.pulses_uj == pytest.approx(other.pulses_uj)
    assert one.pulses_s == other.pulses_s
    assert one.between_mw == pytest.approx(other.between_mw)


def test_what_is_missing_in_a_pulse_does_not_shorten_it():
    integrator = PulseIntegrator(sample_hz=1000.0)
    integrator.feed(POWER[:3], SYNC[:3], 3.0)
    integrator.gap(4)
    integrator.feed(POWER[3:], SYNC[3:], 3.0)
    recording = integrator.recording()
    assert recording.pulses_s[0] == pytest.approx(0.006)
    assert recording.pulses_uj[0] == pytest.approx(12.0 + 4 * 5)
    assert (recording.samples, recording.lost) == (8, 4)
    assert recording.lost_share == pytest.approx(4 / 12)
    assert integrator.seconds == pytest.approx(0.012)


@pytest.mark.parametrize("sync", [[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]])
def test_a_pulse_that_is_not_whole_counts_for_nothing(sync):
    integrator = PulseIntegrator(sample_hz=1000.0)
    integrator.feed(np.ones(4), np.array(sync, bool))
    assert integrator.recording().pulses_uj == ()


def test_columns_of_different_length_are_a_mistake():
    with pytest.raises(ValueError, match="3 samples of power, 2 of the sync pin"):
        PulseIntegrator(sample_hz=1.0).feed(np.ones(3), np.ones(2, bool))
