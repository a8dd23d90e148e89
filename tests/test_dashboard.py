"""The dashboard: what it serves to whom, and what a real browser makes of it."""

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
from like_a_search import FACTS, HOSTILE, LAYERS, NETWORK, VALIDITY, trials_like_a_search, write_study
from tflite_writer import Operation, Tensor, write_model

from tinynas import dashboard
from tinynas.cli_dashboard import dashboard_of
from tinynas.config import Config
from tinynas.dashboard import open_socket, server_of, url_of
from tinynas.errors import InfrastructureError
from tinynas.study.status import BoardStatus, Status, UnderWay, status_path
from tinynas.study.store import Store

RUNNING = {**FACTS, "finished": False}
MODEL = write_model(
    [
        Tensor([1, 4], 0.05, 7, name="features"),
        Tensor([2, 4], 0.01, data=np.arange(8).reshape(2, 4)),
        Tensor([1, 2], 0.04, -3, name="scores"),
    ],
    [Operation("FULLY_CONNECTED", [0, 1], [2], "FullyConnected")],
)


@pytest.fixture
def make(tmp_path):
    """Write a study with these trials; the best of them become finalists when `finalists` is positive."""

    def write(trials, facts=RUNNING, finalists=0):
        return write_study(tmp_path / "study.db", trials, facts, finalists, network=MODEL)

    return write


@pytest.fixture
def serve():
    """Serve a study from a thread: serve(path) gives the page's address."""
    with ExitStack() as ended:

        def start(study):
            listening = open_socket(None)
            server = server_of(study)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            ended.callback(thread.join)
            ended.callback(setattr, server, "should_exit", True)
            return url_of(listening)

        yield start


def ask(url, path="/", method="GET", **headers):
    """Status, headers and text of an answer, whatever path is asked for."""
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, dict(answer.headers), answer.read().decode()
    connection.close()
    return found


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def busy_with(*boards, under_way=(), **more):
    return Status(pid=1, host="h", phase="searching", judged=5, budget=20, boards=boards, under_way=under_way, **more)


def test_it_answers_this_machine_alone_and_only_reads(make, serve):
    url = serve(make(trials_like_a_search(12)))
    assert url.startswith("http://127.0.0.1:")
    status, headers, page = ask(url)
    assert (status, "script-src 'self'" in headers["content-security-policy"]) == (200, True)
    assert "http" not in page.replace("http-equiv", "")
    for host in ("evil.example", "127.0.0.1.evil.example", "169.254.0.1:80", ""):
        assert ask(url, "/state", Host=host)[0] == 400
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert ask(url, "/state", method=method)[0] == 405
    assert ask(url, "/state", Host="localhost:1")[0] == 200
    assert "access-control-allow-origin" not in ask(url, "/state", Origin="http://evil.example")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/report.css/../../store.py",
        "/trials/..%2f..%2fstudy.db",
        "/trials/99",
        "/trials/-1",
        "/trials/x/arena.svg",
        f"/trials/{'9' * 5000}",
        "/compare",
        "/compare?trials=1",
        "/compare?trials=1,2,x",
        f"/compare?trials={','.join('1' * 300)}",
        "/trials/9/arena.svg",
    ],
)
def test_what_is_not_there_is_a_short_answer(make, serve, path):
    status, _, text = ask(serve(make(trials_like_a_search(12))), path)
    assert (status, len(text) < 400, "Traceback" in text, "root:" in text) == (404, True, False, False)


def test_an_update_of_a_large_study_is_small(make, serve):
    study = make(trials_like_a_search(300))
    url = serve(study)
    first = json.loads(ask(url, "/state")[2])
    with Store.open_to_write(study) as store:
        store.add_trial(replace(next(trials_like_a_search(1)), number=300, genome="image:1"), {})

    def update():
        text = ask(url, f"/state?known={first['version']}")[2]
        return text if "trials" in json.loads(text) else None

    text = until(update)
    assert [row["number"] for row in json.loads(text)["trials"]] == [300]
    assert len(text) < 8000
    assert len(ask(url, f"/state?known={json.loads(text)['version']}")[2]) < 200


