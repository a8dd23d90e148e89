"""The table of layers: exact on what it has seen, near on what it has not."""

import pytest

from tinynas.boards import load_board
from tinynas.compiler import compile_network
from tinynas.estimate.latency import analytic_estimator
from tinynas.estimate.layers import LayerTable, observe_layers
from tinynas.space.architecture import Builder
from tinynas.space.hardware import Deployment
from tinynas.study.deployment import search_options


def network(width):
    """Separable, with a sum, and without."""
    build = Builder((12, 12, 1), 10)
    last = build.conv(build.avg_pool(0), width, 3)
    last = build.add(last, build.conv(build.depthwise(last, 3), width, activation="none"))
    last = build.conv(build.depthwise(last, 5, 2), 2 * width)
    return build.finish(build.global_avg_pool(last))


@pytest.fixture(scope="module")
def compiled(tensorflow):
    """(network, program, latency [us]) of growing widths."""
    from tinynas.study.work import convert_random

    board, found = load_board("netduinoplus2"), []
    for width in (8, 12, 16, 24, 32):
        program = compile_network(
            convert_random(network(width), 0),
            target=board.target,
            constants=board.constants,
            **search_options(Deployment()).arguments,
        )
        found.append((network(width), program, analytic_estimator(board).estimate(program).latency_us))
    return found


def table_of(compiled):
    estimator = analytic_estimator(load_board("netduinoplus2"))
    layers = [layer for network, program, _ in compiled for layer in observe_layers(network, program, estimator)]
    return LayerTable(layers, estimator.clock_hz, estimator.outside_cycles)


def test_a_network_whose_layers_were_observed_takes_what_it_takes_compiled(compiled):
    table = table_of(compiled)
    for architecture, _, latency_us in compiled:
        assert table.latency_us(architecture) == pytest.approx(latency_us, rel=1e-6)


def test_a_network_between_those_observed_is_near(compiled):
    (architecture, _, latency_us) = compiled.pop(2)
    assert table_of(compiled).latency_us(architecture) == pytest.approx(latency_us, rel=0.15)
