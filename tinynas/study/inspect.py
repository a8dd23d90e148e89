"""What `tinynas bench` does: look at a lab's boards, try them, hold them and let them go."""

import json
import os
import re
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from tinynas import paths
from tinynas.boards import board_names, load_board, nearest
from tinynas.compiler import compile_network
from tinynas.deploy.build import Image, build_empty
from tinynas.deploy.desks import held_desk
from tinynas.device.bench import journal_in, station_for
from tinynas.device.check import Finding, check_board, tried
from tinynas.device.identity import UsbPort, identity_of, usb_ports
from tinynas.device.inventory import BoardEntry, Inventory, load_inventory
from tinynas.device.journal import Journal, Kind
from tinynas.device.memory_truth import STEP_BYTES
from tinynas.device.station import Station
from tinynas.errors import BenchError, ConfigError
from tinynas.study.memory import memory_truth
from tinynas.study.single import read_model

_FOLDER = "bench"


def scan() -> str:
    """A bench.toml that lists every USB serial port here; what no manifest knows is in comments."""
    ports = usb_ports()
    kinds = [load_board(name) for name in board_names()]
    blocks = ["# Proposed by tinynas bench scan. Name the boards, then try them: tinynas bench check"]
    numbers: Counter[str] = Counter()
    for port in ports:
        fits = [kind.name for kind in kinds if port.usb in {usb.upper() for usb in kind.usb}]
        stem = fits[0] if fits else "unknown"
        numbers[stem] += 1
        blocks.append(_proposed(f"{stem}-{numbers[stem]}", port, ports, fits))
    if not ports:
        blocks.append("# No USB serial port is here: connect a board and scan again.")
    return "\n\n".join(blocks) + "\n"


def _proposed(name: str, port: UsbPort, ports: list[UsbPort], fits: list[str]) -> str:
    identity = identity_of(port, ports)
    seen = re.sub(r"[^ -~]", "?", f"{port.device}, {port.usb}, {port.description}")
    lines = [f"[boards.{name}]", f"board = {json.dumps(fits[0] if fits else 'NAME')}"]
    for key, value in (("usb", identity.serial), ("path", identity.path), ("interface", identity.interface)):
        if value is not None:
            lines.append(f"{key} = {json.dumps(value)}")
    lines.append('# power_cycle = "uhubctl -a cycle -l LOCATION -p PORT"')
    if not fits:
        lines = [f"# {line.removeprefix('# ')}" for line in lines]
    others = f"; may also be {', '.join(fits[1:])}" if fits[1:] else ""
    return "\n".join([f"# {seen}{'' if fits else ': no manifest has this USB id'}{others}", *lines])


def overview(file: Path) -> list[dict[str, Any]]:
    """Each listed board: where it is, its state (free, in use, quarantine, reserve or absent) and its record.

    Raises:
        ConfigError: the file is wrong.
    """
    inventory = load_inventory(file)
    journal = journal_in(_directory())
    holds = journal.holds()
    rows = []
    for name, entry in inventory.boards.items():
        station = _station(name, inventory)
        state, reason, port = _state(station, entry)
        hold = holds.get(name)
        if hold is not None:
            state, reason = hold.kind, hold.reason
        record = asdict(journal.record(name))
        rows.append({"name": name, "board": entry.board, "state": state, "reason": reason, "port": port, **record})
    return rows


