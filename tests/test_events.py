"""The log: one JSON object a line, whatever becomes of its file."""

import json
import logging

import pytest

from tinynas import events
from tinynas.events import event, logged

LOG = logging.getLogger("tinynas.a.room")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_event_is_a_line_with_its_fields_and_what_all_lines_say(tmp_path):
    path = tmp_path / "made with it" / "a.log"
    with logged(path, study="s.db"):
        LOG.info("a flash", extra=event("flash", board="b1", serial=None, seconds=1.5))
        LOG.warning("two\nlines and 'quotes' of %s", "a board")
        LOG.info("what a board has printed, and the like")
    flash, warning = lines(path)
    assert flash.pop("at").endswith("+00:00")
    assert flash == {"event": "flash", "study": "s.db", "board": "b1", "seconds": 1.5}
    assert (warning["event"], warning["message"]) == ("warning", "two\nlines and 'quotes' of a board")


def test_a_second_run_writes_behind_the_first(tmp_path):
    for run in (1, 2):
        with logged(tmp_path / "a.log"):
            LOG.info("run", extra=event("run", number=run))
    assert [line["number"] for line in lines(tmp_path / "a.log")] == [1, 2]


def test_a_log_never_takes_more_than_its_share_of_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(events, "MOST_BYTES", 2000)
    with logged(tmp_path / "a.log"):
        for number in range(500):
            LOG.info("much", extra=event("much", number=number))
    files = list(tmp_path.iterdir())
    assert sum(file.stat().st_size for file in files) <= 2000 * len(files)
    assert len(files) == 5
    assert lines(tmp_path / "a.log")[-1]["number"] == 499


def test_a_log_that_cannot_be_written_is_said_once_and_nothing_stops(tmp_path, capfd, monkeypatch):
    # As outside of a test, where nobody else takes what is logged.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    (tmp_path / "a file").write_text("")
    with logged(tmp_path / "a file" / "a.log"):
        for number in range(3):
            LOG.info("lost", extra=event("lost", number=number))
        LOG.warning("a person sees this")
    said = capfd.readouterr().err
    assert said.count("a.log cannot be written") == 1
    assert "Traceback" not in said
    assert said.endswith("a person sees this\n")


def test_a_full_disk_stops_the_log_alone(capfd, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with logged(events.Path("/dev/full")):
        for number in range(3):
            LOG.info("lost", extra=event("lost", number=number))
    assert capfd.readouterr().err.count("cannot be written ([Errno 28] No space left on device)") == 1


@pytest.mark.parametrize("level", [logging.NOTSET, logging.ERROR])
def test_afterwards_logging_is_as_it_was(tmp_path, level):
    logger = logging.getLogger("tinynas")
    logger.setLevel(level)
    try:
        with logged(tmp_path / "a.log"):
            assert logger.isEnabledFor(logging.INFO)
        assert (logger.level, logger.handlers) == (level, [])
    finally:
        logger.setLevel(logging.NOTSET)