def test_a_damaged_or_foreign_study_is_a_sentence_on_every_page(make, serve):
    study = make(trials_like_a_search(3))
    with sqlite3.connect(study) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    url = serve(study)
    assert "schema 9" in json.loads(ask(url, "/state")[2])["problem"]
    for path in ("/trials/0", "/compare?trials=0,1", "/trials/0/arena.svg"):
        status, _, text = ask(url, path)
        assert (status, "schema 9" in text) == (503, True)


def test_texts_of_a_study_never_become_markup(make, serve):
    network = ({**NETWORK[0], "op": HOSTILE, "name": HOSTILE}, {**NETWORK[1], "activation": HOSTILE})
    layers = tuple({**each, "op": HOSTILE, "comment": HOSTILE, "name": HOSTILE} for each in LAYERS)
    complete = [trial for trial in trials_like_a_search(9) if trial.state == "complete"][:2]
    trials = [
        replace(trial, genome=f"{HOSTILE}{trial.number}", reason=HOSTILE, stage=HOSTILE, network=network, layers=layers)
        for trial in complete
    ]
    url = serve(make(trials, {**RUNNING, "board": HOSTILE, "task": {**FACTS["task"], "name": HOSTILE}}))
    first, second = (trial.number for trial in trials)
    for path in (f"/trials/{first}", f"/compare?trials={first},{second}", f"/trials/{first}/arena.svg"):
        text = ask(url, path)[2]
        assert "owned" in text
        assert "<img" not in text
        assert "<script" not in text


def test_a_port_that_is_taken_is_named_or_another_is_found():
    first = open_socket(None)
    port = first.getsockname()[1]
    with pytest.raises(InfrastructureError, match=f"port {port} of 127.0.0.1 cannot be listened on"):
        open_socket(port)
    second = open_socket(None)
    assert second.getsockname()[1] != port
    first.close()
    second.close()


def test_beside_a_search_it_runs_in_a_process_of_its_own_and_ends_with_it(make, capsys):
    study = make(trials_like_a_search(3))
    with dashboard_of(study, wanted=True):
        url = capsys.readouterr().err.removeprefix("dashboard: ").strip()
        found = json.loads(urllib.request.urlopen(f"{url}state", timeout=30).read())
        assert len(found["trials"]) == 3
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)


def test_a_page_that_cannot_be_served_does_not_keep_a_search_from_running(make, capsys, monkeypatch):
    monkeypatch.setattr(dashboard, "_STARTING_S", 0.0)
    with dashboard_of(make([]), wanted=True):
        assert "could not be started: it does not answer" in capsys.readouterr().err


