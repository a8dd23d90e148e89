"""What strategy `gradient` learns from shared weights and latencies."""

from types import SimpleNamespace

import pytest

from tinynas.config import TaskSection
from tinynas.space.narrow import narrowed
from tinynas.space.registry import load_space

# Image 8x8, at most three stages: a twentieth of a second for each network.
CHOICES = {
    **{"reduce": (1, 4), "width": (25,), "stem_stride": (1, 2), "depth_1": (1,), "depth_2": (0, 1), "head": (0,)},
    **{f"depth_{stage}": (0,) for stage in (3, 4, 5)},
    **{f"{gene}_{stage}": (3,) for gene in ("kernel", "expansion") for stage in (1, 2)},
}


@pytest.fixture(scope="module")
def learn(tensorflow):
    """A function of a seed that learns with weights that were never trained."""
    from tinynas.model.data import load_task
    from tinynas.model.shared import Shared
    from tinynas.study.choices import learned_choices

    space = narrowed(load_space("mobilenet"), CHOICES)
    digits = load_task(TaskSection(name="digits"), 0)
    table = SimpleNamespace(latency_us=lambda network: float(network.macs))
    return lambda seed: learned_choices(space, digits, Shared(seed=0), table, samples=500, seed=seed)


def test_equal_seeds_learn_the_same_probabilities_and_a_high_price_the_cheap_choices(learn):
    found = learn(3)
    assert found == learn(3)
    space = load_space("mobilenet")
    last = dict(zip((axis.name for axis in space.axes), found[-1], strict=True))
    # Of an image of a fourth of the size there is a sixteenth to compute.
    assert last["reduce"][1] > 0.8
