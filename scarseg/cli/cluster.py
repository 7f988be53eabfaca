"""``scarseg scheduler`` and ``scarseg worker``, and the cluster of ``--scheduler``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.cli.console import DONE, counted, say
from scarseg.cli.options import add_jobs, whole
from scarseg.cli.parser import Commands, examples

if TYPE_CHECKING:
    from scarseg.batch.cluster_client import Cluster
    from scarseg.batch.cluster_worker import WeightsByHash

PORT = 8786
"""The port of Dask's own scheduler."""


def add_scheduler_command(commands: Commands) -> None:
    """Add ``scarseg scheduler``."""
    scheduler = commands.add_parser(
        "scheduler",
        help="hand out work to the workers of a cluster",
        description="Serve a Dask scheduler until it is stopped (Ctrl-C). Whoever reaches it can"
        " run programs on its machines: use a network of your own, or Dask's settings for TLS.",
        epilog=examples(
            "scarseg scheduler --host 192.168.1.10", "scarseg scheduler --file shared/cluster.json"
        ),
    )
    scheduler.add_argument(
        "--host", default="", metavar="H", help="address to listen on (default: this machine alone)"
    )
    scheduler.add_argument(
        "--port",
        type=whole(0, 65535),
        default=PORT,
        metavar="N",
        help=f"0: any that is free (default: {PORT})",
    )
    scheduler.add_argument(
        "--file", type=Path, metavar="FILE.json", help="write the address here, on a shared folder"
    )
    scheduler.set_defaults(run=_scheduler)


def add_worker(commands: Commands) -> None:
    """Add ``scarseg worker``."""
    worker = commands.add_parser(
        "worker",
        help="work for a scheduler, on this machine",
        description="Serve workers for a scheduler; they end with it. The images must lie under"
        " the same paths as on the machine that gives the work.",
        epilog=examples(
            "scarseg worker 192.168.1.10:8786 --jobs 4", "scarseg worker shared/cluster.json"
        ),
    )
    worker.add_argument("address", metavar="ADDRESS|FILE", help="of the scheduler")
    add_jobs(worker)
    worker.set_defaults(run=_worker)


def cluster_of(
    options: argparse.Namespace, segmenter: Path | str | None, before: Cluster | None = None
) -> tuple[WeightsByHash, Cluster]:
    """Return the loader of models by hash, and the cluster of ``--scheduler`` with their weights.

    Args:
        segmenter: weights, as for ``models.load``.
        before: the cluster of earlier models of the same run.
    """
    from scarseg.batch.cluster_client import Cluster
    from scarseg.batch.cluster_worker import WeightsByHash, WeightsFile
    from scarseg.models.weights import resolve_weights

    found = [resolve_weights(segmenter, "segmenter")]
    if options.detector != "none":
        found.append(resolve_weights(options.detector, "detector"))
    files = [(WeightsFile.of(one), one.path) for one in found]
    cluster = before or Cluster(options.scheduler, options.device, say=say)
    cluster = replace(cluster, weights=tuple(dict.fromkeys((*cluster.weights, *files))))
    detector = files[1][0] if len(files) > 1 else None
    return WeightsByHash(files[0][0], detector, options.device), cluster


def _scheduler(options: argparse.Namespace) -> int:
    from scarseg.batch.cluster_service import serve_scheduler

    def ready(address: str) -> None:
        print(address, flush=True)

    try:
        serve_scheduler(options.host, options.port, options.file, ready)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("The scheduler has ended, and its workers with it.") from None
    return DONE


def _worker(options: argparse.Namespace) -> int:
    from scarseg.batch.cluster_service import serve_workers

    try:
        serve_workers(
            options.address, options.jobs, lambda n: say(f"{counted(n, 'worker')} at work")
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("The workers have ended; others take their series.") from None
    return DONE
