"""Processes side by side that survive the crash of one of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

GRACE_S = 2.0
"""Seconds in which a process may finish its item before it is ended, when a run is given up."""

# spawn: a forked child of a program with threads (torch, Qt) may hang.
_CONTEXT = get_context("spawn")


@dataclass(frozen=True)
class Died:
    """The process that worked on an item ended before the item's result came."""


def run_jobs(
    work: Callable[[Item], Result], items: Iterable[Item], n_processes: int
) -> Generator[tuple[Item, Result | Died], None, None]:
    """Yield every item with its result, in the order in which results come.

    A process holds one item at a time: when it dies, only that item is lost, and another
    process takes its place as long as items are left. Closing the iterator ends all processes.

    Args:
        work: called in a spawned process; it, the items and the results are pickled. What it
            loads once (models) stays in a module-level cache of that process.
        items: taken as processes become free, never all at once.
        n_processes: at least 1.

    Raises:
        Exception: whatever ``work`` raises; the other items are then given up.
    """
    waiting = iter(items)
    busy: dict[Connection, tuple[_Worker, Item]] = {}
    idle: list[_Worker] = []
    try:
        while True:
            while len(busy) < n_processes:
                try:
                    item = next(waiting)
                except StopIteration:
                    break
                worker = idle.pop() if idle else _Worker(work)
                busy[worker.connection] = worker, item
                worker.send(item)
            if not busy:
                return
            # A timeout lets a signal be handled on systems whose wait cannot be interrupted.
            for ready in wait(list(busy), timeout=0.5):
                assert isinstance(ready, Connection)
                worker, item = busy.pop(ready)
                try:
                    succeeded, result = ready.recv()
                except (EOFError, OSError):
                    worker.end()
                    yield item, Died()
                    continue
                idle.append(worker)
                if not succeeded:
                    raise result
                yield item, result
    finally:
        _end_all([*idle, *(worker for worker, _ in busy.values())])


class _Worker:
    """One spawned process and the parent's end of the pipe to it."""

    def __init__(self, work: Callable[..., object]) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        # Not a daemon: those may have no children, and the DICOM decoder is one.
        self.process: BaseProcess = _CONTEXT.Process(target=_serve, args=(theirs, work))
        self.process.start()
        # The parent must not hold the child's end: its death would then never close the pipe.
        theirs.close()

    def send(self, item: object) -> None:
        """Send an item to the worker; a dead process is found when its result is read."""
        try:
            self.connection.send(item)
        except (BrokenPipeError, ConnectionResetError):
            return

    def end(self, grace_s: float = 0.0) -> None:
        """End the process, by force after ``grace_s``."""
        self.connection.close()
        self.process.join(grace_s)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(1.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _end_all(workers: Iterable[_Worker]) -> None:
    """End processes; they leave by themselves when the pipe is closed and their item done."""
    every = list(workers)
    for worker in every:
        worker.connection.close()
    until = time.monotonic() + GRACE_S
    for worker in every:
        worker.end(max(0.0, until - time.monotonic()))


def _serve(connection: Connection, work: Callable[[object], object]) -> None:
    """Answer items in a spawned process until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        try:
            connection.send((True, work(item)))
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:  # noqa: BLE001 - raised again in the parent
            connection.send((False, error))


def _end_with_parent() -> None:
    """End this process when its parent is killed, even in the middle of an item."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
