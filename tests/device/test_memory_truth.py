"""The search for the smallest RAM, on a board whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from tinynas.device.client import Client
from tinynas.device.fake import Fault, Mishap
from tinynas.device.memory_truth import find_memory_truth
from tinynas.device.messages import Request
from tinynas.errors import BenchError

INPUTS = np.arange(-64, 64, dtype=np.int8).reshape(2, 8, 8)
# Of the image in conftest.py.
STATIC_AND_ARENA = 5100 + 64
# What fake boards say of their stack: 200 in the inference, 100 above it.
PREDICTED = STATIC_AND_ARENA + 304


@pytest.fixture
def truth_where(fake_station, image, monkeypatch):
    """The truth about a board that needs so much stack [B], and which stacks were tried."""
    monkeypatch.setattr("tinynas.device.measure._FIRST_ANSWER_S", 0.05)
    monkeypatch.setattr("tinynas.device.client._BOOT_S", 2.0)
    monkeypatch.setitem(Client._ask.__kwdefaults__, "answer_s", 0.05)

    def find(needed):
        station, tried = fake_station("a"), []

        def build(stack_bytes):
            tried.append(stack_bytes)
            station.fake.mishaps.clear()
            if stack_bytes < needed:
                station.fake.mishaps.append(Mishap(fault=Fault.RESET, request=Request.RUN, times=None))
            return replace(image, build_id=f"{stack_bytes:032x}")

        return find_memory_truth(station, build, INPUTS), tried

    return find


def test_a_true_prediction_takes_two_images_to_prove(truth_where):
    truth, tried = truth_where(304)
    assert (truth.predicted_bytes, truth.smallest_bytes, truth.error_bytes) == (PREDICTED, PREDICTED, 0)
    assert tried == [4096, 304, 296]
    assert truth.images == 3


@pytest.mark.parametrize("needed", [312, 400, 1000, 4000])
def test_a_prediction_that_is_too_low_is_found_out(truth_where, needed):
    truth, tried = truth_where(needed)
    assert truth.smallest_bytes == STATIC_AND_ARENA + needed
    assert truth.error_bytes == 304 - needed
    assert len(tried) <= 2 + 9


def test_a_prediction_that_is_too_high_is_found_out(truth_where):
    truth, _ = truth_where(280)
    assert truth.error_bytes == 24


def test_a_board_that_never_runs_the_network_has_no_truth(truth_where):
    with pytest.raises(BenchError):
        truth_where(5000)
