"""Evaluate many patients, side by side if asked; the same rows for any number of processes."""

from __future__ import annotations

import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event

from scarseg.batch.models import THREADS
from scarseg.errors import Cancelled, ScarsegError, WeightsError
from scarseg.evaluation.metrics import PatientFigures
from scarseg.evaluation.patient import PatientResult, Protocol, evaluate_patient, with_fewer_clicks
from scarseg.models import Models, limit_threads
from scarseg.progress import Progress, silent
from scarseg.training.cases import TrainingCase

logger = logging.getLogger(__name__)

ModelsLoader = Callable[[], Models]
"""Loads the models in whichever process needs them; must survive pickling for many jobs."""


@dataclass(frozen=True)
class Candidate:
    """One set of models under the name that its rows carry."""

    name: str
    load: ModelsLoader


@dataclass(frozen=True, eq=False)
class _Job:
    contender: Candidate
    case: TrainingCase


@dataclass(frozen=True)
class _NoModels:
    """The process could not load the models."""

    code: str
    message: str
    path: str | None


_Outcome = PatientResult | _NoModels


def evaluate_patients(
    cases: Sequence[TrainingCase],
    contenders: Sequence[Candidate],
    protocol: Protocol,
    n_processes: int = 1,
    progress: Progress = silent,
) -> list[PatientResult]:
    """Evaluate every patient with all models, in the order given: models first, then patients.

    A patient that fails is a row with its code.

    Raises:
        WeightsError: models cannot be loaded; nothing was evaluated.
        Cancelled: by ``progress``.
    """
    jobs = [_Job(contender, case) for contender in contenders for case in cases]
    spread = _one_by_one if n_processes <= 1 or len(jobs) <= 1 else _side_by_side
    results: dict[int, PatientResult] = {}
    for place, outcome in spread(jobs, protocol, n_processes, progress):
        if isinstance(outcome, _NoModels):
            raise WeightsError(outcome.code, outcome.message, outcome.path)
        if outcome.trouble:
            logger.error("A patient failed by a bug in the program:\n%s", outcome.trouble)
        results[place] = outcome
        progress(len(results) / len(jobs), f"{len(results)} of {len(jobs)}")
    return [results[place] for place in range(len(jobs))]


def _one_by_one(
    jobs: Sequence[_Job], protocol: Protocol, n_processes: int, progress: Progress
) -> Iterator[tuple[int, _Outcome]]:
    loaded: dict[str, Models] = {}
    for place, job in enumerate(jobs):

        def report(fraction: float, what: str, place: int = place) -> None:
            progress((place + fraction) / len(jobs), f"{place + 1} of {len(jobs)}")

        report(0.0, "")
        yield place, _work(job, protocol, loaded, report)


def _work(job: _Job, protocol: Protocol, loaded: dict[str, Models], progress: Progress) -> _Outcome:
    """Evaluate one patient with models that are loaded once; one set at a time."""
    if job.contender.name not in loaded:
        loaded.clear()
        try:
            loaded[job.contender.name] = job.contender.load()
        except WeightsError as error:
            return _NoModels(error.code, error.message, error.path)
    before = limit_threads(THREADS)
    try:
        return _evaluate(job, protocol, loaded[job.contender.name], progress)
    finally:
        limit_threads(before)


def _evaluate(job: _Job, protocol: Protocol, models: Models, progress: Progress) -> PatientResult:
    try:
        return evaluate_patient(job.case, models, protocol, job.contender.name, progress)
    except (Cancelled, KeyboardInterrupt):
        raise
    except ScarsegError as error:
        return _failed(job, protocol, error.code, error.message)
    except MemoryError:
        return _failed(job, protocol, "E_MEMORY", "The patient did not fit into memory.")
    except Exception as error:  # noqa: BLE001 - the boundary of one patient
        # Not its message: that may hold what a header says.
        trouble = "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
        return _failed(job, protocol, "E_INTERNAL", "A bug in the program; see the log.", trouble)


def _failed(
    job: _Job, protocol: Protocol, code: str, message: str, trouble: str = ""
) -> PatientResult:
    """Give a row per way of asking, so that no column seems complete."""
    name, kind = job.case.name, job.case.kind
    rows = tuple(
        PatientFigures(
            patient=name,
            kind=kind,
            segmenter=job.contender.name,
            prompts=strategy.name,
            error_code=code,
        )
        for strategy in with_fewer_clicks(protocol.strategies)
    )
    return PatientResult(rows, note=f"{code}: {name}: {message}", trouble=trouble)


def _side_by_side(
    jobs: Sequence[_Job], protocol: Protocol, n_processes: int, progress: Progress
) -> Iterator[tuple[int, _Outcome]]:
    """Evaluate in several processes; a patient that kills its process costs only itself."""
    everything = list(enumerate(jobs))
    suspects = []
    for place, outcome in _pooled(everything, protocol, min(n_processes, len(jobs))):
        if outcome is None:
            suspects.append(place)
        else:
            yield place, outcome
    # When one process dies the pool gives all its jobs up: try each of them alone.
    for place in suspects:
        [(_, outcome)] = _pooled([everything[place]], protocol, 1)
        died = "The process that evaluated this patient died."
        yield place, outcome or _failed(jobs[place], protocol, "E_CRASH", died)


def _pooled(
    jobs: Sequence[tuple[int, _Job]], protocol: Protocol, n_processes: int
) -> Iterator[tuple[int, _Outcome | None]]:
    """Yield each job's place with its outcome as it comes, None where the process died."""
    # spawn: a forked child of a program with threads (torch, Qt) may hang.
    context = get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(n_processes, context, _start_worker, (stop,))
    try:
        work = partial(_work_in_child, protocol=protocol)
        running: dict[Future[_Outcome], int] = {pool.submit(work, job): n for n, job in jobs}
        left = set(running)
        while left:
            finished, left = wait(left, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in finished:
                try:
                    yield running[future], future.result()
                except BrokenProcessPool:
                    yield running[future], None
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


_stops: list[Event] = []
_loaded: dict[str, Models] = {}


def _start_worker(stop: Event) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle
    _stops.append(stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when its parent is killed: the pool alone would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work_in_child(job: _Job, protocol: Protocol) -> _Outcome:
    def stop_if_told(fraction: float, what: str) -> None:
        if _stops[0].is_set():
            raise Cancelled

    return _work(job, protocol, _loaded, stop_if_told)
