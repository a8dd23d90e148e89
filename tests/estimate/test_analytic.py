"""The estimate is a lower bound, and it refuses with both numbers."""

import random
from dataclasses import replace

import numpy as np
import pytest

from tinynas.boards import Board, Power
from tinynas.cost import Costs
from tinynas.errors import CandidateError
from tinynas.estimate.analytic import estimate_architecture, infeasible_reason, smallest_cost
from tinynas.space.genome import random_genome
from tinynas.space.registry import load_space, space_names

BOARD = Board.model_construct(
    name="b", clock_hz=100_000_000, target="cortex-m4", power=Power(run_ma=10.0, supply_v=3.0, source="a datasheet")
)
SHAPES = {"image": (28, 28, 1), "mobilenet": (28, 28, 1), "cell": (28, 28, 1), "series": (64, 3), "mlp": (8, 8, 1)}


def test_figures_follow_from_the_layers():
    space = load_space("mlp")
    network = space.decode(random_genome(space, random.Random(1)), (8, 8, 1), 10)
    cost = estimate_architecture(network, BOARD)
    assert cost.latency_us == pytest.approx(network.macs * 0.5 / 100)
    assert cost.energy_uj == pytest.approx(30.0 * cost.latency_us / 1000)
    assert cost.flash is not None
    assert cost.flash.total == network.constants_bytes
    assert {cost.latency_source, cost.sram_source, cost.flash_source, cost.energy_source} == {"estimated"}


@pytest.mark.parametrize("name", space_names())
def test_no_random_genome_undercuts_the_smallest_cost(name):
    space, rng = load_space(name), random.Random(2)
    least = smallest_cost(space, SHAPES[name], 10, [BOARD])
    for _ in range(300):
        try:
            cost = estimate_architecture(space.decode(random_genome(space, rng), SHAPES[name], 10), BOARD)
        except CandidateError:
            continue
        for figure in ("latency_us", "sram_bytes", "flash_bytes", "energy_uj"):
            assert cost.figure(figure) >= least.figure(figure)


@pytest.mark.parametrize("name", space_names())
def test_the_compiler_never_plans_less_than_the_estimate(tensorflow, name):
    from tinynas.compiler import TARGETS, compile_network
    from tinynas.model.build import build
    from tinynas.model.quantize import quantize

    space, rng, inputs = load_space(name), random.Random(7), np.random.default_rng(0)
    samples = inputs.normal(size=(4, *SHAPES[name])).astype(np.float32)
    tried = 0
    while tried < 3:
        try:
            network = space.decode(random_genome(space, rng), SHAPES[name], 10)
        except CandidateError:
            continue
        tried += 1
        tflite = quantize(build(network, 1), samples)
        for target in TARGETS:
            program = compile_network(tflite, target=target, keep_constant_channels=True)
            assert 0 < network.peak_activation_bytes <= program.arena_bytes
            assert 0 < network.constants_bytes <= program.constants_bytes
            assert network.macs <= sum(layer.macs for layer in program.layers)


def test_the_reason_has_both_numbers_and_the_setting():
    cost = smallest_cost(load_space("mlp"), (8, 8, 1), 10, [BOARD])
    assert infeasible_reason(cost, {"flash_bytes": 1e9, "sram_bytes": 1e9}) is None
    reason = infeasible_reason(cost, {"sram_bytes": 10.0})
    assert reason == "needs 72 B of SRAM, at most 10 allowed: see [limits] sram"


def test_on_several_boards_the_reason_names_the_one_whose_limit_is_broken():
    cost = smallest_cost(load_space("mlp"), (8, 8, 1), 10, [BOARD])
    costs = Costs(main=cost, also={"other": replace(cost, latency_us=300.0)})
    assert infeasible_reason(costs, {"latency_us@main": 200.0, "latency_us@other": 300.0}) is None
    reason = infeasible_reason(costs, {"latency_us@main": 200.0, "latency_us@other": 250.0})
    assert reason == "needs 300 us on other, at most 250 allowed: see [limits] and [also] latency"
