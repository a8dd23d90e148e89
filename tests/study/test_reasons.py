"""Reasons are grouped by what they say, not by their figures."""

from tinynas.study.reasons import grouped_reasons
from tinynas.study.store import Trial


def trial(number, reason, state="infeasible", stage="limits"):
    return Trial(number=number, genome=f"g:{number}", state=state, stage=stage, reason=reason)


def test_reasons_that_differ_in_figures_are_one_and_keep_the_figures_that_are_equal():
    found = grouped_reasons(
        [
            trial(0, "needs 71,680 B of SRAM, at most 32,768 allowed"),
            trial(1, "needs 9 B of SRAM, at most 32,768 allowed"),
            trial(2, "3 bytes differ", state="failed", stage="verify"),
            trial(3, "needs 40,000.5 B of SRAM, at most 32,768 allowed"),
            Trial(number=4, genome="g:4", state="complete"),
        ]
    )
    assert [(reason.text, reason.trials) for reason in found] == [
        ("needs … B of SRAM, at most 32,768 allowed", (0, 1, 3)),
        ("3 bytes differ", (2,)),
    ]


def test_the_same_words_of_another_stage_or_none_are_another_reason():
    found = grouped_reasons([trial(0, "x"), trial(1, "x", stage="verify"), trial(2, None, stage=None)])
    assert [(reason.stage, reason.text) for reason in found] == [("limits", "x"), ("verify", "x"), ("", "")]
