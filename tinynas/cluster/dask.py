"""How this project uses Dask: its settings, its logs, and what makes two of its processes fit together."""

import functools
import hashlib
import json
import logging
import platform
import ssl
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from tinynas import __version__, fingerprint
from tinynas.cluster.place import Place, Role
from tinynas.errors import ConfigError, InfrastructureError

# The scheduler's handlers and the workers' record beside Dask's own.
OFFERS = "tinynas_offers"
RECORD = "tinynas"
_PROBE_S = 5.0

_SETTINGS: dict[str, Any] = {
    "distributed": {
        "scheduler": {
            # Dangerous work runs in children, so that what kills a worker twice is no accident.
            "allowed-failures": 1,
            # Drivers say earlier, and better, what is missing.
            "no-workers-timeout": "1 hour",
            # A worker that was stopped is given up after this to twice this; one that lives is heard twice a second.
            "worker-ttl": "12s",
        },
        "worker": {"profile": {"enabled": False}, "http": {"routes": []}},
        "admin": {"large-graph-warning-threshold": "1GB"},
    }
}


def configure() -> None:
    """Lay our settings over Dask's defaults, under those of the user's environment. Before `distributed` is used."""
    import dask.config
    import distributed  # noqa: F401

    dask.config.update_defaults(_SETTINGS)
    if dask.config.get("logging.distributed", None) is None:
        # What matters of connections that break is said by us.
        for name in ("distributed", "tornado.application", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


# Asked for once a second by each search, and hundreds of files are looked through for them.
@functools.cache
def facts() -> Mapping[str, str]:
    """What must be the same in all processes of a cluster: who differs would work out something else."""
    return {
        "tinynas": __version__,
        "its sources": fingerprint.program()[:16],
        "its boards": fingerprint.manifests()[:16],
        "Python": platform.python_version(),
        "distributed": version("distributed"),
        **fingerprint.libraries(),
    }


def arithmetic() -> str:
    """A digest of what sums of floats depend on, the CPU included."""
    return hashlib.sha256(json.dumps(fingerprint.arithmetic(), sort_keys=True).encode()).hexdigest()[:16]


def require_same(theirs: Mapping[str, str], who: str) -> None:
    """Raises ConfigError: `who` has another version of something; the message names both."""
    ours = facts()
    differing = [
        f"{name} {ours.get(name, 'none')} here, {theirs.get(name, 'none')} there"
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    ]
    if differing:
        raise ConfigError(f"{who} does not fit this tinynas: {'; '.join(differing)}: install the same on both")


def probe(place: Place, role: Role) -> None:
    """Try to reach the scheduler at once, where Dask would try for half a minute.

    Raises:
        InfrastructureError: nothing answers there.
        ConfigError: it does not take this certificate, has a foreign one, or is encrypted where the address is not.
    """
    import socket

    context, start = place.context(role), f"start one with tinynas cluster start --cluster {place.file}"
    try:
        with socket.create_connection((place.host.strip("[]"), place.port), timeout=_PROBE_S) as plain:
            if context is None:
                _require_plain(plain, place)
                return
            with context.wrap_socket(plain) as connection:
                # A certificate that is refused shows at the first byte, which a scheduler sends unasked.
                if not connection.recv(1):
                    raise ConnectionResetError("it closed the connection")
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(
            f"the scheduler at {place.address} is none of this cluster ({error.verify_message}): its certificate is of "
            f"another tinynas cluster init than those in {place.certificates}"
        ) from error
    except ssl.SSLError as error:
        raise ConfigError(
            f"the scheduler at {place.address} does not take the certificate in {place.certificates} "
            f"({error.reason or error}): it is of another tinynas cluster init, or there is no TLS on that port"
        ) from error
    except TimeoutError as error:
        raise InfrastructureError(f"the scheduler at {place.address} does not answer: {start}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InfrastructureError(f"there is no scheduler at {place.address} ({reason}): {start}") from error


def _require_plain(plain: Any, place: Place) -> None:
    """A scheduler without certificates speaks first, one with them waits for a handshake."""
    plain.settimeout(0.5)
    try:
        if plain.recv(1):
            return
    except TimeoutError:
        pass
    raise ConfigError(
        f"the scheduler at {place.address} does not speak without encryption: name the cluster's file with --cluster"
    )
