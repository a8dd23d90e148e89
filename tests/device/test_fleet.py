"""A weekend in a minute: many boards, two searches, and everything that goes wrong with either."""

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from fleet import Fleet, FleetBoard, ticks_of
from fleet import __file__ as host_script

from tinynas.device.journal import Journal

CANDIDATES = 500
BOARDS = 8
BAD = 3


@pytest.fixture
def fleet(tmp_path):
    (tmp_path / "boards").mkdir()
    boards = [
        FleetBoard(tmp_path / "boards" / f"board-{number}", seed=number, bad=number == BAD) for number in range(BOARDS)
    ]
    fleet = Fleet(folder=tmp_path, boards=boards)
    (tmp_path / "bench.toml").write_text(fleet.file())
    yield fleet
    for board in boards:
        board.close()


def host(fleet, name, first, last):
    command = [sys.executable, host_script, str(fleet.folder), name, str(first), str(last)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stderr
    return {int(key): value for key, value in json.loads((fleet.folder / f"{name}.json").read_text()).items()}


@pytest.mark.slow
def test_five_hundred_candidates_on_eight_failing_boards_are_all_credited_rightly(fleet):
    half = CANDIDATES // 2
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(host, fleet, "one", 0, half)
        two = threads.submit(host, fleet, "two", half, CANDIDATES)
        results = one.result() | two.result()
    assert sorted(results) == list(range(CANDIDATES))
    blamed = {candidate: found for candidate, found in results.items() if "blamed" in found}
    assert blamed == {}
    wrong = {candidate: found for candidate, found in results.items() if found["ticks"] != [ticks_of(candidate)]}
    assert wrong == {}
    assert [board.clashes for board in fleet.boards] == [[]] * BOARDS
    assert list(fleet.folder.glob("boards/*/two flashers")) == []
    leases = Counter((found["station"], found["epoch"]) for found in results.values())
    assert max(leases.values()) == 1

    journal = Journal(fleet.folder / "home" / "journal.db")
    assert set(journal.holds()) == {f"b{BAD}"}
    assert journal.record(f"b{BAD}").faults < 3
    assert journal.record(f"b{BAD}").measurements == 0
    healthy = [journal.record(f"b{number}") for number in range(BOARDS) if number != BAD]
    assert sum(record.measurements for record in healthy) == CANDIDATES
    happened = Counter(fault for board in fleet.boards if not board.bad for fault in board.faults)
    assert set(happened) == {"hang", "reset", "late", "rename"}
