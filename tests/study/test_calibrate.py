"""What a calibration is asked for decides what it holds, wherever it was interrupted."""

import random
from dataclasses import replace

import pytest

from tinynas import paths
from tinynas.boards import load_board
from tinynas.errors import ConfigError, InfrastructureError
from tinynas.estimate.calibration import ObservedLayer, ObservedNetwork, read_calibration
from tinynas.space.registry import load_space
from tinynas.study import calibrate as module
from tinynas.study.calibrate import SPACES, Drawn, Settings, calibrate, draw

BOARD = load_board("netduinoplus2")


def observed(drawn: Drawn, *, seed: int, held_out: bool) -> ObservedNetwork:
    """Instead of the board: a latency that follows from the network's layers."""
    layers = tuple(
        ObservedLayer(
            kind="tn_values",
            family="values",
            counts={"values": float(layer.bytes), "macs": float(layer.macs)},
            cycles=10 + 3 * layer.bytes + layer.macs,
            wait_cycles=0,
        )
        for layer in drawn.architecture.layers
    )
    return ObservedNetwork(
        genome=drawn.genome.key,
        input_shape=drawn.architecture.input_shape,
        classes=drawn.architecture.classes,
        layers=layers,
        cycles=sum(layer.taken or 0 for layer in layers) + seed % 3,
        outside_cycles=1,
        latency_us=1.0,
        code_bytes=1,
        constants_bytes=1,
        arena_bytes=1,
        static_bytes=0,
        stack_bytes=1,
        held_out=held_out,
    )


@pytest.fixture
def home(tmp_path, monkeypatch):
    """No toolchain, no board: networks are drawn as ever, and observed by arithmetic."""

    class Empty:
        toolchain, flags, firmware_hash = "gcc", "-O2", "f" * 64

    class Children:
        stopped = False

        def stop(self):
            self.stopped = True

    class Opened:
        def __init__(self, settings, board):
            self._ground = module.Ground(board=board, children=Children(), bench=None, optimize="speed")

        def __enter__(self):
            return self._ground

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(paths, "home", lambda: tmp_path)
    monkeypatch.setattr(module, "baseline", lambda *_: Empty)
    monkeypatch.setattr(module, "opened_ground", Opened)
    monkeypatch.setattr(
        module,
        "observe",
        lambda ground, drawn, *, seed, layers, held_out: observed(drawn, seed=seed, held_out=held_out),
    )
    return tmp_path


def quiet(done, total, network):
    pass


def test_a_network_depends_on_its_seed_alone_and_every_fourth_is_held_out(home):
    found = calibrate(Settings(networks=40), quiet)
    whole = read_calibration(home / "calibrations" / "netduinoplus2.json")
    assert (found["fitted"], found["held_out"]) == (30, 10)
    assert [number for number, network in enumerate(whole.networks) if network.held_out] == [*range(3, 40, 4)]
    calibrate(Settings(networks=40, workers=5, anew=True), quiet)
    assert read_calibration(home / "calibrations" / "netduinoplus2.json") == whole
    assert found["learned"]["estimated"] == 10
    assert found["learned"]["mean_error"] < 0.01
    assert found["table"]["rank_correlation"] > 0.99


def test_what_interrupts_loses_nothing_that_was_observed(home):
    def interrupt(done, total, network):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(Settings(networks=12), interrupt)
    path = home / "calibrations" / "netduinoplus2.json"
    first = read_calibration(path)
    assert len(first.networks) == 7
    seen = []
    calibrate(Settings(networks=12), lambda done, total, network: seen.append(done))
    assert seen == [8, 9, 10, 11, 12]
    resumed = read_calibration(path)
    assert resumed.networks[:7] == first.networks
    calibrate(Settings(networks=12, anew=True), quiet)
    assert read_calibration(path) == resumed


def test_fewer_networks_than_there_are_take_nothing_away(home):
    calibrate(Settings(networks=12), quiet)
    assert calibrate(Settings(networks=4), quiet)["networks"] == 12


@pytest.mark.parametrize("other", [{"seed": 1}, {"spaces": ("mlp",)}])
def test_another_draw_is_no_continuation(home, other):
    calibrate(Settings(networks=4), quiet)
    with pytest.raises(ConfigError, match=f"was drawn with {next(iter(other))} .*--anew"):
        calibrate(replace(Settings(networks=8), **other), quiet)
    assert calibrate(replace(Settings(networks=8, anew=True), **other), quiet)["networks"] == 8


def test_another_firmware_is_no_continuation(home, monkeypatch):
    calibrate(Settings(networks=4), quiet)

    class Newer:
        toolchain, flags, firmware_hash = "gcc", "-O2", "0" * 64

    monkeypatch.setattr(module, "baseline", lambda *_: Newer)
    with pytest.raises(ConfigError, match="holds for firmware ffff"):
        calibrate(Settings(networks=8), quiet)


def test_two_at_a_time_are_refused(home):
    with (
        module._sole_user(home / "calibrations" / "netduinoplus2.json"),
        pytest.raises(InfrastructureError, match="being made by another process"),
    ):
        calibrate(Settings(networks=4), quiet)


@pytest.mark.parametrize("name", SPACES)
def test_networks_are_drawn_that_may_fit_the_board(name):
    drawn = draw(BOARD, [load_space(name)], random.Random(0))
    for _, each in zip(range(40), drawn, strict=False):
        assert each.genome.space == name
        assert each.architecture.constants_bytes <= BOARD.flash_bytes
        assert each.architecture.peak_activation_bytes <= BOARD.sram_bytes
