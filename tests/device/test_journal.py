from concurrent.futures import ThreadPoolExecutor

import pytest

from tinynas.device.journal import Journal
from tinynas.errors import StoreError


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "home" / "journal.db")


def test_a_board_is_held_until_it_is_released(journal):
    assert journal.holds() == {}
    journal.note("left", "quarantine", detail="it smokes")
    journal.note("right", "reserve", detail="Ada")
    assert {name: (hold.kind, hold.reason) for name, hold in journal.holds().items()} == {
        "left": ("quarantine", "it smokes"),
        "right": ("reserve", "Ada"),
    }
    journal.note("left", "release")
    assert list(journal.holds()) == ["right"]


def test_a_boards_life_is_summed_up_and_faults_start_anew_when_it_is_released(journal):
    for seconds in (1.5, 2.5):
        journal.note("left", "flash", seconds=seconds)
    journal.note("left", "lease", seconds=60.0)
    journal.note("left", "fault", detail="silent")
    journal.note("left", "measurement", detail="5a5a")
    journal.note("right", "flash", seconds=9.0)
    record = journal.record("left")
    assert (record.flashes, record.flash_s, record.leased_s, record.measurements) == (2, 4.0, 60.0, 1)
    assert (record.faults, record.last) == (1, "5a5a")
    journal.note("left", "release")
    assert journal.record("left").faults == 0
    assert journal.record("left").flashes == 2


def test_what_is_not_known_is_empty(journal):
    record = journal.record("nobody")
    assert (record.flashes, record.flash_s, record.last, record.last_at) == (0, 0.0, None, None)


def test_many_write_at_once_and_nothing_is_lost(journal):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: journal.note(f"board {number % 4}", "flash", seconds=1.0), range(80)))
    assert [journal.record(f"board {number}").flashes for number in range(4)] == [20, 20, 20, 20]


def test_a_journal_that_is_none_is_named(tmp_path):
    path = tmp_path / "journal.db"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(StoreError, match=r"journal .*journal\.db cannot be used"):
        Journal(path).note("left", "flash")


def test_a_board_is_up_from_its_first_event_on_but_for_the_time_that_it_is_held(tmp_path, monkeypatch):
    journal, clock = Journal(tmp_path / "journal.db"), [1000.0]
    monkeypatch.setattr("tinynas.device.journal.time.time", lambda: clock[0])
    assert journal.record("left").uptime_s == 0
    for at, kind in (
        (1000, "flash"),
        (1100, "reserve"),
        (1150, "quarantine"),
        (1200, "release"),
        (1250, "measurement"),
    ):
        clock[0] = float(at)
        journal.note("left", kind)
    clock[0] = 1300.0
    assert journal.record("left").uptime_s == 100 + 100
    journal.note("left", "reserve")
    clock[0] = 2000.0
    assert journal.record("left").uptime_s == 100 + 100
    # The clock of the machine may be set back.
    clock[0] = 500.0
    journal.note("left", "release")
    assert journal.record("left").uptime_s == 100 + 100
