"""The firmware on the host with a power sensor at register level behind its port's two I2C functions. Time is the
board's: it passes where an inference, a transfer or a pause lets it.
"""

import ctypes
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import wire
from rigs import BOARD, Rig

from tinynas.device.counter import Interval
from tinynas.device.meters.ina import InaConfig, InaMeter
from tinynas.device.meters.ina2xx import Ina2xx
from tinynas.device.meters.ina228 import Ina228

ADDRESS = 0x41
SHUNT_OHM = 0.1
_TIMED = ("link", "client", "energy", "meters.ina", "meters.ina2xx")


@cache
def _board() -> ctypes.CDLL:
    # What is loaded needs its file no more.
    with tempfile.TemporaryDirectory() as folder:
        return wire.build_board(Path(folder))


class SensedLoad:
    """What the firmware on the host draws."""

    def __init__(self, board: ctypes.CDLL, inference_s: float) -> None:
        self.supply_v, self.idle_ma, self.run_ma, self.slowness = 3.3, 4.0, 20.0, 1.0
        self.inference_s = inference_s
        self.pulses_s: list[float] = []
        self._board = board

    def change(self, **values: float) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self._board.tn_sensors_change(self.supply_v, self.idle_ma, self.run_ma, self.slowness)


class HostStation:
    """The firmware on the host as a station, as far as energy is concerned."""

    name = "host"
    board = BOARD
    port = "host"

    def take_intervals(self) -> tuple[Interval, ...] | None:
        return None


class _Port(wire.NoisyPort):
    def read(self, size: int) -> bytes:
        data = super().read(size)
        if not data:
            self._board.tn_sensors_elapse(20_000, False)
        return data


@contextmanager
def ina_rig(kind: str, *, inference_s: float = 0.05, attached: str | None = None, **settings: Any) -> Iterator[Rig]:
    """A rig with an INA meter of `kind`, and the sensor `attached` behind the port: the same, another, or "nothing"."""
    board = _board()
    board.tn_board_power_on()
    number = {"ina228": 228, "ina226": 226, "ina219": 219, "nothing": 0}[attached or kind]
    board.tn_sensors_attach(number, ADDRESS, SHUNT_OHM, 3.3, 4.0, 20.0)
    load = SensedLoad(board, inference_s)
    values = {"supply_v": 3.3, "shunt_ohm": SHUNT_OHM, "most_ma": 100.0, "address": ADDRESS} | settings
    config = InaConfig(kind=kind, **values)
    meter = InaMeter(config, Ina228(config) if kind == "ina228" else Ina2xx(config))
    faults: dict[str, Callable[[], Any]] = {
        "lost samples": lambda: load.change(slowness=1.6),
        "clipped": lambda: load.change(run_ma=4000.0),
        "wrong voltage": lambda: load.change(supply_v=2.9),
        "unplugged": board.tn_sensors_unplug,
    }
    rig = Rig(load=load, meter=meter, station=HostStation(), faults=faults)

    def on_inference() -> None:
        for hook in rig.hooks:
            hook()
        load.pulses_s.append(inference_s)

    called = ctypes.CFUNCTYPE(None)(on_inference)
    board.tn_board_set_inference(round(inference_s * 1e6), called)
    port = _Port(board, wire.Noise(0, 0))
    # Time costs nothing here, and an INA228 counts in steps of 40 uJ.
    rig.sleep = lambda seconds: board.tn_sensors_elapse(20 * seconds * 1e6, False)
    clock = SimpleNamespace(
        monotonic=lambda: board.tn_sensors_now_us() / 1e6,
        sleep=lambda seconds: board.tn_sensors_elapse(seconds * 1e6, False),
    )
    with ExitStack() as patches:
        for module in _TIMED:
            patches.enter_context(patch(f"tinynas.device.{module}.time", clock))
        patches.enter_context(patch("serial.serial_for_url", lambda *_, **__: port))
        with meter:
            yield rig
    board.tn_board_set_inference(0, ctypes.CFUNCTYPE(None)(0))
