"""What a PPK2 alone does: it feeds the board, and it has a calibration."""

import time

import pytest
from ppk2 import SimulatedPpk2

from tinynas.device.meters import open_meter, read_meter
from tinynas.device.meters.fake import Load
from tinynas.device.meters.ppk2 import Ppk2Config, Ppk2Meter
from tinynas.errors import ConfigError, MeterError


@pytest.fixture
def simulated():
    simulated = SimulatedPpk2(Load())
    yield simulated
    simulated.close()


def wait_until(condition) -> None:
    """The simulator works through its commands in a thread of its own."""
    deadline = time.monotonic() + 2
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def config(simulated, **settings) -> Ppk2Config:
    return Ppk2Config(kind="ppk2", port=simulated.port, **{"supply_v": 3.3, **settings})


def test_it_feeds_the_board_with_the_configured_voltage_while_it_is_connected(simulated):
    with Ppk2Meter(config(simulated)):
        wait_until(lambda: simulated.powered)
        assert bytes([0x0D]) + (3300).to_bytes(2, "big") in simulated.commands
        assert bytes([0x11, 2]) in simulated.commands
    wait_until(lambda: not simulated.powered)


def test_in_the_line_of_another_supply_it_is_an_ampere_meter(simulated):
    with Ppk2Meter(config(simulated, mode="ampere")):
        assert bytes([0x11, 1]) in simulated.commands


def test_a_voltage_that_it_does_not_take_is_never_put_on_the_board(simulated):
    simulated.stuck_mv = 5000
    with pytest.raises(MeterError, match=r"asked for 3\.30 V and says 5\.00 V"), Ppk2Meter(config(simulated)):
        pass
    assert not simulated.powered


def test_without_a_calibration_currents_mean_nothing(simulated):
    simulated.calibrated = False
    with pytest.raises(MeterError, match="no calibration for all of its ranges"), Ppk2Meter(config(simulated)):
        pass
    assert not simulated.powered


@pytest.mark.parametrize("where", [{"port": "/dev/nothing"}, {"serial": "C2EA72"}])
def test_one_that_is_not_there_is_named(where):
    with pytest.raises(MeterError, match=r"meter ppk2 (/dev/nothing|C2EA72) cannot be used: "):
        Ppk2Meter(Ppk2Config(kind="ppk2", supply_v=3.3, **where)).__enter__()


def test_it_is_described_by_a_file(tmp_path, simulated):
    from rigs import BOARD

    (tmp_path / "meter.toml").write_text(f'[meter]\nkind = "ppk2"\nsupply_v = 1.8\nport = "{simulated.port}"\n')
    meter = open_meter(read_meter(str(tmp_path / "meter.toml")), BOARD)
    assert isinstance(meter, Ppk2Meter)
    assert meter.supply_v == 1.8
    (tmp_path / "meter.toml").write_text('[meter]\nkind = "ppk2"\nsupply_v = 5.5\n')
    with pytest.raises(ConfigError, match="supply_v: Input should be less than or equal to 5"):
        read_meter(str(tmp_path / "meter.toml"))


def test_the_library_that_it_needs_is_named(simulated, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ppk2lab", None)
    with pytest.raises(ConfigError, match=r"pip install 'tinynas\[ppk2\]'"):
        Ppk2Meter(config(simulated))
