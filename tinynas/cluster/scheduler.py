"""`tinynas cluster start`: the scheduler, in this process until Ctrl-C."""

import asyncio
import signal
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from tinynas.cluster import dask
from tinynas.cluster.place import Place
from tinynas.errors import InfrastructureError


def run_scheduler(place: Place, port: int, say: Callable[[dict[str, Any]], None]) -> None:
    """Run a scheduler until SIGINT or SIGTERM: on all addresses with certificates, on loopback without. `say` is told
    its address, whether it is encrypted, and the link of Dask's dashboard, None where bokeh is not installed.

    Raises:
        ConfigError: a certificate is missing.
        InfrastructureError: the port is taken.
    """
    dask.configure()
    asyncio.run(_run(place, port, say))


async def _run(place: Place, port: int, say: Callable[[dict[str, Any]], None]) -> None:
    from distributed.scheduler import Scheduler

    encrypted, ended = place.certificates is not None, asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    bokeh = find_spec("bokeh") is not None
    try:
        scheduler = Scheduler(
            host="" if encrypted else "127.0.0.1",
            port=port,
            protocol="tls" if encrypted else "tcp",
            security=place.security("scheduler"),
            # It shows everything and asks nobody who they are.
            dashboard_address="127.0.0.1:8787" if bokeh else "127.0.0.1:0",
            dashboard=bokeh,
        )
        scheduler.handlers[dask.OFFERS] = lambda: _offers(scheduler)
        async with scheduler:
            link = f"http://127.0.0.1:{scheduler.http_server.port}/status" if bokeh else None
            say({"port": scheduler.port, "encrypted": encrypted, "dashboard": link})
            await ended.wait()
    except OSError as error:
        raise InfrastructureError(f"the scheduler cannot use port {port}: {error.strerror or error}") from error


def _offers(scheduler: Any) -> dict[str, Any]:
    """What the scheduler is, and of each place that a worker offers its name, address, resource and record."""
    from distributed.core import Status

    return {
        "facts": dask.facts(),
        "places": [
            {
                "name": str(each.name),
                "address": each.address,
                "resource": next(iter(each.resources), ""),
                "busy": len(each.processing) > 0,
                **each.extra.get(dask.RECORD, {}),
            }
            for each in scheduler.workers.values()
            if each.status == Status.running
        ],
    }
