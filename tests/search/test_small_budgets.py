"""With the budget of a demo, on a table of 15,625 trained networks, NSGA-II is worth its place."""

import runpy
import statistics
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[3] / "shared" / "nasbench" / "nb201_int8.csv.gz"
BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "search_small.py"


@pytest.mark.skipif(not TABLE.is_file(), reason="the shared table of networks is not there")
@pytest.mark.parametrize("device", ["raspi4", "pixel3"])
@pytest.mark.parametrize("within", [0.5, 0.2])
def test_nsga2_covers_at_least_what_random_search_does_on_average(device, within):
    benchmark = runpy.run_path(str(BENCHMARK))
    problem = benchmark["table_problem"](benchmark["read_table"](TABLE, device), within)
    grid = benchmark["Grid"](*[5] * 6)
    ours, baseline = benchmark["gains"](grid, problem, budget=60, population=16)
    assert len(ours) == len(baseline) == len(benchmark["SEEDS"])
    assert statistics.mean(ours) >= statistics.mean(baseline)
