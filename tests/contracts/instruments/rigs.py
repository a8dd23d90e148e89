"""A fake board on a simulated supply with an instrument, real or fake, in between."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinynas.boards import Board, Emulator, Power
from tinynas.device.client import Client
from tinynas.device.fake import FakeBoard, FakeStation, greeting_of
from tinynas.device.meters.contract import Meter, Subject
from tinynas.device.meters.fake import Load

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


@dataclass(kw_only=True)
class Rig:
    """`meter` is entered; what `close` holds is called at the end. Instruments that can fail have their fault's name in
    `faults`, with what brings it about.
    """

    load: Load
    meter: Meter
    station: FakeStation
    faults: dict[str, Callable[[], Any]] = field(default_factory=dict)
    tolerance: float = 0.02

    def subject(self, client: Client) -> Subject:
        return Subject(
            board=self.station.board,
            client=client,
            latency_s=self.load.inference_s,
            take_intervals=self.station.take_intervals,
        )


def fake_station(load: Load) -> FakeStation:
    board = FakeBoard(greeting_of(BOARD, input_bytes=16, output_bytes=16), bytes, ticks=load.run)
    return FakeStation("fake", BOARD, board)
