"""Examples of a Hypothesis strategy as a list, for tests that build many of them into one program."""

from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Example = TypeVar("Example")

# Within one run Hypothesis varies what it drew before: a long one sees few kinds of network, many short ones all.
_EXAMPLES_A_RUN = 4


def draw_examples(strategy: st.SearchStrategy[Example], count: int, start: int = 0) -> list[Example]:
    """`count` examples, the same for the same `start`."""
    found: list[Example] = []
    run = start << 20
    while len(found) < count:
        drawn = _run(strategy, run)
        # The first one is always the simplest that there is.
        found += drawn[1:] or drawn
        run += 1
    return found[:count]


def _run(strategy: st.SearchStrategy[Example], number: int) -> list[Example]:
    drawn: list[Example] = []

    @seed(number)
    @settings(
        max_examples=1 + _EXAMPLES_A_RUN,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: Example) -> None:
        drawn.append(example)

    collect()
    return drawn