def check(file: Path, names: list[str], model: Path | None = None) -> list[dict[str, Any]]:
    """Try the boards of these names, or all of them: flash, reset, power cycle, and the smallest RAM in which the
    network `model` (a .tflite; None: one that comes with tinynas) runs. A board in use is left alone.

    Raises:
        ConfigError: the file is wrong, has no board of that name, or `model` cannot be read.
        CandidateError: the compiler refuses the network.
        LimitError: the network does not fit a board.
        ToolchainError: no compiler, PlatformIO or emulator.
    """
    inventory = load_inventory(file)
    for name in names:
        _entry(inventory, name, file)
    tflite = read_model(model or paths.FIRMWARE / "selftest" / "known.tflite")
    compile_network(tflite)
    journal = journal_in(_directory())
    found = []
    for name in names or inventory.boards:
        station = _station(name, inventory)
        with held_desk() as desk:
            image = build_empty(station.board, desk)
        row: dict[str, Any] = {"name": name, "board": station.board.name, "findings": []}
        if station.claim():
            try:
                findings = check_board(station, image)
                if all(finding.passed is not False for finding in findings):
                    findings.append(_tried_memory(station, tflite, journal))
            finally:
                station.power_off()
                station.release()
            kinds: dict[str, Kind] = {"flash": "flash", "power cycle": "power_cycle"}
            for finding in findings:
                if finding.passed and finding.what in kinds:
                    journal.note(name, kinds[finding.what], seconds=finding.seconds, detail=image.build_id)
            row["findings"] = [asdict(finding) for finding in findings]
            row["passed"] = all(finding.passed is not False for finding in findings)
        else:
            row |= {"passed": None, "reason": _busy(station)}
        found.append(row)
    return found


def _tried_memory(station: Station, tflite: bytes, journal: Journal) -> Finding:
    lacks = "an Arduino core lays out its RAM, of which nothing can be taken away"
    return tried("memory", lambda: _memory(station, tflite, journal), lacks=lacks)


def _memory(station: Station, tflite: bytes, journal: Journal) -> str | None:
    """Find out how much RAM a network takes, and say so beside the prediction."""

    def flashed(image: Image, seconds: float) -> None:
        journal.note(station.name, "flash", seconds=seconds, detail=image.build_id)

    truth = memory_truth(station, tflite, flashed)
    if truth is None:
        return None
    share = truth.error_bytes / truth.smallest_bytes
    return (
        f"a network runs in {truth.smallest_bytes:,} B of RAM, firmware included, and not in {STEP_BYTES} B less; "
        f"{truth.predicted_bytes:,} B were predicted, {truth.error_bytes:+,} B ({share:+.2%})"
    )


def power_cycle(file: Path, name: str) -> None:
    """Cut a board's power for a moment.

    Raises:
        ConfigError: there is no such board, or no command for it.
        BenchError: it is in use, or the command fails.
    """
    inventory = load_inventory(file)
    _entry(inventory, name, file)
    station = _station(name, inventory)
    if not station.claim():
        raise BenchError(f"board {name} is not touched: {_busy(station)}")
    try:
        started = time.monotonic()
        if not station.power_cycle():
            raise ConfigError(f"config {file}: boards.{name} has no power_cycle command")
        journal_in(_directory()).note(name, "power_cycle", seconds=time.monotonic() - started)
    finally:
        station.power_off()
        station.release()


def hold(file: Path, name: str, kind: Literal["quarantine", "reserve", "release"], reason: str) -> None:
    """Keep searches off a board, or let them have it again. Who measures on it now ends that measurement first.

    Raises:
        ConfigError: there is no such board.
    """
    _entry(load_inventory(file), name, file)
    journal_in(_directory()).note(name, kind, detail=reason)


def _directory() -> Path:
    return paths.home() / _FOLDER


def _entry(inventory: Inventory, name: str, file: Path) -> BoardEntry:
    if name not in inventory.boards:
        raise ConfigError(f"config {file} lists no board {name!r}: {nearest(name, list(inventory.boards))}")
    return inventory.boards[name]


def _station(name: str, inventory: Inventory) -> Station:
    return station_for(name, inventory.boards[name], inventory.limits, _directory())


def _state(station: Station, entry: BoardEntry) -> tuple[str, str | None, str | None]:
    """State, reason and port."""
    port = None
    if entry.link != "emulator":
        try:
            port = station.port
        except BenchError as error:
            return "absent", str(error), None
        if "://" not in port and os.name == "posix" and not Path(port).exists():
            return "absent", f"{port} does not exist", None
    return ("in use", _busy(station), port) if station.in_use() else ("free", None, port)


def _busy(station: Station) -> str:
    holder = station.holder()
    return "in use" if holder is None else f"in use by process {holder.pid}, lease {holder.epoch}"
