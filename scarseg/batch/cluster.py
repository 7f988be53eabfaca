"""Run work on the workers of a Dask scheduler, with the results that one process would have.

The client hands out items itself: at most two per worker at a time, each to a worker that has
proved to be fit. States of an item: waiting, in flight on one worker, done. An item whose worker
is lost waits again, and has the next worker for itself, so that one that kills its workers costs
no other item more than a repetition; after ``ALLOWED_LOSSES`` lost workers it has failed. States
of a worker: unknown, fit, left out (another version, or blind for the client's files).
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from scarseg.batch.cluster_client import Cluster, close_client, connect, warn_of_open_network
from scarseg.batch.cluster_worker import (
    Blind,
    Surroundings,
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

NO_WORKER_S = 10.0
"""Seconds without a fit worker after which that is said."""
RECONNECT_S = 60.0
"""Seconds for which a lost scheduler is waited for."""
IN_FLIGHT = 2
"""Items of a worker at a time: one it works on, one that waits there."""
ALLOWED_LOSSES = 3
_POLL_S = 0.25


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
    client = connect(cluster)
    warn_of_open_network(client, cluster)
    yield from _Run(client, cluster, work, items, first_file).results()


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
            self._cancel(self.flights)
            close_client(self.client)

    def _find_workers(self) -> None:
        """Find which workers there are, and check the new ones.

        Raises:
            InputError: E_SCHEDULER_LOST.
        """
        try:
            here = set(self.client.nthreads())
        except Exception as error:  # noqa: BLE001 - of many kinds, as the connection is lost
            self._reconnect(error)
            here = set()  # found the next time
        self.fit &= here
        new = here - self.fit - self.left_out.keys()
        if new:
            self._check(sorted(new))

    def _reconnect(self, error: Exception) -> None:
        """Wait for a scheduler that was lost; what was in flight waits again.

        Raises:
            InputError: E_SCHEDULER_LOST, it does not come back.
        """
        self.cluster.say("The scheduler does not answer; waiting for it.")
        close_client(self.client)
        until = time.monotonic() + RECONNECT_S
        while True:
            try:
                self.client = connect(self.cluster)
                break
            except InputError:
                if time.monotonic() > until:
                    message = "The scheduler is lost; start it again, and go on with --resume."
                    raise InputError("E_SCHEDULER_LOST", message) from error
                time.sleep(_POLL_S)
        self.again.extendleft(one.number for one in reversed(self.flights))
        self.flights.clear()
        self.fit.clear()
        self.left_out.clear()

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
                why = answer.differs_from(self.facts)
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
                name = Path(self.first_file(self.open[flight.number])).name
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
        self._cancel([flight])

    def _cancel(self, flights: Sequence[_Flight]) -> None:
        with suppress(Exception):  # a client that has lost its scheduler can cancel nothing
            self.client.cancel([one.future for one in flights], force=True)
