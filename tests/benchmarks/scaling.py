"""How a study scales over boards and training slots, for docs/scaling.md: `python tests/benchmarks/scaling.py`.

Three parts. A small study (scaling.toml) is searched one candidate at a time, which records what each stage takes;
`--study` takes one that was searched before. What Dask and our messages add to each request is measured on a scheduler
and a worker of this machine, over TLS. Then a discrete-event simulation runs the rule of `study/steady.py`, question n
once 0 to n - ahead are told in their order, over stages of the recorded times, with more boards and training slots than
there are here. It repeats exactly for the same recorded times.
"""

import argparse
import heapq
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))

from tinynas.study.store import Store

# What a candidate goes through, in its order, and where: on a training slot, in the search itself, on a board. The
# search is Python, so that it has one CPU's time for all candidates, however many it has.
STAGES = (
    ("convert", "train"),
    ("compile", "driver"),
    ("build", "train"),
    ("measure", "board"),
    ("train", "train"),
)
# Of a candidate.
REQUESTS_EACH = sum(place != "driver" for _, place in STAGES)
# As many as fill and empty the window often enough not to matter.
WINDOWS = 40
# Few enough that no child has had its 64 calls and is replaced in between, which takes seconds.
REQUESTS = 24
# Bytes of a request and its answer, about those of an image, and of a trained network with its vectors.
PAYLOAD = 100_000
FIGURES = {
    "median_s": "beyond its work, median",
    "p95_s": "95th percentile",
    "together_s": "eight at a time",
    "scheduler_s": "CPU time of the scheduler",
    "search_s": "CPU time of the search",
}
_HEAD = (
    "| boards | slots | candidates a minute | efficiency | boards idle | slots idle | search idle | bottleneck |\n"
    "|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """candidates_s: verdicts per second. busy: share of the time that each resource's places are used."""

    candidates_s: float
    busy: dict[str, float]


def recorded(path: Path) -> list[dict[str, float]]:
    """Seconds by stage of each trained trial but the first, in whose time the children start."""
    with Store.open_to_read(path) as store:
        trials = [trial for trial in store.trials() if trial.state == "complete"]
    return [{name: trial.seconds.get(name, 0.0) for name, _ in STAGES} for trial in trials[1:]]


def simulate(
    times: Sequence[dict[str, float]],
    *,
    boards: int,
    slots: int,
    ahead: int,
    overhead: dict[str, float],
) -> Outcome:
    """A long study, each of whose candidates takes what one of the recorded ones took, drawn by its number.

    A request to a board or a training slot keeps its place for the median `overhead` longer, and takes its part of the
    search's CPU time.
    """
    rng, capacity = random.Random(7), {"board": boards, "train": slots, "driver": 1}
    candidates = WINDOWS * ahead
    drawn = [rng.choice(times) for _ in range(candidates)]
    free, used = dict(capacity), dict.fromkeys(capacity, 0.0)
    waiting: dict[str, deque[tuple[float, int, int]]] = {name: deque() for name in capacity}
    events: list[tuple[float, int, int]] = []
    asking_s = REQUESTS_EACH * overhead["search_s"]
    done: set[int] = set()
    asked = told = 0
    now = 0.0

    def start(place: str) -> None:
        while free[place] and waiting[place]:
            seconds, number, stage = waiting[place].popleft()
            free[place] -= 1
            used[place] += seconds
            heapq.heappush(events, (now + seconds, number, stage))

    def enter(number: int, stage: int) -> None:
        name, place = STAGES[stage]
        seconds = drawn[number][name] + (asking_s if place == "driver" else overhead["median_s"])
        waiting[place].append((seconds, number, stage))
        start(place)

    while told < candidates:
        while asked < min(candidates, told + ahead):
            enter(asked, 0)
            asked += 1
        now, number, stage = heapq.heappop(events)
        place = STAGES[stage][1]
        free[place] += 1
        start(place)
        if stage + 1 < len(STAGES):
            enter(number, stage + 1)
        else:
            done.add(number)
            while told in done:
                told += 1
    return Outcome(candidates_s=candidates / now, busy={name: used[name] / capacity[name] / now for name in capacity})


def measured_overhead() -> dict[str, float]:
    """What a request takes beyond the work itself, one after the other and eight at a time, and the CPU time that the
    processes of the scheduler and of the search take for it [s]. The latter say how many requests a second they can do,
    and hardly depend on what else the machine does.
    """
    from cluster_processes import Machines, free_port

    from tinynas.cluster.certificates import init_cluster
    from tinynas.cluster.messages import TRAIN, Call
    from tinynas.cluster.remote import connected

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        init_cluster(folder / "lab", "127.0.0.1", free_port())
        machines = Machines(folder=folder, file=folder / "lab" / "cluster.toml")
        try:
            scheduler = psutil.Process(machines.scheduler()[0].pid)
            machines.worker("worker", "--train", 2)
            with connected(machines.place) as cluster:
                cluster.await_offer(TRAIN)
                call = Call(
                    what="an echo",
                    function="tinynas.cluster.messages:pack",
                    arguments=(os.urandom(PAYLOAD),),
                    timeout_s=60.0,
                    memory_bytes=8 << 30,
                )

                def ask(_: int) -> float:
                    started = time.monotonic()
                    answer = cluster.ask(TRAIN, call.what, call)
                    return time.monotonic() - started - answer.seconds

                with ThreadPoolExecutor(8) as threads:
                    # The children start.
                    list(threads.map(ask, range(16)))
                    alone = [ask(number) for number in range(REQUESTS)]
                    started, own, before = time.monotonic(), time.process_time(), scheduler.cpu_times()
                    list(threads.map(ask, range(REQUESTS)))
                    together, after = (time.monotonic() - started) / REQUESTS, scheduler.cpu_times()
                    searching = (time.process_time() - own) / REQUESTS
        finally:
            machines.end()
    return {
        "median_s": statistics.median(alone),
        "p95_s": sorted(alone)[int(0.95 * len(alone))],
        "together_s": together,
        "search_s": searching,
        "scheduler_s": (after.user + after.system - before.user - before.system) / REQUESTS,
    }


def default_ahead(slots: int, boards: int) -> int:
    from tinynas.study.run import default_ahead as rule
    from tinynas.study.testbed import Places

    return rule(Places(training=slots, boards=boards))


def rows(times: Sequence[dict[str, float]], overhead: dict[str, float]) -> Iterator[str]:
    """Markdown: boards with as many training slots as keep them busy, then slots alone, then windows."""
    per_board = sum(statistics.mean(each[name] for each in times) for name, place in STAGES if place == "train")
    per_board /= statistics.mean(each["measure"] for each in times)

    def line(boards: int, slots: int, ahead: int | None = None) -> Outcome:
        ahead = default_ahead(slots, boards) if ahead is None else ahead
        return simulate(times, boards=boards, slots=slots, ahead=ahead, overhead=overhead)

    yield f"\n{per_board:.1f} training slots keep a board busy.\n"
    yield _HEAD
    single = None
    for boards in (1, 2, 4, 8, 16, 32, 64):
        slots = max(1, min(256, round(per_board * boards)))
        found = line(boards, slots)
        single = single or found.candidates_s
        efficiency = found.candidates_s / single / boards
        yield _row((boards, slots), found, f"{efficiency:.0%}")
    yield f"\n{_HEAD}"
    single = None
    for slots in (1, 4, 16, 64, 256):
        boards = 16
        found = line(boards, slots)
        single = single or found.candidates_s
        yield _row((boards, slots), found, f"{found.candidates_s / single / slots:.0%}")
    boards, slots = 16, max(1, min(256, round(per_board * 16)))
    yield f"\nWith {boards} boards and {slots} slots, by the window `ahead`:\n"
    yield "| ahead | candidates a minute | boards idle | slots idle |"
    yield "|---|---|---|---|"
    places = boards + slots
    for ahead in sorted(
        {6, places // 2, places, 3 * places // 2, 2 * places, 3 * places, default_ahead(slots, boards)}
    ):
        found = line(boards, slots, ahead)
        mark = " (default)" if ahead == default_ahead(slots, boards) else ""
        idle = (f"{1 - found.busy[name]:.0%}" for name in ("board", "train"))
        yield f"| {ahead}{mark} | {60 * found.candidates_s:.1f} | {' | '.join(idle)} |"


def _row(places: Sequence[int], found: Outcome, efficiency: str) -> str:
    idle = [f"{1 - found.busy[name]:.0%}" for name in ("board", "train", "driver")]
    names = {"board": "boards", "train": "training slots", "driver": "the search itself"}
    bottleneck = names[max(found.busy, key=lambda name: found.busy[name])]
    cells = (*map(str, places), f"{60 * found.candidates_s:.1f}", efficiency, *idle, bottleneck)
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, help="a study to take the times from")
    parser.add_argument("--json", type=Path, help="also write the times and the overhead to this file")
    parser.add_argument("--times", type=Path, help="simulate from a file of --json, and measure nothing")
    arguments = parser.parse_args()
    if arguments.times is not None:
        known = json.loads(arguments.times.read_text())
        print("\n".join(rows(known["times"], known["overhead"])))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.study or Path(folder) / "recorded.db"
        if arguments.study is None:
            config = Path(__file__).with_suffix(".toml")
            command = [sys.executable, "-m", "tinynas", "search", "--config", str(config), "--study", str(path)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times = recorded(path)
    means = {name: statistics.mean(each[name] for each in times) for name, _ in STAGES}
    print(f"{len(times)} trials, seconds on average: {', '.join(f'{key} {value:.2f}' for key, value in means.items())}")
    overhead = measured_overhead()
    print(f"a request of {PAYLOAD:,} B, and the {REQUESTS_EACH} of a candidate [ms]:")
    for name, title in FIGURES.items():
        print(f"{title}: {1e3 * overhead[name]:.1f}, {1e3 * REQUESTS_EACH * overhead[name]:.1f}")
    for each in rows(times, overhead):
        print(each)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"times": times, "overhead": overhead}, indent=2))


if __name__ == "__main__":
    main()
