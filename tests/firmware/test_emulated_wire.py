"""The short form of what tests/nightly/check_wire.py does with emulated boards."""

import emulated_wire
import pytest

from tinynas.boards import load_board
from tinynas.device.link import RESENDS


@pytest.fixture(scope="module", params=["netduinoplus2", "lm3s6965evb"])
def url(request, tmp_path_factory):
    emulated = emulated_wire.powered(load_board(request.param), tmp_path_factory.mktemp("board"))
    yield emulated.url
    emulated.power_off()


@pytest.mark.parametrize("rate", [0.0, 1e-4, 1e-3])
def test_every_figure_of_a_board_arrives_and_none_is_wrong(url, rate):
    delivery, faults, _ = emulated_wire.exchange(url, 1000, rate, seed=1)
    assert delivery.figures >= 1000
    assert (delivery.wrong, delivery.missing, delivery.lost) == (0, 0, 0)
    assert max(delivery.resends) <= RESENDS
    assert faults["log text"] > 50
    assert faults["garbage"] > 50
    assert (delivery.resends[1] > 0) == (faults["bit flipped"] > 0) == (rate > 0)
