import pytest

from tinynas.device.counter import CLASSES, Counter, Interval, total
from tinynas.errors import BenchError

LINE = "6 9 5 2 1 1 0 2 1 1 1 0 0 0 0\n"
INTERVAL = Interval(
    instructions=6,
    cycles=9,
    wait_cycles=5,
    loads=2,
    stores=1,
    by_class=dict(zip(CLASSES, (1, 0, 2, 1, 1, 1, 0, 0, 0, 0), strict=True)),
)


@pytest.fixture
def counter(tmp_path):
    return Counter(tmp_path / "intervals.txt")


def test_each_interval_is_taken_once(counter, tmp_path):
    assert counter.take() == ()
    with (tmp_path / "intervals.txt").open("a") as stream:
        stream.write(LINE * 2)
        stream.flush()
        assert counter.take() == (INTERVAL, INTERVAL)
        assert counter.take() == ()
        stream.write(LINE)
        stream.flush()
        assert counter.take() == (INTERVAL,)


def test_a_board_under_power_again_begins_anew(counter, tmp_path, emulated):
    (tmp_path / "intervals.txt").write_text(LINE * 2)
    assert len(counter.take()) == 2
    counter.arguments(tmp_path / "plugin.so", emulated)
    assert counter.take() == ()
    (tmp_path / "intervals.txt").write_text(LINE)
    assert counter.take() == (INTERVAL,)


@pytest.mark.parametrize("line", ["6 9 5 2 1\n", LINE.replace("9", "-9"), LINE.replace("6", "six"), "\n", LINE + "7"])
def test_what_is_no_interval_is_refused(counter, tmp_path, line):
    (tmp_path / "intervals.txt").write_text(line)
    with pytest.raises(BenchError, match="wrote no interval"):
        counter.take()


def test_intervals_add_up():
    assert total([INTERVAL, INTERVAL]).by_class["dsp"] == 4
    assert (total([INTERVAL, INTERVAL]).cycles, total([INTERVAL, INTERVAL]).wait_cycles) == (18, 10)
    assert total([]).instructions == 0
