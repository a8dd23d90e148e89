"""A weekend in a minute: many boards, two searches, and everything that goes wrong with either."""

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from fleet import Fleet, FleetBoard, ticks_of
from fleet import __file__ as host_script

from tinynas.device.journal import Journal

BOARDS = 8
BAD = 3
CHANCES = {"hang": 0.02, "reset": 0.01, "late": 0.01, "rename": 0.01}
FAULTS = ("hang", "reset", "brown-out", "rename", "version", "stale answer", "stale image", "babble")


@pytest.fixture
def make_fleet(tmp_path):
    """Makes a fleet of boards, one for each of the settings."""
    boards = []

    def make(*settings):
        (tmp_path / "boards").mkdir()
        for number, options in enumerate(settings):
            boards.append(FleetBoard(tmp_path / "boards" / f"board-{number}", number, **options))
        fleet = Fleet(folder=tmp_path, boards=boards)
        (tmp_path / "bench.toml").write_text(fleet.file())
        return fleet

    yield make
    for board in boards:
        board.close()


def host(fleet, name, first, last, *, cuts=0.0):
    """One host process, which measures the candidates `first` to `last` - 1."""
    command = [sys.executable, host_script, *map(str, (fleet.folder, name, first, last, cuts))]
    # Locks lie in the folder for temporary files, where all hosts of a machine meet.
    environment = {**os.environ, "TMPDIR": str(fleet.folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stderr
    return {int(key): value for key, value in json.loads((fleet.folder / f"{name}.json").read_text()).items()}


def require_right(fleet, results, count):
    """Every candidate has its own figures, none is blamed, and no board ever had two holders or two flashers."""
    assert sorted(results) == list(range(count))
    blamed = {candidate: found for candidate, found in results.items() if "blamed" in found}
    assert blamed == {}
    wrong = {candidate: found for candidate, found in results.items() if found["ticks"] != [ticks_of(candidate)]}
    assert wrong == {}
    assert [board.clashes for board in fleet.boards] == [[] for _ in fleet.boards]
    assert list(fleet.folder.glob("boards/*/two flashers")) == []
    leases = Counter((found["station"], found["epoch"]) for found in results.values())
    assert max(leases.values()) == 1
    # A wrong output never even got as far as being compared.
    assert "another candidate's output" not in "".join(path.read_text() for path in fleet.folder.glob("*.log"))


@pytest.mark.slow
def test_hundreds_of_candidates_on_eight_failing_boards_are_all_credited_rightly(make_fleet, breadth):
    fleet = make_fleet(*({"chances": {"hang": 1.0} if number == BAD else CHANCES} for number in range(BOARDS)))
    candidates = breadth(200, 500)
    half = candidates // 2
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(host, fleet, "one", 0, half)
        two = threads.submit(host, fleet, "two", half, candidates)
        results = one.result() | two.result()
    require_right(fleet, results, candidates)

    journal = Journal(fleet.folder / "home" / "journal.db")
    assert set(journal.holds()) == {f"b{BAD}"}
    assert journal.record(f"b{BAD}").faults < 3
    assert journal.record(f"b{BAD}").measurements == 0
    happened = Counter(fault for board in fleet.boards for fault in board.faults)
    assert set(happened) <= set(CHANCES)
    assert sum(happened.values()) > candidates / 100


@pytest.mark.slow
def test_measurements_with_a_fault_in_each_recover_or_go_elsewhere(make_fleet, breadth):
    times = breadth(8, 25)
    count = times * len(FAULTS)
    plan = {candidate: FAULTS[candidate % len(FAULTS)] for candidate in range(count)}
    fleet = make_fleet({"plan": plan}, {"plan": plan})
    require_right(fleet, host(fleet, "one", 0, count), count)
    happened = Counter(fault for board in fleet.boards for fault in board.faults)
    assert happened == dict.fromkeys(FAULTS, times)
    assert Journal(fleet.folder / "home" / "journal.db").holds() == {}


@pytest.mark.slow
def test_power_cuts_in_mid_flash_leave_no_stale_image_measured(make_fleet, breadth):
    count = breadth(50, 120)
    fleet = make_fleet({}, {})
    require_right(fleet, host(fleet, "one", 0, count, cuts=0.4), count)
    cuts = Counter("".join(path.read_text() for path in fleet.folder.glob("boards/*/cuts")).split())
    assert sum(cuts.values()) > 0.4 * count
    assert set(cuts) == {"0", "1", "2"}
