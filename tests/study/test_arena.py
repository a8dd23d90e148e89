"""The picture of the arena: every block is in it for as long as it is needed, in the terminal and in the file."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from tinynas.compiler import ArenaBlock, LayerInfo, Program
from tinynas.study.arena import moments, svg_picture, text_picture


def layer(index, op, name):
    return LayerInfo(
        index=index, op=op, name=name, output_shape=(1, 1), macs=0, constants_bytes=0, output_bytes=1, comment=""
    )


def block(offset, size, first, last, *tensors):
    return ArenaBlock(offset=offset, bytes=size, first=first, last=last, tensors=tensors)


@pytest.fixture
def program():
    """A convolution with scratch memory, an addition over its output, and a classifier."""
    return Program(
        files={},
        sha256="",
        arena_bytes=100,
        arena_lower_bound_bytes=90,
        arena=(
            block(0, 40, -1, 1, "image"),
            block(40, 50, 0, 2, "features", "sum"),
            block(90, 10, 0, 0),
            block(0, 4, 2, 3, "scores"),
        ),
        constants_bytes=0,
        inputs=(),
        outputs=(),
        layers=(layer(0, "CONV_2D", "features"), layer(1, "ADD", "sum"), layer(2, "FULLY_CONNECTED", "scores")),
        kernels=(),
    )


def test_each_moment_tells_who_is_there_and_how_much_is_used(program):
    told = [(row.title, [piece.label for piece in row.pieces], row.used) for row in moments(program)]
    assert told == [
        ("input", ["input"], 40),
        ("0 CONV_2D", ["input", "0 CONV_2D", "scratch"], 100),
        ("1 ADD", ["input", "1 ADD"], 90),
        ("2 FULLY_CONNECTED", ["2 FULLY_CONNECTED", "1 ADD"], 54),
        ("output", ["2 FULLY_CONNECTED"], 4),
    ]


def test_memory_that_two_blocks_share_counts_once(program):
    overlapping = replace(program, arena=(block(0, 60, -1, 0, "image"), block(40, 50, 0, 3, "features")))
    assert moments(overlapping)[1].used == 90


def test_an_output_that_trails_behind_its_input_is_named_with_it(program):
    trailing = replace(program, arena=(block(0, 60, -1, 0, "image"), block(20, 60, 0, 3, "features")))
    assert text_picture(trailing, width=40).splitlines()[2] == (
        "0 CONV_2D          ├input──├input+0───────────────┤                80 B  peak"
    )


def test_the_text_draws_blocks_to_scale_and_marks_the_peak(program):
    assert text_picture(program, width=22).splitlines() == [
        "                   0                100 B    in use",
        "input              ├input──┤                     40 B",
        "0 CONV_2D          ├input──┤├0 CONV_2D┤░░       100 B  peak",
        "1 ADD              ├input──┤├1 ADD────┤          90 B",
        "2 FULLY_CONNECTED  │        ├1 ADD────┤          54 B",
        "output             │                              4 B",
    ]


def test_a_block_too_small_for_the_scale_is_drawn_all_the_same(program):
    tiny = replace(program, arena=(block(0, 99, -1, 3, "image"), block(99, 1, 0, 3, "features")))
    assert "│" in text_picture(tiny, width=8).splitlines()[2]


def test_the_svg_is_valid_and_has_a_box_for_every_block(program):
    svg = "{http://www.w3.org/2000/svg}"
    root = ET.fromstring(svg_picture(program, "a <network> & more"))
    assert root.find(f"{svg}title").text == "a <network> & more"
    boxes = {box.find(f"{svg}title").text: box.find(f"{svg}rect") for box in root.iter(f"{svg}g")}
    assert set(boxes) == {
        "input: 40 B at 0. image",
        "0 CONV_2D, then 1 ADD: 50 B at 40. features, sum",
        "scratch: 10 B at 90",
        "2 FULLY_CONNECTED: 4 B at 0. scores",
    }
    whole, half = (float(boxes[tip].get("height")) for tip in list(boxes)[:2])
    assert whole / half == pytest.approx(50 / 40) or half / whole == pytest.approx(50 / 40)
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for rectangle in boxes.values():
        assert 0 <= float(rectangle.get("x")) <= width - float(rectangle.get("width"))
        assert 0 <= float(rectangle.get("y")) <= height - float(rectangle.get("height"))
