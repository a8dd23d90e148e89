"""A profile's figures: each layer without its mark, and nothing that was counted is lost."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tinynas.boards import load_board
from tinynas.compiler import ArenaBlock, LayerInfo, PatchInfo, Program
from tinynas.cost import Cost, Flash, Sram
from tinynas.device.counter import CLASSES, Interval, total
from tinynas.errors import BenchError, ConfigError
from tinynas.study.profile import make_profile, require_emulated, require_svg
from tinynas.tables import profile_table

MARK = 20


def taken(instructions, wait_cycles=0):
    """An interval whose every instruction is an addition of two cycles."""
    by_class = dict.fromkeys(CLASSES, 0) | {"alu": instructions}
    return Interval(
        instructions=instructions,
        cycles=2 * instructions,
        wait_cycles=wait_cycles,
        loads=3,
        stores=1,
        by_class=by_class,
    )


def layer(index, op, macs):
    return LayerInfo(
        index=index,
        op=op,
        name=f"of_{index}",
        output_shape=(1, 4),
        macs=macs,
        constants_bytes=0,
        output_bytes=4,
        comment="8 -> 4; details",
    )


PROGRAM = Program(
    files={},
    sha256="",
    arena_bytes=12,
    arena_lower_bound_bytes=12,
    arena=(
        ArenaBlock(offset=0, bytes=8, first=-1, last=1, tensors=("input", "of_0")),
        ArenaBlock(offset=8, bytes=4, first=1, last=2, tensors=("of_1",)),
    ),
    constants_bytes=0,
    inputs=(),
    outputs=(),
    layers=(layer(0, "RESHAPE", 0), layer(1, "FULLY_CONNECTED", 500)),
    kernels=(),
)
COST = Cost(
    latency_us=1.0,
    sram=Sram(static=0, arena=12, stack=100),
    flash=Flash(code=1200, constants=34, image=5000),
)
# To the first mark; a mark alone; to the inference's own; a layer without work; one with; to the end.
MARKED = [taken(MARK + 3), taken(MARK), taken(MARK + 5), taken(MARK), taken(MARK + 1000, wait_cycles=84), taken(4)]


def profiled(marked=MARKED, whole=None):
    whole = whole or taken(3 + 5 + 1000 + 4, wait_cycles=84)
    return make_profile(load_board("netduinoplus2"), PROGRAM, model="m.tflite", cost=COST, whole=whole, marked=marked)


def test_a_layer_is_what_lies_between_its_marks_without_a_marks_own_work():
    found = profiled()
    assert [work.instructions for work in found.layers] == [0, 1000]
    assert found.layers[1].cycles == 2000
    assert found.layers[1].instructions_per_mac == 2.0
    assert found.layers[0].instructions_per_mac is None
    assert found.layers[1].by_class["alu"] == 1000


def test_time_is_cycles_and_waits_over_the_boards_clock():
    found = profiled()
    assert found.layers[1].latency_us == pytest.approx((2000 + 84) / 168)
    assert found.whole.latency_us == pytest.approx((2024 + 84) / 168)


def test_layers_and_what_is_outside_of_them_are_the_whole():
    found = profiled()
    everything = (*found.layers, found.outside)
    assert sum(work.instructions for work in everything) == found.whole.instructions
    assert sum(work.share for work in everything) == pytest.approx(1)
    assert found.displaced == pytest.approx(0)
    assert total(MARKED).instructions - 5 * MARK == found.whole.instructions


def test_a_layers_patches_count_together():
    info = PatchInfo(layers=2, patches=2, rows=1, recomputed_macs=0, moved_bytes=0, arena_bytes_without=20)
    turns = [taken(MARK), taken(MARK + 700), taken(MARK + 1), taken(MARK + 300)]
    found = make_profile(
        load_board("netduinoplus2"),
        replace(PROGRAM, patched=info),
        model="m.tflite",
        cost=COST,
        whole=taken(3 + 5 + 1001 + 4),
        marked=[*MARKED[:3], *turns, MARKED[-1]],
    )
    assert [work.instructions for work in found.layers] == [1, 1000]
    assert sum(work.instructions for work in (*found.layers, found.outside)) == found.whole.instructions
    with pytest.raises(BenchError, match=r"6 intervals.* 8"):
        make_profile(found.board, found.program, model="", cost=COST, whole=taken(1), marked=MARKED)


@pytest.mark.parametrize("marked", [MARKED[:-1], [*MARKED, taken(1)], []])
def test_marks_of_another_network_are_refused(marked):
    with pytest.raises(BenchError, match=f"{len(marked)} intervals.* 6"):
        profiled(marked)


def test_the_table_has_every_layer_the_whole_and_the_memories(capsys):
    profile_table(profiled())
    shown = capsys.readouterr().out
    assert "m.tflite on netduinoplus2: one inference, emulated" in shown
    (row,) = (line for line in shown.splitlines() if "1 FULLY_CONNECTED   8 -> 4" in line)
    assert row.split()[-7:] == ["500", "1,000", "2.00", "2,000", "84", "12.4", "98.9%"]
    assert "whole inference" in shown
    assert "112 B: arena 12, static 0, stack 100" in shown
    assert "1,234 B: code 1,200, constants 34" in shown
    assert "├input─" in shown
    assert "counted with marks" not in shown


def test_a_difference_that_marks_make_is_told(capsys):
    profile_table(profiled(whole=taken(900, wait_cycles=84)))
    assert "together they take +11.9%" in capsys.readouterr().out


@pytest.mark.parametrize("columns", ["80", "120"])
def test_no_figure_is_cut_off_on_a_narrow_terminal_or_in_a_pipe(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    if columns == "80":
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    large = [taken(MARK + 3), taken(MARK), taken(MARK + 5), taken(MARK), taken(123_456_789, 12_345_678), taken(4)]
    profile_table(profiled(large, total(large)))
    shown = capsys.readouterr().out
    (row,) = (line for line in shown.splitlines() if line.startswith(" 1 "))
    assert {"123,456,769", "246913.54", "246,913,538"} <= set(row.split())
    assert ("12,345,678" in row) is (columns == "120")


def test_the_json_says_its_source_and_has_what_the_table_has():
    record = profiled().to_json()
    assert (record["source"], record["board"], record["instructions"]) == ("emulated", "netduinoplus2", 1012)
    assert record["sram_bytes"] == {"static": 0, "arena": 12, "stack": 100, "total": 112}
    assert [(each["op"], each["instructions"], each["macs"]) for each in record["layers"]] == [
        ("RESHAPE", 0, 0),
        ("FULLY_CONNECTED", 1000, 500),
    ]
    assert record["arena"]["blocks"][0]["tensors"] == ("input", "of_0")


def test_a_physical_board_is_refused_with_what_to_do_instead():
    physical = load_board("netduinoplus2").model_copy(update={"link": "serial", "name": "mine"})
    with pytest.raises(ConfigError, match=r"mine is a physical one.*tinynas measure --board mine"):
        require_emulated(physical)


def test_a_picture_of_another_kind_is_refused():
    with pytest.raises(ConfigError, match=r"arena.png.*\.svg"):
        require_svg(Path("arena.png"))