SEARCH = """
import os, signal, sys
from pathlib import Path
from tinynas.dashboard import served
if __name__ == "__main__":
    with served(Path(sys.argv[1])) as url:
        print(url, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_search_that_is_killed_leaves_no_page_behind(tmp_path):
    (tmp_path / "search.py").write_text(SEARCH)
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "search.py"), str(tmp_path / "absent.db")], stdout=subprocess.PIPE, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    url = ended.stdout.decode().strip()

    def gone():
        try:
            urllib.request.urlopen(url, timeout=5)
        except OSError:
            return True

    until(gone)


def test_the_command_prints_its_address_and_ends_with_ctrl_c(make):
    study = make(trials_like_a_search(3))
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import tinynas.__main__"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "dashboard", str(study)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    url = process.stdout.readline().strip()
    assert urllib.request.urlopen(url, timeout=30).status == 200
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def opened(browser, url, ready="!document.body.classList.contains('waiting')"):
    """Open a page and wait for it. Returns what the console said and which addresses were asked for."""
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get("about:blank")
    browser.get(url)
    until(lambda: browser.execute_script(f"return {ready}"))
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    return browser.get_log("browser"), asked


def text_of(browser, place):
    return browser.execute_script(f"return document.getElementById('{place}').innerText")


def count(browser, selector):
    return browser.execute_script(f"return document.querySelectorAll(`{selector}`).length")


def test_a_browser_shows_a_finished_study_and_asks_nobody_else(browser, make, serve):
    url = serve(make(trials_like_a_search(60), FACTS, finalists=3))
    console, asked = opened(browser, url)
    assert console == []
    assert asked
    assert all(address.startswith((url, "data:", "about:")) for address in asked)
    assert text_of(browser, "badge") == "finished"
    assert count(browser, "#fronts .main-svg:first-of-type .cartesianlayer") == 4
    assert count(browser, "#fronts path.point") >= 4 * 55
    assert count(browser, "#hypervolume .lines path") == 1
    assert "needs … us, at most 20,000 are allowed" in text_of(browser, "reasons")
    assert not browser.execute_script("return document.getElementById('now').checkVisibility()")


def test_a_browser_follows_a_running_study_until_it_is_silent_and_gone(browser, make, serve):
    study = make(trials_like_a_search(20))
    board = BoardStatus(name="bench 1", kind="netduinoplus2", work="image:21", seconds=3.0)
    held = BoardStatus(name="bench 2", kind="netduinoplus2", held="quarantine, no answer")
    way = UnderWay(number=21, genome="image:21", stage="measure", seconds=4.0)
    status_path(study).write_text(busy_with(board, held, under_way=[way]).model_dump_json())
    opened(browser, serve(study))
    assert text_of(browser, "badge") == "running"
    assert "bench 1 netduinoplus2 measures candidate 21, 3.0 s" in text_of(browser, "boards")
    assert "quarantine, no answer" in text_of(browser, "boards")
    assert "measure\n21 · 4.0 s" in text_of(browser, "queue")
    with Store.open_to_write(study) as store:
        trial = next(trial for trial in trials_like_a_search(1) if trial.state == "complete")
        store.add_trial(replace(trial, number=20, genome="image:20", accuracy_int8_val=0.99), {})
    until(lambda: "99.0 %" in text_of(browser, "cards"))
    assert browser.execute_script("return document.querySelector('#candidates tbody a').textContent") == "20"
    os.utime(status_path(study), (1, 1))
    until(lambda: text_of(browser, "badge") == "silent")
    assert "process 1 on h was killed or stopped" in text_of(browser, "problem")
    study.unlink()
    until(lambda: text_of(browser, "badge") == "gone")
    assert "99.0 %" in text_of(browser, "cards")


def test_a_browser_waits_for_a_study_that_is_about_to_be_made(browser, make, serve, tmp_path):
    opened(browser, serve(tmp_path / "study.db"), ready="document.getElementById('badge').textContent")
    assert text_of(browser, "badge") == "not there yet"
    assert not browser.execute_script("return document.getElementById('problem').checkVisibility()")
    make([])
    until(lambda: text_of(browser, "badge") == "not running")
    assert "No network yet" in text_of(browser, "cards")
    assert "Nothing has been evaluated yet." in browser.execute_script("return document.body.innerText")


def test_candidates_are_sorted_filtered_opened_and_compared(browser, make, serve):
    trials = [
        replace(trial, curve=(0.2, 0.9) if trial.state == "complete" else ()) for trial in trials_like_a_search(80)
    ]
    console, _ = opened(browser, serve(make(trials)))
    assert count(browser, "#candidates tbody tr") == 50
    browser.execute_script("document.getElementById('more').click()")
    assert count(browser, "#candidates tbody tr") == 80
    for _ in range(2):
        browser.execute_script("document.querySelector('#candidates th[data-column=Latency] button').click()")
    shown = browser.execute_script(
        "return [...document.querySelectorAll('#candidates tbody a')].map(a => +a.innerText)"
    )
    known = {trial.number: trial.costs.figure("latency_us") for trial in trials}
    assert [known[number] for number in shown] == sorted(known.values(), reverse=True)
    browser.execute_script(
        "const f = document.getElementById('filter'); f.value = 'failed'; f.dispatchEvent(new Event('input'))"
    )
    assert count(browser, "#candidates tbody tr") == sum(trial.state == "failed" for trial in trials)
    browser.execute_script(
        "const f = document.getElementById('filter'); f.value = 'front'; f.dispatchEvent(new Event('input'))"
    )
    browser.execute_script(
        "[...document.querySelectorAll('#candidates input')].slice(0, 2).forEach(tick => tick.click())"
    )
    browser.execute_script("document.getElementById('compare').click()")
    until(lambda: count(browser, "#detail .arena object") == 2)
    assert count(browser, "#detail svg.network") == 2
    assert count(browser, "#detail td.marked") >= 4
    browser.execute_script("document.querySelector('#detail table.compare a').click()")
    until(lambda: count(browser, "#detail .layers") == 1 and count(browser, "#detail .arena object") == 1)
    assert count(browser, "#detail .curve polyline") == 1
    browser.set_window_size(500, 900)
    try:
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(wide) == 0
        browser.execute_script("location.hash = ''")
        until(lambda: browser.execute_script("return document.getElementById('overview').checkVisibility()"))
        assert browser.execute_script(wide) == 0
    finally:
        browser.set_window_size(1280, 1000)
    assert [*console, *browser.get_log("browser")] == []


def test_a_study_of_several_boards_shows_the_figures_of_each(browser, make, serve):
    slow = replace(VALIDITY, board="slow", clock_hz=25_000_000)
    facts = {
        **RUNNING,
        "config": Config.model_validate({"also": {"slow": {}}}).model_dump(mode="json"),
        "also": {"slow": {"validity": slow.__dict__, "estimate": None}},
        "bounds": {"latency_us@netduinoplus2": 20_000.0, "latency_us@slow": 400_000.0},
    }
    trials = [
        replace(trial, also_cost={"slow": replace(trial.cost, latency_us=314_000.0, validity=slow)})
        for trial in trials_like_a_search(8)
        if trial.state == "complete"
    ]
    console, _ = opened(browser, serve(make(trials, facts)))
    assert text_of(browser, "cards").count("314.00 ms") == 1
    browser.execute_script(
        "const s = document.querySelector('#which select'); s.value = '1'; s.dispatchEvent(new Event('change'))"
    )
    assert "314.00 ms" not in text_of(browser, "cards")
    assert "of at most 20.00 ms" in text_of(browser, "cards")
    assert console == []


def test_nothing_from_a_study_or_its_status_runs_in_the_browser(browser, make, serve):
    complete = next(trial for trial in trials_like_a_search(20) if trial.state == "complete")
    hostile = replace(complete, genome=HOSTILE, reason=HOSTILE, seconds={HOSTILE: 1.0})
    refused = replace(complete, number=99, genome=f"{HOSTILE}!", state="failed", stage=HOSTILE, reason=HOSTILE)
    facts = {**RUNNING, "finalist_failures": {HOSTILE: HOSTILE}}
    study = make([hostile, refused], facts)
    way = UnderWay(number=1, genome=HOSTILE, stage=HOSTILE, seconds=1.0)
    board = BoardStatus(name=HOSTILE, kind=HOSTILE, work=HOSTILE, held=HOSTILE)
    status_path(study).write_text(busy_with(board, under_way=[way]).model_dump_json())
    url = serve(study)
    opened(browser, url)
    browser.execute_script(f"location.hash = 'trial-{complete.number}'")
    until(lambda: count(browser, "#detail section") >= 1)
    assert browser.title == "digits on netduinoplus2: running"
    assert "owned" in browser.execute_script("return document.body.textContent")
    assert count(browser, "img") == 0
