"""Costs on several boards: which board's figure counts."""

import pytest

from tinynas.cost import Cost, Costs, Flash, Sram

FAST = Cost(latency_us=100.0, sram=Sram(static=0, arena=900, stack=None), energy_uj=5.0)
SLOW = Cost(latency_us=700.0, sram=Sram(static=0, arena=800, stack=None), flash=Flash(code=1, constants=2))
BOTH = Costs(main=FAST, also={"slow": SLOW})


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("latency_us", 700.0),
        ("latency_us@fast", 100.0),
        ("latency_us@slow", 700.0),
        ("sram_bytes", 900),
        ("sram_bytes@slow", 800),
        ("energy_uj@fast", 5.0),
        ("energy_uj@slow", None),
    ],
)
def test_a_figure_is_the_worst_over_the_boards_or_that_on_the_one_that_is_named(figure, value):
    assert BOTH.figure(figure) == value


def test_what_is_not_known_on_one_board_is_not_known_to_be_the_worst():
    assert BOTH.figure("energy_uj") is None
    assert BOTH.figure("flash_bytes") is None


def test_a_network_on_one_board_has_that_boards_figures():
    alone = Costs(main=FAST)
    for name in ("latency_us", "sram_bytes", "flash_bytes", "energy_uj"):
        assert alone.figure(name) == alone.figure(f"{name}@fast") == FAST.figure(name)


def test_costs_are_listed_main_board_first():
    assert list(BOTH.by_board("fast").items()) == [("fast", FAST), ("slow", SLOW)]
