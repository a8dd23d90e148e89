"""A board on a simulated supply with an instrument, real or fake, in between."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tinynas.boards import Board, Emulator, Power
from tinynas.device.client import Client
from tinynas.device.fake import FakeBoard, FakeStation, greeting_of
from tinynas.device.meters.contract import Meter, Subject
from tinynas.device.meters.fake import Load
from tinynas.device.station import Station

BOARD = Board(
    name="fake",
    title="A board on a simulated supply",
    path=Path("fake.json"),
    port="fake",
    link="emulator",
    verified="no",
    sram_bytes=65536,
    flash_bytes=65536,
    # A tick of the fake board is a microsecond.
    clock_hz=1_000_000,
    power=Power(run_ma=20.0, supply_v=3.3, source="a datasheet"),
    emulator=Emulator(machine="none", icount_shift=0, sync_address="0x00000000"),
)


class Drawn(Protocol):
    """What a board draws: Load for a fake board, and whatever stands for it elsewhere."""

    supply_v: float
    idle_ma: float
    run_ma: float
    inference_s: float

    @property
    def pulses_s(self) -> list[float]: ...


@dataclass(kw_only=True)
class Rig:
    """`meter` is entered. An instrument that can fail has its faults by name, with what brings them about. `hooks` are
    called at the start of each inference; `sleep` lets the board rest.
    """

    load: Drawn
    meter: Meter
    station: Station
    faults: dict[str, Callable[[], Any]] = field(default_factory=dict)
    hooks: list[Callable[[], None]] = field(default_factory=list)
    sleep: Callable[[float], None] = time.sleep
    tolerance: float = 0.02

    def subject(self, client: Client) -> Subject:
        return Subject(
            board=self.station.board,
            client=client,
            latency_s=self.load.inference_s,
            take_intervals=self.station.take_intervals,
        )


def fake_rig(load: Load, meter: Meter, station: FakeStation, faults: dict[str, Callable[[], Any]]) -> Rig:
    """A rig with a fake board, which runs its hooks."""
    rig = Rig(load=load, meter=meter, station=station, faults=faults)

    def run() -> int:
        for hook in rig.hooks:
            hook()
        return load.run()

    station.fake.ticks = run
    return rig


def fake_station(load: Load) -> FakeStation:
    board = FakeBoard(greeting_of(BOARD, input_bytes=16, output_bytes=16), bytes, ticks=load.run)
    return FakeStation("fake", BOARD, board)
