"""The drawing of a network: every layer is a box, every connection a line, overlapping skips stay apart."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from tinynas.study.drawing import _lanes, draw
from tinynas.study.reading import NetworkLayer


def chain(*inputs):
    return [NetworkLayer(name=f"l{index}", op="add", inputs=each, shape=(4, 4, 8)) for index, each in enumerate(inputs)]


def test_every_layer_is_a_box_and_every_connection_a_line():
    drawing = draw(chain((), (0,), (1,), (0, 2)))
    assert len(drawing.boxes) == 4
    assert [line.skip for line in drawing.lines] == [False, False, False, True]
    assert drawing.boxes[0].shape == "4×4×8"
    assert drawing.height >= drawing.boxes[-1].y + drawing.boxes[-1].height


def test_a_convolution_tells_kernel_stride_and_activation():
    layer = NetworkLayer(name="c", op="conv", shape=(2, 2, 1), kernel=(3, 3), stride=(2, 2), activation="relu6")
    box = draw([layer]).boxes[0]
    assert (box.title, box.detail, box.kind) == ("Conv 3×3 /2", "relu6", "conv")


def test_a_kernel_for_series_keeps_both_sides_and_an_unknown_operator_its_name():
    layer = NetworkLayer(name="c", op="warp", shape=(2, 1, 1), kernel=(5, 1), stride=(2, 1))
    assert draw([layer]).boxes[0].title == "warp 5×1 /2×1"


def test_an_empty_network_is_an_empty_drawing():
    assert draw([]).boxes == ()


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(2, 10)).map(lambda each: (each[0], sum(each))), max_size=12))
def test_skips_in_one_lane_never_overlap(skips):
    lanes = _lanes(skips)
    for (first, a), (second, b) in combinations(zip(skips, lanes, strict=True), 2):
        assert a != b or first[1] <= second[0] or second[1] <= first[0]
