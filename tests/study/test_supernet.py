"""When a study may have a supernet."""

import pytest

from tinynas.boards import load_board
from tinynas.config import load_config
from tinynas.errors import ConfigError
from tinynas.study.deployment import searched_space
from tinynas.study.supernet import require_shareable


def require(**settings):
    config = load_config(None, {"supernet": {"enabled": True}, **settings})
    require_shareable(config, searched_space(config, load_board("netduinoplus2")))


@pytest.mark.parametrize(
    "space",
    [
        {"name": "mobilenet"},
        {"name": "image", "hardware": ["optimize", "activations"]},
        {"name": "mobilenet", "fix": {"reduce": 2}, "drop": {"kernel": [7]}},
    ],
)
def test_mobilenet_and_image_may_have_one_narrowed_and_with_hardware_genes_too(space):
    require(space=space)


@pytest.mark.parametrize("name", ["cell", "mlp", "series"])
def test_other_spaces_have_none(name):
    with pytest.raises(ConfigError, match=f"is for spaces image and mobilenet, not for {name}"):
        require(space={"name": name})


def test_a_space_of_one_s_own_has_none_whatever_it_is_called(tmp_path):
    (tmp_path / "own.py").write_text("from tinynas.space.image import SPACE")
    with pytest.raises(ConfigError, match="is for spaces image and mobilenet"):
        require(space={"file": str(tmp_path / "own.py")})


@pytest.mark.parametrize(
    ("settings", "name"), [({"train": {"inherit": True}}, "inherit"), ({"stop": {"rule": "curve"}}, "rule")]
)
def test_what_is_for_trainings_in_the_search_goes_without(settings, name):
    with pytest.raises(ConfigError, match=f"no candidate is trained in the search, which .* {name} is for"):
        require(**settings)


def test_without_one_nothing_is_asked_of_the_space():
    require(space={"name": "mlp"}, supernet={"enabled": False}, train={"inherit": True})
