"""One network at several clocks of the emulated default board, and a search that chooses among them."""

import numpy as np
import pytest

from tinynas.api import search
from tinynas.boards import load_board
from tinynas.compiler import compile_network
from tinynas.deploy.build import build
from tinynas.device.bench import open_bench
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import to_cost
from tinynas.device.meters.emulated import EmulatedMeter
from tinynas.paths import FIRMWARE
from tinynas.study.store import Store

BOARD = load_board("netduinoplus2")


def test_cycles_are_those_of_any_clock_and_waits_time_and_energy_follow_it(tmp_path):
    program = compile_network(
        (FIRMWARE / "selftest" / "known.tflite").read_bytes(), name="network", target=BOARD.target
    )
    inputs = np.zeros((1, program.inputs_bytes), np.int8)
    images = {hz: build(BOARD.at(hz), program, tmp_path / "desk") for hz in (168_000_000, 60_000_000)}
    costs, outputs = {}, set()
    with open_bench(BOARD, directory=tmp_path / "bench", meter=EmulatedMeter(BOARD)) as bench:
        # Back to where it began, so that a step leaves nothing behind.
        for hz in (*images, 168_000_000):
            measurement = flash_and_measure(bench, images[hz], inputs, repeats=1)
            cost = to_cost(measurement, images[hz], BOARD)
            assert costs.setdefault(hz, cost) == cost
            outputs.add(measurement.outputs.tobytes())
    assert len(outputs) == 1
    assert len({cost.cycles for cost in costs.values()}) == len({cost.instructions for cost in costs.values()}) == 1
    fast = costs[168_000_000]
    for hz, cost in costs.items():
        board = BOARD.at(hz)
        assert cost.validity.clock_hz == hz
        assert cost.wait_cycles > 0
        # Wait states are cycles of every line that is in no buffer, which are the same lines at any clock.
        assert cost.wait_cycles * 5 == fast.wait_cycles * board.flash_timing.wait_states
        assert cost.latency_us == pytest.approx((cost.cycles + cost.wait_cycles) / hz * 1e6)
        assert cost.energy_uj == pytest.approx(board.power.run_mw * cost.latency_us / 1000)
        assert (cost.sram, cost.latency_source) == (fast.sram, "emulated")
        assert f"{board.power.run_mw:.1f} mW" in cost.energy_basis


@pytest.mark.slow
def test_a_search_measures_each_network_at_the_clock_that_its_gene_chose(tmp_path):
    study = search(
        tmp_path / "s.db",
        task={"name": "digits"},
        space={"name": "mlp", "hardware": ["clock"], "fix": {"depth": 0}},
        train={"epochs": 1, "samples": 200, "val_samples": 50},
        final={"count": 1, "epochs": 1},
        search={"budget": 2, "strategy": "random", "objectives": ["latency_us", "energy_uj"], "workers": 1},
        board={"samples": 2, "repeats": 1, "clock": "144 MHz"},
    )
    with Store.open_to_read(study.path) as store:
        trials = store.trials()
    assert len({trial.deployment["clock_hz"] for trial in trials}) == 2
    for trial in trials:
        clock_hz = trial.deployment["clock_hz"]
        assert trial.cost.validity.clock_hz == clock_hz
        assert trial.cost.latency_us == pytest.approx((trial.cost.cycles + trial.cost.wait_cycles) / clock_hz * 1e6)
        assert trial.estimate.latency_us <= trial.cost.latency_us
        assert trial.estimate.energy_uj <= trial.cost.energy_uj
    chosen = trials[0]
    study.export(chosen.number, to="platformio", folder=tmp_path / "out")
    assert f"clock_hz = {chosen.deployment['clock_hz']}\n" in (tmp_path / "out" / "platformio.ini").read_text()
