"""Network namespaces with a wire to this machine's network each, so that processes have addresses of their own."""

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Networks:
    """here: this machine's address on all wires; addresses: of the namespaces `names`."""

    here: str
    names: tuple[str, ...]
    addresses: tuple[str, ...]

    def inside(self, name: str) -> tuple[str, ...]:
        """What a command is prefixed with to run there."""
        return "ip", "netns", "exec", name


@contextmanager
def distinct_networks(count: int) -> Iterator[Networks]:
    """So many namespaces. Raises OSError or CalledProcessError where there is no `ip`, or it may not make any."""
    here, names, addresses = "10.213.77.1", [], []
    try:
        _ip("addr", "replace", f"{here}/32", "dev", "lo")
        for number in range(2, count + 2):
            name, address = f"tn{os.getpid()}-{next(_NUMBERS)}", f"10.213.77.{number}"
            _ip("netns", "add", name)
            names.append(name)
            _ip("link", "add", _wire(name), "type", "veth", "peer", "name", "wire", "netns", name)
            _ip("link", "set", _wire(name), "up")
            _ip("route", "add", f"{address}/32", "dev", _wire(name), "src", here)
            for words in (
                ("addr", "add", f"{address}/32", "dev", "wire"),
                ("link", "set", "wire", "up"),
                ("link", "set", "lo", "up"),
                ("route", "add", f"{here}/32", "dev", "wire"),
                ("route", "add", "default", "via", here, "dev", "wire", "onlink"),
            ):
                _ip("-n", name, *words)
            addresses.append(address)
        yield Networks(here=here, names=tuple(names), addresses=tuple(addresses))
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
            subprocess.run(["ip", "link", "del", _wire(name)], check=False, capture_output=True)
        subprocess.run(["ip", "addr", "del", f"{here}/32", "dev", "lo"], check=False, capture_output=True)


def connect(name: str, *, up: bool) -> None:
    """Plug a namespace's wire in, or pull it out: nobody is told, packets just do not arrive."""
    state = ("up",) if up else ("down",)
    _ip("-n", name, "link", "set", "wire", *state)
    if up:
        _ip("-n", name, "route", "replace", "10.213.77.1/32", "dev", "wire")


def _wire(name: str) -> str:
    return f"w{name}"[:15]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
