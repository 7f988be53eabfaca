"""The connection of a client to the scheduler of a cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scarseg.batch.cluster_worker import WeightsFile
from scarseg.errors import InputError

ANSWER_S = 15.0
"""Seconds in which a scheduler must answer."""
_LOOPBACK = ("127.", "localhost", "[::1]")


@dataclass(frozen=True)
class Cluster:
    """A Dask scheduler and what its workers need.

    Args:
        address: host and port, with ``tcp://`` or ``tls://`` before it or nothing, or the path of
            a scheduler file (JSON).
        device: as for ``models.load``; with ``auto`` all workers must have the client's.
        weights: that workers load, and where they are here.
        say: prints a sentence.
    """

    address: str
    device: str = "auto"
    weights: tuple[tuple[WeightsFile, Path], ...] = ()
    say: Callable[[str], None] = field(default=lambda _text: None)


def cluster_missing() -> InputError:
    """Return the error of an installation without Dask."""
    message = "A cluster needs the extra: pip install 'scarseg[cluster]'."
    return InputError("E_CLUSTER_MISSING", message)


def location(address: str) -> dict[str, Any]:
    """Return a scheduler's address or file as Dask takes it.

    Raises:
        InputError: E_SCHEDULER, there is no such file.
    """
    if not address.endswith(".json"):
        return {"address": address if "://" in address else f"tcp://{address}"}
    if not Path(address).is_file():
        raise InputError("E_SCHEDULER", f"There is no scheduler file {address}.", address)
    return {"scheduler_file": address}


def connect(cluster: Cluster) -> Any:
    """Return a client of the scheduler.

    Raises:
        InputError: E_CLUSTER_MISSING, E_SCHEDULER.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise cluster_missing() from error
    for name in ("distributed", "tornado", "asyncio"):  # what matters is said here
        logging.getLogger(name).setLevel(logging.CRITICAL)
    place = location(cluster.address)
    try:
        return Client(**place, timeout=ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        message = f"No scheduler answers at {cluster.address}; start one with scarseg scheduler."
        raise InputError("E_SCHEDULER", message) from error


def close_client(client: Any) -> None:
    """Close a client; one that has lost its scheduler too."""
    with suppress(Exception):  # of a lost connection
        client.close(timeout=5)


def warn_of_open_network(client: Any, cluster: Cluster) -> None:
    """Print that others may use a scheduler that listens beyond this machine without TLS."""
    served = str(client.scheduler.address)
    if served.startswith("tcp://") and not served.removeprefix("tcp://").startswith(_LOOPBACK):
        cluster.say(
            f"W_CLUSTER_OPEN: {served} is neither encrypted nor closed: whoever reaches it can run"
            " programs on its machines. Use it on a network of your own, or tls://."
        )
