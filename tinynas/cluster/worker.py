"""`tinynas worker`: this process's training slots and boards, offered to a scheduler until Ctrl-C.

Each slot is a Dask worker of its own within the process. When the scheduler has given one up, or is gone, what the slot
was doing is called off where that can be, its result goes nowhere, and it offers itself again as soon as a scheduler
answers.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinynas.cluster import dask, depot
from tinynas.cluster.place import Place
from tinynas.cluster.slots import SLOTS, Boards, BoardSlot, Slot, TrainingSlot
from tinynas.device.bench import Bench
from tinynas.errors import InfrastructureError

_log = logging.getLogger(__name__)
_LOOK_S = 0.5
_RETRY_S = 1.0


def run_worker(
    place: Place, *, train: int, benches: Mapping[str, Bench], say: Callable[[dict[str, Any]], None]
) -> None:
    """Offer `train` training slots and the boards of `benches`, by kind, until SIGINT or SIGTERM. `say` is told once
    what is offered under which name.

    Raises:
        InfrastructureError: there is no scheduler.
        ConfigError: it does not take this worker's certificate, or is of another version.
    """
    dask.configure()
    dask.probe(place, "worker")
    host = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    slots: list[Slot] = [TrainingSlot(host) for _ in range(train)]
    for kind, bench in benches.items():
        boards = Boards(host, kind, bench)
        slots += [BoardSlot(boards, index) for index in range(bench.size)]
    try:
        asyncio.run(_run(place, host, slots, say))
    finally:
        for slot in slots:
            slot.close()


async def _run(place: Place, host: str, slots: Sequence[Slot], say: Callable[[dict[str, Any]], None]) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await _require_same(place)
    names = {f"{host}/{slot.resource}/{index}": slot for index, slot in enumerate(slots)}
    SLOTS.update(names)
    say({"host": host, "scheduler": place.address, "offers": [slot.resource for slot in slots]})
    offering = [asyncio.create_task(_offer(place, host, name, slot, ended)) for name, slot in names.items()]
    waiting = asyncio.create_task(ended.wait())
    done, _ = await asyncio.wait([waiting, *offering], return_when=asyncio.FIRST_COMPLETED)
    ended.set()
    await asyncio.gather(*offering, return_exceptions=True)
    for task in done - {waiting}:
        task.result()


async def _require_same(place: Place) -> None:
    """Raises ConfigError: the scheduler is of another version. OSError: it is gone."""
    from distributed.core import rpc

    security = place.security("worker")
    async with rpc(place.address, connection_args=security.get_connection_args("worker")) as scheduler:
        answer = await asyncio.wait_for(getattr(scheduler, dask.OFFERS)(), timeout=10)
    dask.require_same(answer["facts"], f"the scheduler at {place.address}")


async def _offer(place: Place, host: str, name: str, slot: Slot, ended: asyncio.Event) -> None:
    """Be one Dask worker after the other until `ended`. Raises ConfigError: the scheduler is of another version now."""
    lost = False
    while not ended.is_set():
        try:
            if slot.available:
                await asyncio.to_thread(dask.probe, place, "worker")
                await _require_same(place)
                if lost:
                    _log.warning("%s: offered again to %s", name, place.address)
                await _serve(place, host, name, slot, ended)
                lost = not ended.is_set() and slot.available
                if lost:
                    _log.warning("%s: the connection to %s is lost, what it did is given up", name, place.address)
        except (InfrastructureError, OSError, TimeoutError, RuntimeError, ValueError) as error:
            _log.info("%s: %s", name, error)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), timeout=_RETRY_S)


async def _serve(place: Place, host: str, name: str, slot: Slot, ended: asyncio.Event) -> None:
    """Be a Dask worker until it closes, its boards are held, or `ended`."""
    from distributed.core import Status
    from distributed.worker import Worker

    record = {"host": host, "arithmetic": dask.arithmetic()}
    worker = Worker(
        place.address,
        nthreads=1,
        name=name,
        resources={slot.resource: 1},
        security=place.security("worker"),
        protocol=place.address.partition(":")[0],
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        death_timeout=30,
        startup_information={dask.RECORD: lambda _: record},
    )
    worker.handlers[depot.RECEIVE] = depot.receive
    async with worker:
        while worker.status == Status.running and not ended.is_set():
            if not slot.available and not worker.active_keys:
                break
            if _is_idle_work(worker):
                await asyncio.to_thread(slot.call_off)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(worker.finished(), timeout=_LOOK_S)
        await asyncio.to_thread(slot.call_off)


def _is_idle_work(worker: Any) -> bool:
    """Whether the task that its thread is busy with was released by the scheduler: nobody waits for it any more."""
    running = [worker.state.tasks.get(key) for key in list(worker.active_keys)]
    return any(task is None or task.state == "cancelled" for task in running)
