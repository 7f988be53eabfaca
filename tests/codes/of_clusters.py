"""Codes of clusters: schedulers and workers as a client of Dask sees them, in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scarseg.batch import cluster
from scarseg.io.tables.pseudonyms import KEY_VARIABLE
from tests.codes.makers import Bench, Said, provokes
from tests.cohorts import write

WORKER = "tcp://10.0.0.2:40000"


class Client:
    """A client of a scheduler with one worker, whose work is done at once, here."""

    def __init__(self, address: str, **_: object) -> None:
        self.scheduler = SimpleNamespace(address=address)

    def nthreads(self) -> dict[str, int]:
        return {WORKER: 1}

    def run(self, work: Callable[..., Any], *args: Any, workers: Sequence[str], **_: Any) -> Any:
        return {worker: work(*args) for worker in workers}

    def submit(self, work: Callable[..., Any], *args: Any, **_: object) -> Any:
        result = work(*args)
        return SimpleNamespace(
            status="finished",
            done=lambda: True,
            result=lambda timeout: result,
            add_done_callback=lambda call: call(None),
        )

    def cancel(self, *_: object, **__: object) -> None: ...
    def close(self, **_: object) -> None: ...


class LostClient(Client):
    """A client whose scheduler went away, and does not come back."""

    n_connected = 0

    def __init__(self, address: str, **_: object) -> None:
        super().__init__(address)
        LostClient.n_connected += 1
        if LostClient.n_connected > 1:
            raise TimeoutError

    def nthreads(self) -> dict[str, int]:
        raise OSError("gone")


def on_cluster(bench: Bench, client: type[Client], address: str = "10.0.0.1:8786") -> Said:
    """Run a batch of one study on a cluster."""
    bench.monkeypatch.setattr("distributed.Client", client)
    bench.monkeypatch.setenv(KEY_VARIABLE, "a key")
    bench.monkeypatch.setattr(cluster, "NO_WORKER_S", 0.0)
    write(bench.folder / "in", 1)
    return bench.batch(bench.folder / "in", "--scheduler", address, "--device", "cpu")


@provokes("W_CLUSTER_OPEN", r"tcp://10\.0\.0\.1:8786 is neither encrypted nor closed")
def open_network(bench: Bench) -> Said:
    return on_cluster(bench, Client)


@provokes("E_SCHEDULER", r"no scheduler file .*none\.json")
def no_scheduler(bench: Bench) -> Said:
    return on_cluster(bench, Client, str(Path(bench.folder, "none.json")))


@provokes("E_SCHEDULER_LOST", "--resume")
def lost_scheduler(bench: Bench) -> Said:
    bench.monkeypatch.setattr(cluster, "RECONNECT_S", 0.0)
    bench.monkeypatch.setattr(LostClient, "n_connected", 0)
    return on_cluster(bench, LostClient)


@provokes("E_CLUSTER_MISSING", r"pip install 'scarseg\[cluster\]'")
def no_extra(bench: Bench) -> Said:
    bench.monkeypatch.setitem(sys.modules, "distributed", None)
    write(bench.folder / "in", 1)
    return bench.batch(bench.folder / "in", "--scheduler", "127.0.0.1:9")


@provokes("E_WORKER_VERSION", r"has scarseg \S+, this program 9\.9|No worker is fit")
def other_version(bench: Bench) -> Said:
    ours = cluster.program_versions()
    other = (("scarseg", "9.9"), *ours[1:])
    bench.monkeypatch.setattr(cluster, "program_versions", lambda: other)
    return on_cluster(bench, Client)


@provokes("W_WORKER_BLIND", r"IM000\d\.dcm by the path that it has here")
def blind_worker(bench: Bench) -> Said:
    bench.monkeypatch.setattr(cluster, "digest_of", lambda _path: "another file")
    return on_cluster(bench, Client)
