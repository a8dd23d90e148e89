"""What estimates promise of a candidate, however it is deployed."""

import random
from dataclasses import replace

from tinynas.boards import load_board
from tinynas.config import load_config
from tinynas.cost import Validity
from tinynas.device.bench import Bench
from tinynas.device.gather import Gathering
from tinynas.device.pool import BenchPool
from tinynas.errors import CandidateError
from tinynas.estimate.latency import analytic_estimator
from tinynas.space.genome import random_genome
from tinynas.space.hardware import Deployment
from tinynas.study import testbed as testbeds
from tinynas.study.deployment import (
    board_of,
    deployed,
    export_options,
    least_of_space,
    lower_bound,
    search_options,
    searched_space,
)

BOARD = load_board("netduinoplus2")
SHAPE = (28, 28, 1)


def test_no_candidate_at_any_clock_undercuts_the_least_of_the_space():
    config = load_config(None, {"space": {"name": "image", "hardware": ("clock",)}})
    space, rng = searched_space(config, BOARD), random.Random(4)
    least = least_of_space(space, SHAPE, 10, BOARD)
    slow = least_of_space(space.base, SHAPE, 10, BOARD.at(30_000_000))
    assert least.latency_us < slow.latency_us
    assert least.energy_uj < slow.energy_uj
    for _ in range(100):
        genome = random_genome(space, rng)
        try:
            cost = lower_bound(space.decode(genome, SHAPE, 10), deployed(space, genome, config), BOARD)
        except CandidateError:
            continue
        assert cost.latency_us >= least.latency_us
        assert cost.energy_uj >= least.energy_uj


def test_the_clock_is_not_the_compilers_business():
    deployment = Deployment(optimize="size", clock_hz=60_000_000)
    assert search_options(deployment) == search_options(Deployment(optimize="size"))
    assert export_options(deployment.to_json()) == export_options({"optimize": "size", "patches": "off"})


def test_estimates_at_another_clock_need_a_model_that_tells_cycles_from_waits():
    validity = Validity(board=BOARD.name, clock_hz=BOARD.clock_hz, toolchain="gcc", flags="-O2", firmware="f00d")
    with Bench([]) as bench:
        testbed = testbeds.Testbed(
            board=BOARD,
            pool=BenchPool(bench),
            gathering=Gathering(BenchPool(bench), BOARD, list, most=1),
            validity=validity,
            estimator=analytic_estimator(BOARD),
        )
        assert testbed.at(None) is testbed.at(BOARD.clock_hz) is testbed
        slow = testbed.at(60_000_000)
        assert (slow.board, slow.validity.clock_hz) == (BOARD.at(60_000_000), 60_000_000)
        assert (slow.estimator.method, slow.estimator.clock_hz) == ("analytic", 60_000_000)
        calibrated = replace(testbed, estimator=replace(testbed.estimator, method="learned"))
        assert calibrated.at(BOARD.clock_hz).estimator is calibrated.estimator
        assert calibrated.at(60_000_000).estimator is None


def test_the_board_runs_at_the_configured_clock():
    assert board_of(load_config(None, {"board": {"clock": "60 MHz"}})) == BOARD.at(60_000_000)
    assert board_of(load_config(None, {})) == BOARD
