"""Operator screening: timings on a board, and what is concluded from them."""

import pytest

from tinynas.config import load_config
from tinynas.cost import Validity
from tinynas.errors import ConfigError
from tinynas.space.genome import named, smallest
from tinynas.space.narrow import without
from tinynas.space.registry import load_space
from tinynas.study.screen import screen
from tinynas.study.screening import Screening, Timing

VALIDITY = Validity(board="b", clock_hz=1, toolchain="t", flags="f", firmware="w")


def timing(choice, ns_per_mac, size=(6, 6, 8), name="kernel"):
    latency_us = None if ns_per_mac is None else ns_per_mac
    return Timing(name=name, choice=choice, size=size, macs=1000, latency_us=latency_us, energy_uj=None)


def screening(*timings, factor=2.0):
    return Screening(space="mobilenet", factor=factor, source="emulated", validity=VALIDITY, timings=timings)


def test_what_takes_more_than_the_factor_at_every_size_is_dropped():
    large = (12, 12, 8)
    found = screening(
        timing(3, 10.0),
        timing(3, 10.0, large),
        timing(5, 30.0),
        timing(5, 15.0, large),
        timing(7, 30.0),
        timing(7, 21.0, large),
    )
    assert found.dropped == {"kernel": (7,)}
    assert found.ratio(found.timings[3]) == 1.5
    assert found.setting == '[space]\nname = "mobilenet"\ndrop = { kernel = [7] }'


def test_choices_are_compared_with_those_of_their_name_alone():
    assert screening(timing(3, 1.0), timing(6, 10.0, name="expansion")).dropped == {}


def test_what_does_not_fit_is_neither_the_best_nor_dropped():
    found = screening(timing(3, None), timing(5, 10.0), timing(7, 50.0))
    assert found.dropped == {"kernel": (7,)}
    assert found.ratio(found.timings[0]) is None
    assert found.to_json()["timings"][0]["ns_per_mac"] is None


def test_the_setting_is_a_search_without_the_dropped_choices(tmp_path):
    (tmp_path / "s.toml").write_text(screening(timing(3, 9.0), timing(5, 1.0), timing(7, 9.0)).setting)
    config = load_config(tmp_path / "s.toml")
    space = without(load_space(config.space.name), config.space.drop)
    kernels = {axis.name: axis.choices for axis in space.axes if axis.name.startswith("kernel")}
    assert kernels == {f"kernel_{stage}": (5,) for stage in range(1, 6)}
    assert named(space, smallest(space))["kernel_1"] == 5


@pytest.mark.parametrize(
    ("dropped", "message"),
    [
        ({"kernels": (3,)}, r"space mobilenet has no axes 'kernels': did you mean kernel\?"),
        ({"kernel": (4,)}, r"axis kernel_1 of space mobilenet takes \(3, 5, 7\), not \(4,\)"),
        ({"kernel_2": (3, 5, 7)}, "axis kernel_2 of space mobilenet has no choice left"),
    ],
)
def test_what_is_not_there_cannot_be_dropped(dropped, message):
    with pytest.raises(ConfigError, match=message):
        without(load_space("mobilenet"), dropped)


def test_a_cells_edges_are_dropped_together():
    space = without(load_space("cell"), {"edge": (2,)})
    assert [axis.choices for axis in space.axes[3:]] == [(0, 1, 3, 4)] * 6


def test_a_space_without_operators_is_refused():
    with pytest.raises(ConfigError, match="space mlp names no operators to time"):
        screen(load_config(None, {"space": {"name": "mlp"}}), 3.0)


def test_operators_are_timed_on_the_emulated_board():
    stages = []
    config = load_config(None, {"space": {"name": "cell"}, "board": {"repeats": 1}})
    found = screen(config, 3.0, sizes=[(6, 6, 16)], notify=stages.append)
    assert stages == [f"{n} of 2: edge {n + 1} at 6x6x16 on netduinoplus2" for n in (1, 2)]
    small, large = found.timings
    assert (small.macs, large.macs) == (36 * 16 * 16, 36 * 16 * 16 * 9)
    assert 0 < small.latency_us < large.latency_us
    assert small.energy_uj == pytest.approx(40.0 * 3.3 * small.latency_us / 1000)
    assert found.source == "emulated"
    assert found.validity.board == "netduinoplus2"
