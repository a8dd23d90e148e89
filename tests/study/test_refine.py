"""Space refinement: sub-spaces compared by the compute of what may fit."""

import json
import subprocess
import sys

import pytest

from tinynas.config import load_config
from tinynas.errors import ConfigError, NothingFeasibleError
from tinynas.study.charts import refinement_page
from tinynas.study.refine import refine
from tinynas.study.subspaces import LEAST_FEASIBLE, Refinement, SubSpace


def refined(samples=30, scales=(), space="mobilenet", also=None, **limits):
    sections = {"task": {"name": "digits"}, "space": {"name": space}, "limits": limits, "also": also or {}}
    config = load_config(None, sections)
    return refine(config, scales, samples)


def part(width, macs, sampled=100):
    return SubSpace(values={"width": width}, sampled=sampled, macs=tuple(macs))


@pytest.fixture(scope="module")
def tight():
    return refined(flash="24 KB", sram="2 KB")


def test_every_sub_space_is_there_and_only_feasible_networks_count(tight):
    assert len(tight.subspaces) == 4 * 6
    for each in tight.subspaces:
        assert len(each.macs) <= min(30, each.sampled)
        assert list(each.macs) == sorted(each.macs)
    wide = next(each for each in tight.subspaces if each.values == {"reduce": 1, "width": 150})
    small = next(each for each in tight.subspaces if each.values == {"reduce": 1, "width": 25})
    assert len(wide.macs) < LEAST_FEASIBLE < len(small.macs) == 30
    # Of the wide one as many were drawn as are drawn at most, but for those drawn twice.
    assert 500 < wide.sampled <= 600


def test_the_same_seed_finds_the_same():
    first, second = (refined(space="image", scales=("stem_filters",), sram="2 KB").to_json() for _ in range(2))
    assert first == second


def test_on_several_boards_only_what_is_feasible_on_all_of_them_counts():
    arguments = {"space": "image", "scales": ("stem_filters",)}
    both = refined(**arguments, also={"mps2_an386": {"sram": "2 KB"}})
    assert both.board == "netduinoplus2 and mps2_an386"
    assert both.subspaces == refined(**arguments, sram="2 KB").subspaces
    assert any(len(each.macs) < each.sampled for each in both.subspaces)


def test_the_setting_is_a_search_of_the_chosen_sub_space(tight, tmp_path):
    (tmp_path / "s.toml").write_text(tight.setting)
    config = load_config(tmp_path / "s.toml")
    assert config.space.name == "mobilenet"
    assert config.space.fix == tight.chosen.values


def test_chosen_is_what_has_the_most_compute_at_the_top_among_enough_feasible_networks():
    found = Refinement(
        space="mobilenet",
        board="netduinoplus2",
        bounds={},
        subspaces=(
            part(25, range(100, 130)),
            part(50, [*range(200, 215), *range(900, 915)]),
            part(75, [1000] * (LEAST_FEASIBLE - 1)),
            part(100, [800] * 30),
        ),
    )
    assert found.chosen.values == {"width": 50}
    assert found.chosen.quantile(0.5) == 214
    assert found.chosen.top_macs == 908
    assert found.chosen.quantile(1.0) == 914


def test_nothing_feasible_says_so():
    found = Refinement(space="mobilenet", board="b", bounds={}, subspaces=(part(25, []), part(50, [5])))
    with pytest.raises(NothingFeasibleError, match=r"no sub-space of mobilenet has 20 networks .* the best has 1"):
        _ = found.chosen
    assert part(25, []).top_macs is None


def test_axes_are_those_of_the_space_and_some_must_be_named():
    with pytest.raises(ConfigError, match="space mlp names no scales: say with --axis which axes divide it, of depth"):
        refined(space="mlp")
    with pytest.raises(ConfigError, match="has no axis 'unit_1': did you mean units_1"):
        refined(space="mlp", scales=("unit_1",))
    with pytest.raises(ConfigError, match="make 512 sub-spaces, at most 400 are compared"):
        refined(space="mlp", scales=("units_1", "units_2", "units_3"))


def test_a_picture_has_a_line_for_each_sub_space_with_feasible_networks(tight):
    page = refinement_page(tight)
    for each in tight.subspaces:
        assert (f"reduce {each.values['reduce']}, width {each.values['width']} (" in page) == bool(each.macs)
    assert "<script src=" not in page


def test_the_command_prints_one_object_and_writes_the_picture(tmp_path):
    command = [sys.executable, "-m", "tinynas", "refine", "--task", "digits", "--space", "mobilenet", "--axis", "width"]
    result = subprocess.run(
        [*command, "--samples", "20", "--picture", "r.html", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert [each["values"]["width"] for each in found["subspaces"]] == [25, 50, 75, 100, 125, 150]
    assert found["chosen"]["width"] == 150
    assert (tmp_path / "r.html").stat().st_size > 10_000
