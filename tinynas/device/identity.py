"""Which port is which board. Ports are renamed whenever one is plugged in; a board's USB serial number stays."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serial.tools import list_ports

from tinynas.errors import BenchError, WrongBoardError

# pyserial's location: the USB path, and where a device has several interfaces also which: "1-1.4:1.2".
_LOCATION = re.compile(r"(?P<path>[^:]+)(?::[^.]*\.(?P<interface>\d+))?")


@dataclass(frozen=True, kw_only=True)
class UsbPort:
    """A serial port of a USB device that is attached now. `device` is its name until something is plugged in or out.

    usb: `VID:PID`, hexadecimal, as in a manifest; path: where it is plugged in, `1-1.4`; interface: the number of the
    port's interface, None where the device has one alone or the system does not say.
    """

    device: str
    usb: str
    serial: str | None
    path: str | None
    interface: int | None
    description: str


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A board's USB serial number, or where it has none the USB path that it is plugged into, and the interface."""

    serial: str | None = None
    path: str | None = None
    interface: int | None = None

    def __str__(self) -> str:
        name = f"USB serial number {self.serial}" if self.serial else f"USB path {self.path}"
        return name if self.interface is None else f"{name}, interface {self.interface}"

    @property
    def key(self) -> str:
        """What locks and folders of this physical board are named after."""
        name = f"usb-{self.serial}" if self.serial else f"usb-at-{self.path}"
        return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")

    def find(self) -> str:
        """The name of the board's port as it is now.

        Raises:
            BenchError: it is not attached, or has several ports and no interface is given.
            WrongBoardError: two devices have the same serial number.
        """
        found = [port for port in usb_ports() if self._matches(port)]
        if len(found) == 1:
            return found[0].device
        names = ", ".join(port.device for port in found)
        if not found:
            raise BenchError(f"no board with {self} is attached; ports here: {ports_here()}")
        if len({port.path for port in found}) > 1:
            raise WrongBoardError(
                f"several boards have {self}: {names}: none of them is touched; unplug one, or give each its USB path"
            )
        raise BenchError(
            f"the board with {self} has several ports, {names}: say which with interface = "
            f"{' or '.join(str(port.interface) for port in found)}"
        )

    def _matches(self, port: UsbPort) -> bool:
        same = port.serial == self.serial if self.serial else port.path == self.path
        return same and self.interface in {None, port.interface}


def usb_ports() -> list[UsbPort]:
    """The serial ports of all USB devices here, sorted by name."""
    return sorted((_usb_port(info) for info in list_ports.comports() if info.vid), key=lambda port: port.device)


def identity_of(port: UsbPort, others: Sequence[UsbPort]) -> Identity:
    """What tells `port` from all `others`: cheap adapters share one serial number, or have none."""
    same = [each for each in others if each.serial == port.serial and each.device != port.device]
    interface = port.interface if any(each.path == port.path for each in others if each.device != port.device) else None
    if port.serial and all(each.path == port.path for each in same):
        return Identity(serial=port.serial, interface=interface)
    return Identity(path=port.path, interface=interface)


def ports_here() -> str:
    """All serial ports, for a message."""
    return ", ".join(sorted(f"{info.device} ({info.description})" for info in list_ports.comports())) or "none"


def _usb_port(info: Any) -> UsbPort:
    place = _LOCATION.fullmatch(info.location or "")
    return UsbPort(
        device=str(info.device),
        usb=f"{info.vid:04X}:{info.pid:04X}",
        serial=info.serial_number or None,
        path=place["path"] if place else None,
        interface=int(place["interface"]) if place and place["interface"] else None,
        description=str(info.description),
    )
