"""Which boards a worker offers, from what its user names."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tinynas import paths
from tinynas.boards import Board, board_names, load_board, nearest
from tinynas.device.bench import Bench, open_bench
from tinynas.device.drift import DriftGuard
from tinynas.device.identity import UsbPort, identity_of, ports_here, usb_ports
from tinynas.device.inventory import CHECK_EVERY, load_inventory
from tinynas.device.station import SerialStation
from tinynas.errors import ConfigError, NoBoardError


@contextmanager
def open_boards(names: Sequence[str], file: Path | None) -> Iterator[Mapping[str, Bench]]:
    """The boards that `names` stand for, by their kind, each kind on a bench.

    With a bench's `file` they are names in it, and without any all of its boards. Otherwise each is the USB serial
    number of a board, or the name of a manifest: an emulated board, or the first ones of that kind that are attached.

    Raises:
        ConfigError: a name is none of these, or a serial number's board may be of several kinds.
        NoBoardError: a board is not attached.
        ToolchainError: a board is emulated and QEMU is not installed.
    """
    directory = paths.home() / "bench"
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if file is not None:
            kinds = _listed(names, file)
            yield {
                kind: stack.enter_context(open_bench(load_board(kind), directory=directory, file=file, names=members))
                for kind, members in kinds.items()
            }
            return
        benches: dict[str, Bench] = {}
        counted = Counter(name for name in names if name in board_names())
        for kind, count in counted.items():
            bench = stack.enter_context(open_bench(load_board(kind), count=count, directory=directory))
            if bench.size < count:
                raise NoBoardError(
                    f"{count} boards {kind} are offered and {bench.size} attached; ports: {ports_here()}"
                )
            benches[kind] = bench
        for kind, found in _by_serial([name for name in names if name not in counted], counted).items():
            stations = [SerialStation(load_board(kind), identity_of(port, usb_ports()), directory) for port in found]
            benches[kind] = stack.enter_context(Bench(stations, drift=DriftGuard(every=CHECK_EVERY)))
        yield benches


def _listed(names: Sequence[str], file: Path) -> dict[str, list[str]]:
    entries = load_inventory(file).boards
    for name in names:
        if name not in entries:
            raise ConfigError(f"config {file} lists no board {name!r}: {nearest(name, sorted(entries))}")
    kinds: dict[str, list[str]] = {}
    for name in names or entries:
        kinds.setdefault(entries[name].board, []).append(name)
    return kinds


def _by_serial(serials: Sequence[str], taken: Mapping[str, int]) -> dict[str, list[UsbPort]]:
    """Kind -> the ports of boards with these USB serial numbers."""
    ports, kinds = usb_ports(), dict[str, list[UsbPort]]()
    for serial in serials:
        port = next((each for each in ports if each.serial == serial), None)
        if port is None:
            raise ConfigError(
                f"--board {serial!r} is no manifest ({nearest(serial, board_names())}), and no USB serial number of "
                f"what is attached; ports here: {ports_here()}"
            )
        kind = _kind_of(port)
        if kind.name in taken:
            raise ConfigError(f"--board {kind.name} and --board {serial}: name boards of one kind in one way")
        kinds.setdefault(kind.name, []).append(port)
    return kinds


def _kind_of(port: UsbPort) -> Board:
    found = [board for board in map(load_board, board_names()) if port.usb in {usb.upper() for usb in board.usb}]
    if len(found) != 1:
        kinds = ", ".join(board.name for board in found) or "no board"
        raise ConfigError(
            f"what has USB serial number {port.serial} is {port.usb}, the id of {kinds}: say which it is in a bench's "
            "file, and name that with --bench"
        )
    return found[0]
