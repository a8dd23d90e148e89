"""A search that chooses how each network is deployed, on the emulated default board."""

import pytest

from tinynas.api import search
from tinynas.boards import load_board
from tinynas.compiler import compile_network
from tinynas.estimate.latency import analytic_estimator
from tinynas.space.hardware import Deployment
from tinynas.study.store import Store

SPACE = """
from tinynas.space.architecture import Builder
from tinynas.space.genome import Axis

class One:
    name = "one"
    axes = (Axis(name="filters", choices=(8,)),)

    def canonical(self, genome):
        return genome

    def decode(self, genome, input_shape, classes):
        build = Builder(input_shape, classes)
        last = build.conv(build.conv(build.conv(0, 8, 3), 8, 3), 4, 3, 2)
        return build.finish(build.global_avg_pool(last))

SPACE = One()
"""


@pytest.mark.slow
def test_one_network_costs_what_its_deployment_makes_of_it_and_is_as_accurate_in_all(tmp_path):
    (tmp_path / "one.py").write_text(SPACE)
    study = search(
        tmp_path / "s.db",
        task={"name": "digits"},
        space={"file": str(tmp_path / "one.py"), "hardware": ["optimize", "patches", "fast_memory"]},
        train={"epochs": 1, "samples": 200, "val_samples": 50},
        final={"count": 1, "epochs": 1},
        # This seed draws no gene, then each of them alone.
        search={
            "budget": 4,
            "population": 2,
            "strategy": "random",
            "seed": 431,
            "objectives": ["error", "flash_bytes"],
            "workers": 1,
        },
        board={"samples": 2, "repeats": 1},
    )
    with Store.open_to_read(study.path) as store:
        trials = store.trials()
        models = {store.artifact(trial.number, "model.tflite") for trial in trials}
        (finalist,) = store.finalists()
    assert [trial.state for trial in trials] == ["complete"] * 4
    assert len({trial.accuracy_int8_val for trial in trials}) == len(models) == 1
    for trial in trials:
        assert ("-Os" in trial.cost.validity.flags) == (trial.deployment["optimize"] == "size")
        assert trial.estimate.sram.total <= trial.cost.sram.total
    plain, fast, patched, small = sorted(trials, key=lambda trial: trial.number)
    assert plain.deployment == Deployment().to_json()
    assert small.deployment == Deployment(optimize="size").to_json()
    assert small.cost.flash.code < plain.cost.flash.code
    assert patched.cost.sram.arena < plain.cost.sram.arena
    # The constants are copied to SRAM, and the flash is waited for less often.
    assert plain.cost.sram.static < fast.estimate.sram.static <= fast.cost.sram.static
    assert fast.cost.wait_cycles < plain.cost.wait_cycles
    (point,) = study.front()
    assert point["deployment"] == small.deployment
    # The front's only trial has the least flash. An export is compiled as its trial was.
    assert finalist.trial == small.number
    assert "-Os" in finalist.cost.validity.flags
    arenas = [study.export(number, folder=tmp_path / f"{number}")["arena_bytes"] for number in (0, patched.number)]
    assert arenas[1] < arenas[0]


@pytest.mark.slow
def test_a_network_with_int16_activations_is_judged_beside_itself_with_int8(tmp_path):
    (tmp_path / "one.py").write_text(SPACE)
    study = search(
        tmp_path / "s.db",
        task={"name": "digits"},
        space={"file": str(tmp_path / "one.py"), "hardware": ["activations", "patches"]},
        train={"epochs": 1, "samples": 200, "val_samples": 50},
        final={"count": 1, "epochs": 1, "qat_points": 0.01},
        search={"budget": 4, "strategy": "random", "objectives": ["error", "sram_bytes"], "workers": 1},
        board={"samples": 2, "repeats": 1},
    )
    with Store.open_to_read(study.path) as store:
        trials = {(trial.deployment["patches"], trial.deployment["activation_bits"]): trial for trial in store.trials()}
        models = {bits: store.artifact(trials["off", bits].number, "model.tflite") for bits in (8, 16)}
        (finalist,) = store.finalists()
    assert {trial.state for trial in trials.values()} == {"complete"}
    assert finalist.cost.sram.total > 0
    narrow, wide = trials["off", 8], trials["off", 16]
    # The same training, quantized otherwise.
    assert wide.accuracy_float_val == narrow.accuracy_float_val
    assert wide.cost.sram.arena > narrow.cost.sram.arena
    assert trials["auto", 16].cost.sram.arena < wide.cost.sram.arena
    for trial in trials.values():
        assert trial.estimate.sram.total <= trial.cost.sram.total
    board = load_board("netduinoplus2")
    programs = {bits: compile_network(models[bits], target=board.target) for bits in models}
    assert {bits: program.inputs_bytes for bits, program in programs.items()} == {8: 64, 16: 128}
    # There is no instruction model of the int16 kernels: such networks are measured at once.
    estimator = analytic_estimator(board)
    assert estimator.estimate(programs[8]) is not None
    assert estimator.estimate(programs[16]) is None
