"""Serve a Dask scheduler, or the workers of one, with the settings that runs of scarseg need."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from scarseg.batch.cluster_client import ANSWER_S, cluster_missing, location
from scarseg.errors import InputError
from scarseg.models import prepare_environment

MEMORY = "4GiB"
"""Memory of one worker; one that needs more is started anew, and its series has failed."""
START_S = 300.0
"""Seconds that a worker may take to start, on a machine that is busy."""


def serve_scheduler(host: str, port: int, file: Path | None, ready: Callable[[str], None]) -> None:
    """Serve a scheduler until this process is stopped.

    Args:
        host: address to listen on; empty: this machine alone.
        port: to listen on; 0: any.
        file: is written with the address, for workers and clients that share a folder.
        ready: called with the address.

    Raises:
        InputError: E_CLUSTER_MISSING; E_SCHEDULER, the port is taken.
    """
    distributed = _distributed()

    async def serve() -> None:
        scheduler = distributed.Scheduler(
            host=host or "127.0.0.1",
            port=port,
            dashboard=False,
            scheduler_file=None if file is None else str(file),
        )
        async with scheduler:
            ready(scheduler.address)
            await scheduler.finished()

    try:
        asyncio.run(serve())
    except OSError as error:
        message = f"No scheduler can listen on port {port}: {error.strerror or error}."
        raise InputError("E_SCHEDULER", message) from error


def serve_workers(address: str, n_processes: int, ready: Callable[[int], None]) -> None:
    """Serve workers, one process each, until the scheduler ends or this process is stopped.

    Raises:
        InputError: E_CLUSTER_MISSING; E_SCHEDULER, nobody answers.
    """
    distributed = _distributed()
    place = location(address)
    prepare_environment()
    prefix = socket.gethostname()

    async def serve() -> None:
        comm = await distributed.comm.connect(_address(place), timeout=ANSWER_S)
        await comm.close()
        async with AsyncExitStack() as stack:
            nannies = []
            for number in range(n_processes):
                nanny = distributed.Nanny(
                    scheduler_ip=place.get("address"),
                    scheduler_file=place.get("scheduler_file"),
                    nthreads=1,
                    memory_limit=MEMORY,
                    death_timeout=START_S,
                    worker_class=distributed.Worker,
                    name=f"{prefix}-{number}-{id(stack)}",
                    dashboard=False,
                )
                nannies.append(await stack.enter_async_context(nanny))
            ready(len(nannies))
            await asyncio.gather(*(one.finished() for one in nannies))

    try:
        asyncio.run(serve())
    except (OSError, TimeoutError, RuntimeError) as error:
        message = f"No scheduler answers at {address}."
        raise InputError("E_SCHEDULER", message) from error


def _address(place: dict[str, Any]) -> str:
    """Return the address of a scheduler, also where a file has it."""
    if "address" in place:
        return str(place["address"])
    try:
        return str(json.loads(Path(place["scheduler_file"]).read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{place['scheduler_file']} is no scheduler file."
        raise InputError("E_SCHEDULER", message) from error


def _distributed() -> Any:
    # The lines of Dask may hold the arguments of a task, and with them a patient.
    os.environ["DASK_LOGGING__DISTRIBUTED"] = "critical"
    try:
        import dask
        import distributed
    except ImportError as error:
        raise cluster_missing() from error
    # Not daemons: those may have no children, and the DICOM decoder is one.
    dask.config.set({"distributed.worker.daemon": False})
    return distributed
