"""Worker threads; the only module of the window that knows threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.errors import Cancelled


@dataclass(eq=False)
class WorkerJob:
    """One function call on a worker thread: values in, a value out, never widgets.

    ``current`` is called on the GUI thread before the start and at delivery; where it returns
    False the job, or its late result, is dropped.
    """

    name: str
    work: Callable[..., Any]
    args: tuple[Any, ...]
    done: Callable[[Any], None] | None
    failed: Callable[[BaseException], None] | None
    current: Callable[[], bool]
    reports: bool
    dropped: Callable[[Any], None] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    future: Future[Any] | None = None

    def cancel(self) -> None:
        """Stop the job at its next report of progress."""
        self.stop.set()


def _always() -> bool:
    return True


class Worker(QObject):
    """Run jobs one after the other on one thread; callbacks run on the GUI thread.

    Signals:
        progressed: (name, fraction, what) of the running job.
        moved: the queue changed; see ``busy``.
    """

    progressed = pyqtSignal(str, float, str)
    moved = pyqtSignal()
    _finished = pyqtSignal(object)
    _reported = pyqtSignal(object, float, str)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting: list[WorkerJob] = []
        self._running: WorkerJob | None = None
        self._closed = False
        self._finished.connect(self._deliver)
        self._reported.connect(self._pass_on)

    @property
    def busy(self) -> bool:
        return self._running is not None or bool(self._waiting)

    def holds(self, name: str) -> bool:
        """Return whether a job of this name waits or runs."""
        jobs = [*self._waiting, *([self._running] if self._running else [])]
        return any(job.name == name and not job.stop.is_set() for job in jobs)

    def run(
        self,
        name: str,
        work: Callable[..., Any],
        *args: Any,
        done: Callable[[Any], None] | None = None,
        failed: Callable[[BaseException], None] | None = None,
        current: Callable[[], bool] = _always,
        urgent: bool = False,
        reports: bool = False,
        dropped: Callable[[Any], None] | None = None,
    ) -> WorkerJob:
        """Queue a job; it replaces its waiting namesake.

        Args:
            work: called with ``args`` on the worker thread, plus ``progress`` if ``reports``.
            done: callback on the GUI thread with the result.
            failed: callback on the GUI thread with the exception; without it, bugs reach
                ``sys.excepthook`` and cancellation is silent.
            dropped: callback with a result nobody wants any more, to release what it holds.
            urgent: go before everything that waits.
        """
        job = WorkerJob(name, work, args, done, failed, current, reports, dropped)
        if self._closed:
            return job
        self._waiting = [other for other in self._waiting if other.name != name]
        self._waiting.insert(0 if urgent else len(self._waiting), job)
        self._start_next()
        self.moved.emit()
        return job

    def forget(self, prefix: str) -> None:
        """Drop waiting jobs whose name starts so, and cancel a running one."""
        self._waiting = [job for job in self._waiting if not job.name.startswith(prefix)]
        if self._running is not None and self._running.name.startswith(prefix):
            self._running.cancel()
        self.moved.emit()

    def drain(self) -> None:
        """Finish everything that waits before returning, and deliver it (for closing)."""
        while self._running is not None:
            job = self._running
            if job.future is not None:
                job.future.exception()
            self._deliver(job)

    def close(self) -> None:
        """Drop what waits, stop what runs, join the thread."""
        self._closed = True
        self._waiting.clear()
        if self._running is not None:
            self._running.cancel()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _start_next(self) -> None:
        while self._running is None and self._waiting:
            job = self._waiting.pop(0)
            if not job.current():
                continue
            self._running = job
            job.future = self._executor.submit(self._call, job)
            job.future.add_done_callback(partial(self._announce, job))

    def _announce(self, job: WorkerJob, _future: Future[Any]) -> None:
        if not self._closed:
            self._finished.emit(job)

    def _call(self, job: WorkerJob) -> Any:
        if not job.reports:
            return job.work(*job.args)

        def progress(fraction: float, what: str) -> None:
            if job.stop.is_set():
                raise Cancelled
            self._reported.emit(job, float(fraction), what)

        return job.work(*job.args, progress=progress)

    def _pass_on(self, job: object, fraction: float, what: str) -> None:
        """Pass on the progress of the running job; that of a cancelled one is dropped."""
        if isinstance(job, WorkerJob) and job is self._running and not job.stop.is_set():
            self.progressed.emit(job.name, fraction, what)

    def _deliver(self, job: object) -> None:
        if job is not self._running or self._running is None or self._closed:
            return
        finished = self._running
        self._running = None
        try:
            self._answer(finished)
        finally:
            self._start_next()
            self.moved.emit()

    def _answer(self, job: WorkerJob) -> None:
        if job.future is None or job.future.cancelled():
            return
        error = job.future.exception()
        if job.stop.is_set() or not job.current():
            if error is None and job.dropped is not None:
                job.dropped(job.future.result())
            return
        if error is None:
            if job.done is not None:
                job.done(job.future.result())
        elif job.failed is not None:
            job.failed(error)
        elif not isinstance(error, Cancelled):
            raise error
