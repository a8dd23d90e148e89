"""Where a cluster is: its file cluster.toml, the scheduler's address, the certificates."""

import re
import ssl
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from tinynas.config import Seconds
from tinynas.errors import ConfigError
from tinynas.settings import Section, checked, parse, read_text

Role = Literal["scheduler", "worker", "client"]
DEFAULT_FILE = Path("cluster") / "cluster.toml"
DEFAULT_PORT = 8786
_ADDRESS = re.compile(r"(?P<scheme>tcp|tls)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>\d{1,5})")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_WAIT_S = 600.0


class ClusterFile(Section):
    """cluster.toml. scheduler: the address at which workers and searches reach it. certificates: the folder with ca.pem
    and this machine's certificates, relative to the file. wait: how long a search waits for a scheduler, a worker or a
    board that is gone.
    """

    scheduler: str
    certificates: Path = Path()
    wait: Seconds = _WAIT_S


@dataclass(frozen=True, kw_only=True)
class Place:
    """A cluster's scheduler at `address`, and the folder of `certificates`, None where there are none.

    file: what a command names this cluster by; wait_s: as in the file.
    """

    address: str
    certificates: Path | None
    file: str
    wait_s: float = _WAIT_S

    @property
    def host(self) -> str:
        return _parts(self.address)[1]

    @property
    def port(self) -> int:
        return _parts(self.address)[2]

    def path(self, name: str) -> Path:
        """A file among the certificates. Raises ConfigError: it is not there."""
        path = (self.certificates or Path()) / name
        if not path.is_file():
            raise ConfigError(
                f"{path} is missing: copy it here from where tinynas cluster init wrote it, or make a cluster with that"
            )
        return path

    def security(self, role: Role) -> Any:
        """What Dask is given for a process of this role. Raises ConfigError: a certificate is missing."""
        from distributed.security import Security

        if self.certificates is None:
            return Security(require_encryption=False)
        roles = (role, "client") if role == "worker" else (role,)
        own = {
            f"tls_{each}_{what}": str(self.path(f"{role}.{end}"))
            for each in roles
            for what, end in (("cert", "pem"), ("key", "key"))
        }
        return Security(
            require_encryption=True, tls_ca_file=str(self.path("ca.pem")), tls_min_version=ssl.TLSVersion.TLSv1_3, **own
        )

    def context(self, role: Role) -> ssl.SSLContext | None:
        """What a connection from a process of this role is made with. Raises ConfigError as `security`."""
        if self.certificates is None:
            return None
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self.path("ca.pem")))
            context.load_cert_chain(str(self.path(f"{role}.pem")), str(self.path(f"{role}.key")))
        except ssl.SSLError as error:
            raise ConfigError(f"the certificates in {self.certificates} cannot be used: {error.reason}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # Machines are known by who signed for them, not by their names, which change in a lab.
        context.check_hostname = False
        return context


def require_installed() -> None:
    """Raises ConfigError: what a cluster needs is not installed."""
    lacking = [name for name in ("distributed", "cryptography") if find_spec(name) is None]
    if lacking:
        raise ConfigError(f"a cluster needs {' and '.join(lacking)}: pip install 'tinynas[cluster]'")


def find_place(given: str | None, address: str | None = None) -> Place:
    """The cluster that `given`, a file or an address, names; `address` overrides the file's. A `tls://` address takes
    its certificates from cluster/cluster.toml.

    Raises:
        ConfigError: the file cannot be read, or an address is none.
        ConfigError: an address is not encrypted and leads to another machine.
        ConfigError: the extra `cluster` is not installed.
    """
    require_installed()
    if given is not None and "://" in given:
        given, address = None, given
    if address is not None:
        _parts(address)
    if address is not None and given is None and address.startswith("tcp://"):
        _require_loopback(address)
        return Place(address=address, certificates=None, file=address)
    path = Path(given) if given is not None else DEFAULT_FILE
    if given is None and not path.is_file():
        raise ConfigError(
            f"{address or 'a cluster'} needs certificates, and {path} is not here: name the cluster's file with "
            "--cluster, or make one with tinynas cluster init"
        )
    text = read_text(path)
    file = checked(ClusterFile, parse(text, path), path, text)
    address = address or file.scheduler
    if _parts(address)[0] == "tcp":
        raise ConfigError(f"cluster {path}: {address} is not encrypted: write tls://, or use {address} without a file")
    return Place(address=address, certificates=path.parent / file.certificates, file=str(path), wait_s=file.wait)


def _require_loopback(address: str) -> None:
    host = _parts(address)[1]
    if host not in _LOOPBACK:
        raise ConfigError(
            f"{address} is another machine and not encrypted, so that anybody on the way could run code: make "
            "certificates with tinynas cluster init, and use tls://"
        )


def _parts(address: str) -> tuple[str, str, int]:
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 <= int(match["port"]) < 65536:
        raise ConfigError(f"{address!r} is no address of a scheduler: write tls://HOST:{DEFAULT_PORT}")
    return match["scheme"], match["host"], int(match["port"])
