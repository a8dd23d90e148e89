import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tinynas.boards import Board, Emulator, Power
from tinynas.deploy.build import Image
from tinynas.deploy.sizes import Sizes
from tinynas.device.fake import FakeBoard, FakeStation, greeting_of

# Its modules are found by name: tests are no packages.
sys.path.insert(0, str(Path(__file__).parent))

_PROGRAM = """
#define USART ((volatile unsigned *)0x40011000)
static volatile unsigned *const starts = (volatile unsigned *)0x2000F000;
static void put(char c) { while (!(USART[0] & 0x80)) { } USART[1] = (unsigned)c; }
static void start(void) {
    USART[3] = 0x200c;
    starts[0] += 1;
    for (;;) if (USART[0] & 0x20) { (void)USART[1]; put((char)('0' + starts[0])); }
}
__attribute__((section(".vectors"), used)) static const void *const vectors[] = {(void *)0x20010000, (void *)start};
"""
_SECTIONS = "SECTIONS { .text 0x08000000 : { *(.vectors) *(.text*) *(.rodata*) } }"


@pytest.fixture(scope="session")
def counting_program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A flash image that answers every byte with how often it was started since power-on, as a digit."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "program.c").write_text(_PROGRAM)
    (folder / "program.ld").write_text(_SECTIONS)
    compiler = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-O1", "-nostdlib", "-Wl,-T,program.ld"]
    subprocess.run([*compiler, "program.c", "-o", "program.elf"], cwd=folder, check=True)
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", "program.elf", "flash.bin"], cwd=folder, check=True)
    return (folder / "flash.bin").read_bytes()


@pytest.fixture
def emulated() -> Board:
    return Board(
        name="emulated",
        title="An emulated board",
        path=Path("emulated.json"),
        port="stm32f4",
        link="emulator",
        verified="emulated",
        sram_bytes=131072,
        flash_bytes=1048576,
        clock_hz=168_000_000,
        power=Power(run_ma=100.0, supply_v=3.0, source="a datasheet"),
        emulator=Emulator(machine="netduinoplus2", icount_shift=0, sync_address="0x40020418"),
    )


@pytest.fixture
def image() -> Image:
    """An image that only a fake board takes."""
    return Image(
        binary=b"",
        sha256="5a" * 32,
        build_id="ab" * 16,
        sizes=Sizes(code=9000, constants=2000, static=5100, arena=64, image=11000),
        baseline=Sizes(code=4000, constants=0, static=5000, arena=0, image=4000),
        toolchain="gcc",
        flags="-O2",
        firmware_hash="f00d",
        clock_hz=168_000_000,
    )


def _invert(tensor: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in tensor)


@pytest.fixture
def fake_station(emulated: Board) -> Iterator[Callable[..., FakeStation]]:
    """Makes stations with fake boards, whose network takes 64 bytes and inverts them."""
    boards = []

    def make(name: str = "fake", *, board: Board = emulated, spare: bool = True) -> FakeStation:
        fake = FakeBoard(greeting_of(board, input_bytes=64, output_bytes=64), _invert, spare=spare)
        boards.append(fake)
        return FakeStation(name, board, fake)

    yield make
    for fake in boards:
        fake.close()
