"""Ctrl-C while a study is searched whose verdicts are made up; `tests/system` does so with a real one."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tinynas.study.interruption import Interruption
from tinynas.study.store import Store

HERE = Path(__file__).parent
SEARCH = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[2])
import short_study
from tinynas.errors import StoppedError
from tinynas.study.interruption import heard

quick = short_study.judge
def slow(*arguments):
    print("begun", flush=True)
    time.sleep(1)
    return quick(*arguments)
short_study.judge = slow

def saying(is_news):
    def said():
        if news := is_news():
            print("stopping", flush=True)
        return news
    return said

try:
    with heard() as interruption:
        interruption.is_news = saying(interruption.is_news)
        short_study.search(Path(sys.argv[1]), lambda number: print("judged", number, flush=True), interruption)
except StoppedError as error:
    print(f"stopped: {error}", flush=True)
except KeyboardInterrupt:
    print("at once", flush=True)
"""


class Search:
    def __init__(self, path):
        command = [sys.executable, "-c", SEARCH, str(path), str(HERE)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def wait_until(self, line):
        while (said := self.process.stdout.readline().strip()) != line:
            assert said, "it has ended"

    def press_ctrl_c(self):
        self.process.send_signal(signal.SIGINT)

    def end(self):
        said, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == 0
        return said.splitlines()


def kept(path):
    with Store.open_to_read(path) as store:
        return [trial.number for trial in store.trials()]


def test_once_what_is_under_way_is_judged_and_nothing_more_begins(tmp_path):
    path = tmp_path / "s.db"
    search = Search(path)
    search.wait_until("begun")
    search.press_ctrl_c()
    search.wait_until("stopping")
    last = search.end()
    assert last[0] == "judged 0"
    assert f"stopped after the candidates that were under way, 1 of 3 are evaluated: tinynas resume {path}" in last[-1]
    assert kept(path) == [0]


def test_twice_it_stops_at_once_and_keeps_what_was_judged(tmp_path):
    path = tmp_path / "s.db"
    search = Search(path)
    search.wait_until("judged 0")
    search.wait_until("begun")
    search.press_ctrl_c()
    search.wait_until("stopping")
    search.press_ctrl_c()
    assert search.end() == ["at once"]
    assert kept(path) == [0]
    assert Search(path).end()[-1] == "judged 2"
    assert kept(path) == [0, 1, 2]


def test_before_there_is_a_candidate_to_wait_for_once_is_enough():
    interruption = Interruption()
    with pytest.raises(KeyboardInterrupt):
        interruption.hear()
    interruption.wait_for_candidates()
    assert not interruption.is_news()
    interruption.hear()
    assert (interruption.asked, interruption.is_news(), interruption.is_news()) == (True, True, False)
    with pytest.raises(KeyboardInterrupt):
        interruption.hear()
