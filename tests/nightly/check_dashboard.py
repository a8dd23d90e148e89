"""A dashboard beside its search: `python tests/nightly/check_dashboard.py`, and `--help` for smaller numbers.

One process writes trials in a tight loop while others read the study as dashboards do, without a pause; then it writes
as many alone. A browser opens a study of as many trials, and it is counted what it takes to draw them, and then one
more. Ends with 1 if anybody found the study locked, a trial was missed, or the browser complained.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
from like_a_search import FACTS, trials_like_a_search

from tinynas.dashboard import open_socket, server_of, url_of
from tinynas.errors import TinynasError
from tinynas.study import mirror
from tinynas.study.store import Store

RUNNING = {**FACTS, "finished": False}
# Bytes of each answer with the study's state, as they travel.
SIZES = """
const states = performance.getEntriesByType('resource').filter(each => each.name.includes('state'));
return states.map(each => each.transferSize);
"""


def write(path: Path, count: int, answers: "Queue[tuple[str, object]]") -> None:
    """Write a study of `count` trials without a pause; every tenth is recorded again, as when it is measured."""
    trials = list(trials_like_a_search(count))
    longest, started = 0.0, time.monotonic()
    try:
        with Store.create(path, RUNNING) as store:
            for number, trial in enumerate(trials):
                begun = time.monotonic()
                store.add_trial(trial, {"model.tflite": bytes(20_000)})
                store.set_fact("elapsed_s", float(number))
                if number % 10 == 0:
                    store.replace_trial(replace(trial, reason="measured"))
                longest = max(longest, time.monotonic() - begun)
        answers.put(("writer", (count / (time.monotonic() - started), longest)))
    except TinynasError as error:
        answers.put(("problem", f"writer: {error}"))


def read(path: Path, ended: Event, answers: "Queue[tuple[str, object]]") -> None:
    """Read the study until the writer is done, and once more."""
    mirror._FRESH_S = 0.0
    watched, version, seen, problems, reads = mirror.Mirror(path), "", set(), Counter(), 0
    last = False
    while not last:
        last = ended.is_set()
        answer = watched.state(version)
        version, reads = answer["version"], reads + 1
        seen |= {row["number"] for row in answer.get("trials", ())}
        if answer["problem"]:
            problems[f"reader: {answer['problem']}"] += 1
    answers.put(("reader", (reads, len(seen), problems)))


def check_beside(folder: Path, count: int, readers: int) -> bool:
    """Whether `readers` and a writer never find the study locked, and the readers see all of it."""
    context = multiprocessing.get_context("spawn")
    answers: Queue[tuple[str, object]] = context.Queue()
    ended, path = context.Event(), folder / f"beside {readers}.db"
    reading = [context.Process(target=read, args=(path, ended, answers)) for _ in range(readers)]
    for process in reading:
        process.start()
    writing = context.Process(target=write, args=(path, count, answers))
    writing.start()
    writing.join()
    ended.set()
    found = [answers.get(timeout=60) for _ in range(readers + 1)]
    for process in reading:
        process.join()
    problems = Counter(str(what) for kind, what in found if kind == "problem")
    reads = 0
    missed = False
    for kind, what in found:
        if kind == "reader":
            reads, missed = reads + what[0], missed or what[1] != count
            problems += what[2]
        elif kind == "writer":
            print(
                f"{count:,} trials written at {what[0]:.0f} a second, the slowest in {1000 * what[1]:.0f} ms,", end=" "
            )
    print(f"beside {readers} readers with {reads:,} reads; problems: {dict(problems) or 'none'}", flush=True)
    return not problems and not missed


def check_browser(folder: Path, count: int) -> bool:
    """Time a browser on a study of `count` trials. True if it did not complain, or is not installed."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        print("chromium is not installed: no page was opened")
        return True
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    path = folder / "page.db"
    with Store.create(path, RUNNING) as store:
        for trial in trials_like_a_search(count):
            store.add_trial(trial, {})
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    listening = open_socket(None)
    server = server_of(path)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        # Seconds of its CPU, whatever else this machine does.
        browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        browser.get(url_of(listening))
        drawn = _until(lambda: browser.execute_script("return document.querySelectorAll('#fronts path.point').length"))
        first = _busy_s(browser)
        with Store.open_to_write(path) as store:
            trial = next(trial for trial in trials_like_a_search(20) if trial.state == "complete")
            store.add_trial(replace(trial, number=count, genome="image:1", accuracy_int8_val=0.99), {})
        _until(lambda: "99.0 %" in browser.execute_script("return document.getElementById('cards').innerText"))
        second = _busy_s(browser) - first
        sizes = browser.execute_script(SIZES)
        complaints = browser.get_log("browser")
    finally:
        browser.quit()
        server.should_exit = True
        thread.join()
    print(
        f"{count:,} trials in Chromium: {drawn:,} points of {sizes[0]:,} B are drawn in {first:.1f} s of its CPU,",
        end=" ",
    )
    print(f"one more trial of {max(sizes[1:]):,} B in {second:.1f} s; complaints: {complaints or 'none'}", flush=True)
    return not complaints


def _busy_s(browser: Any) -> float:
    found = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(float(each["value"]) for each in found if each["name"] == "TaskDuration")


def _until(condition: Callable[[], int]) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.5)
    raise TimeoutError("the page does not show the study")


def main() -> int:
    """Run all checks and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--readers", type=int, default=4)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fine = [check_beside(folder, arguments.trials, readers) for readers in (0, arguments.readers)]
        fine.append(check_browser(folder, arguments.trials))
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
