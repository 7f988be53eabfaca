"""Run work on the workers of a Dask scheduler, with the results that one process would have.

The client hands out items itself: at most two per worker at a time, each to a worker that has
proved to be fit. States of an item: waiting, in flight on one worker, done. An item whose worker
is lost waits again, and has the next worker for itself, so that one that kills its workers costs
no other item more than a repetition; after ``ALLOWED_LOSSES`` lost workers it has failed. States
of a worker: unknown, fit, left out (another version, or blind for the client's files).
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from scarseg.batch.cluster_worker import (
    Blind,
    Surroundings,
    WeightsFile,
    WorkerFacts,
    describe,
    digest_of,
    program_versions,
    receive_weights,
    run_item,
)
from scarseg.batch.process_pool import Died
from scarseg.errors import InputError
from scarseg.io.tables.pseudonyms import key_text

Item = TypeVar("Item")
Result = TypeVar("Result")

ANSWER_S = 15.0
"""Seconds in which a scheduler must answer."""
NO_WORKER_S = 10.0
"""Seconds without a fit worker after which that is said."""
RECONNECT_S = 60.0
"""Seconds for which a lost scheduler is waited for."""
IN_FLIGHT = 2
"""Items of a worker at a time: one it works on, one that waits there."""
ALLOWED_LOSSES = 3
_POLL_S = 0.25
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


def run_on_cluster(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    cluster: Cluster,
    first_file: Callable[[Item], str] = lambda _item: "",
) -> Generator[tuple[Item, Result | Died], None, None]:
    """Yield every item with its result, in the order in which results come.

    Args:
        work: called in a process of a worker; it, the items and the results are pickled.
        items: taken as workers become free, never all at once.
        first_file: path of a file that a worker must see to work on an item; empty: none.

    Raises:
        InputError: E_CLUSTER_MISSING, the extra is not installed; E_SCHEDULER, nobody answers;
            E_WORKER_VERSION, no worker is fit; E_SCHEDULER_LOST.
        Exception: whatever ``work`` raises.
    """
    with _connected(cluster) as client:
        yield from _Run(client, cluster, work, items, first_file).results()


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


@contextmanager
def _connected(cluster: Cluster) -> Generator[Any, None, None]:
    try:
        from distributed import Client
    except ImportError as error:
        raise cluster_missing() from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said here
    place = location(cluster.address)
    try:
        client = Client(**place, timeout=ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        message = f"No scheduler answers at {cluster.address}; start one with scarseg scheduler."
        raise InputError("E_SCHEDULER", message) from error
    served = str(client.scheduler.address)
    if served.startswith("tcp://") and not served.removeprefix("tcp://").startswith(_LOOPBACK):
        cluster.say(
            f"W_CLUSTER_OPEN: {served} is neither encrypted nor closed: whoever reaches it can run"
            " programs on its machines. Use it on a network of your own, or tls://."
        )
    try:
        yield client
    finally:
        client.close(timeout=5)


@dataclass
class _Flight:
    """An item on its way: its future and its worker."""

    number: int
    future: Any
    worker: str


class _Run:
    """One run of items on a cluster."""

    def __init__(
        self,
        client: Any,
        cluster: Cluster,
        work: Callable[[Any], Any],
        items: Iterable[Any],
        first_file: Callable[[Any], str],
    ) -> None:
        self.client, self.cluster, self.work = client, cluster, work
        self.first_file = first_file
        self.waiting = iter(items)
        self.again: deque[int] = deque()
        """Numbers of items whose worker was lost or left out."""
        self.open: dict[int, Any] = {}
        self.losses: dict[int, int] = {}
        self.flights: list[_Flight] = []
        self.fit: set[str] = set()
        self.left_out: dict[str, str] = {}
        self.numbers = itertools.count()
        self.name = uuid.uuid4().hex[:12]
        self.changed = threading.Event()
        self.key = key_text()
        self.folder = str(Path.cwd())
        self.facts: WorkerFacts | None = None

    def results(self) -> Generator[tuple[Any, Any], None, None]:
        without_since: float | None = time.monotonic()
        said = False
        try:
            while True:
                self._find_workers()
                for flight in [one for one in self.flights if one.worker not in self.fit]:
                    yield from self._lose(flight)
                if self.fit:
                    without_since, said = None, False
                    self._hand_out()
                    if not self.flights and not self.open:
                        return
                elif without_since is None:
                    without_since = time.monotonic()
                elif not said and time.monotonic() - without_since > NO_WORKER_S:
                    said = True
                    self._refuse_without_workers()
                self.changed.wait(_POLL_S)
                self.changed.clear()
                for flight in [one for one in self.flights if one.future.done()]:
                    yield from self._finish(flight)
        finally:
            self.client.cancel([one.future for one in self.flights], force=True)

    def _find_workers(self) -> None:
        """Find which workers there are, and check the new ones.

        Raises:
            InputError: E_SCHEDULER_LOST.
        """
        lost_at = time.monotonic()
        while True:
            try:
                here = set(self.client.nthreads())
                break
            except (OSError, ValueError, TimeoutError) as error:
                if time.monotonic() - lost_at > RECONNECT_S or self.client.status == "closed":
                    message = "The scheduler is lost; start it again, and go on with --resume."
                    raise InputError("E_SCHEDULER_LOST", message) from error
                time.sleep(_POLL_S)
        self.fit &= here
        new = here - self.fit - self.left_out.keys()
        if new:
            self._check(sorted(new))

    def _check(self, workers: list[str]) -> None:
        """Check new workers, send them weights, leave out those that are not fit."""
        if self.facts is None:
            device = self.cluster.device
            own = describe((), device).device if device == "auto" else device
            self.facts = WorkerFacts(program_versions(), own, ())
        weights = [one for one, _ in self.cluster.weights]
        answers = self.client.run(
            describe, weights, self.cluster.device, workers=workers, on_error="return"
        )
        for worker in workers:
            answer = answers.get(worker)
            if isinstance(answer, WorkerFacts):
                why = self._unfit(answer)
            elif isinstance(answer, OSError) or answer is None:
                continue  # it went away: asked again when it is back
            else:
                why = "it cannot load this version of scarseg"
            if why:
                self.left_out[worker] = why
                self.cluster.say(f"E_WORKER_VERSION: worker {worker} is left out: {why}.")
                continue
            assert isinstance(answer, WorkerFacts)
            for one, path in self.cluster.weights:
                if one in answer.missing:
                    card = path.with_suffix(".json")
                    sent = card.read_bytes() if card.is_file() else b""
                    self.client.run(receive_weights, one, path.read_bytes(), sent, workers=[worker])
            self.fit.add(worker)

    def _unfit(self, answer: WorkerFacts) -> str:
        assert self.facts is not None
        if answer.versions != self.facts.versions:
            pairs = zip(answer.versions, self.facts.versions, strict=True)
            return ", ".join(
                f"it has {name} {there}, this program {here}"
                for (name, there), (_, here) in pairs
                if there != here
            )
        if answer.device != self.facts.device:
            here = self.facts.device
            return f"it computes on {answer.device}, this program on {here}; give --device"
        return ""

    def _refuse_without_workers(self) -> None:
        """Print that no worker is here yet, or raise where all that are here were left out."""
        if not self.left_out:
            self.cluster.say("No worker has come yet; waiting. Start one with scarseg worker.")
            return
        blind = [one for one, why in self.left_out.items() if not why]
        code = "E_INPUT_UNREADABLE" if len(blind) == len(self.left_out) else "E_WORKER_VERSION"
        message = "No worker is fit: see the lines above."
        if code == "E_INPUT_UNREADABLE":
            message = f"No worker sees the files of {self.folder} by the paths that they have here."
        raise InputError(code, message)

    def _hand_out(self) -> None:
        for worker in sorted(self.fit):
            mine = [one for one in self.flights if one.worker == worker]
            while len(mine) < IN_FLIGHT and not any(self.losses.get(one.number) for one in mine):
                number = self._next(alone=not mine)
                if number is None:
                    break
                mine.append(self._send(number, worker))

    def _next(self, alone: bool) -> int | None:
        """Return the number of the next item; one whose worker was lost goes to an idle worker."""
        if self.again and (alone or not self.losses.get(self.again[0])):
            return self.again.popleft()
        for item in self.waiting:
            number = next(self.numbers)
            self.open[number] = item
            return number
        return None

    def _send(self, number: int, worker: str) -> _Flight:
        item = self.open[number]
        path = self.first_file(item)
        around = Surroundings(self.folder, self.key, path, digest_of(path) if path else "")
        future = self.client.submit(
            run_item,
            self.work,
            item,
            around,
            key=f"scarseg-{self.name}-{number}-{uuid.uuid4().hex[:8]}",
            workers=[worker],
            pure=False,
        )
        future.add_done_callback(lambda _future: self.changed.set())
        flight = _Flight(number, future, worker)
        self.flights.append(flight)
        return flight

    def _finish(self, flight: _Flight) -> Generator[tuple[Any, Any], None, None]:
        future = flight.future
        if future.status not in ("finished", "error"):
            yield from self._lose(flight)
            return
        try:
            result = future.result(timeout=RECONNECT_S)
        except (OSError, TimeoutError):  # the worker went away before its result was fetched
            yield from self._lose(flight)
            return
        except Exception as error:
            if type(error).__name__ in ("KilledWorker", "CancelledError", "FutureCancelledError"):
                yield from self._lose(flight)
                return
            raise
        self._close(flight)
        if isinstance(result, Blind):
            self.again.appendleft(flight.number)
            if flight.worker not in self.left_out:
                self.left_out[flight.worker] = ""
                self.fit.discard(flight.worker)
                name = os.path.basename(self.first_file(self.open[flight.number]))  # noqa: PTH119
                self.cluster.say(
                    f"W_WORKER_BLIND: worker {flight.worker} is left out: it does not see {name}"
                    " by the path that it has here."
                )
            return
        yield self.open.pop(flight.number), result

    def _lose(self, flight: _Flight) -> Generator[tuple[Any, Any], None, None]:
        """Return an item whose worker is lost to the queue; after too many losses it has failed."""
        self._close(flight)
        if flight.worker not in self.left_out:
            self.losses[flight.number] = self.losses.get(flight.number, 0) + 1
        if self.losses.get(flight.number, 0) > ALLOWED_LOSSES:
            yield self.open.pop(flight.number), Died()
        else:
            self.again.append(flight.number)

    def _close(self, flight: _Flight) -> None:
        self.flights.remove(flight)
        self.client.cancel([flight.future], force=True)
