"""Evaluate many patients, side by side if asked; the same rows for any number of processes."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from scarseg.batch.cluster import run_on_cluster
from scarseg.batch.cluster_client import Cluster
from scarseg.batch.cluster_worker import cached_models
from scarseg.batch.models import THREADS, ModelsLoader
from scarseg.batch.process_pool import Died, run_jobs
from scarseg.errors import Cancelled, ScarsegError
from scarseg.evaluation.metrics import PatientFigures
from scarseg.evaluation.patient import (
    PatientResult,
    Protocol,
    evaluate_patient,
    with_fewer_clicks,
)
from scarseg.models import Models, limit_threads
from scarseg.progress import ItemLog, Progress, silent
from scarseg.training.cases import TrainingCase

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """One set of models under the name that its rows carry."""

    name: str
    load: ModelsLoader


@dataclass(frozen=True, eq=False)
class _PatientItem:
    """One patient to evaluate with one candidate, and its place among the results."""

    place: int
    candidate: Candidate
    case: TrainingCase


def evaluate_patients(
    cases: Sequence[TrainingCase],
    candidates: Sequence[Candidate],
    protocol: Protocol,
    n_processes: int = 1,
    progress: Progress = silent,
    cluster: Cluster | None = None,
) -> list[PatientResult]:
    """Evaluate every patient with all models, in the order given: models first, then patients.

    A patient that fails is a row with its code.

    Raises:
        WeightsError: models cannot be loaded; nothing was evaluated.
        Cancelled: by ``progress``.
    """
    pairs = [(candidate, case) for candidate in candidates for case in cases]
    items = [_PatientItem(place, *pair) for place, pair in enumerate(pairs)]
    evaluate_each = _in_this_process if min(n_processes, len(items)) <= 1 else _in_processes
    if cluster is not None:
        evaluate_each = partial(_on_cluster, cluster=cluster)
    results: dict[int, PatientResult] = {}
    log = ItemLog(logger, len(items))
    for item, result in evaluate_each(items, protocol, n_processes, progress):
        if result.trouble:
            logger.error("A patient failed by a bug in the program:\n%s", result.trouble)
        results[item.place] = result
        log.add(item.case.name, next((row.error_code for row in result.patients), ""))
        progress(len(results) / len(items), f"{len(results)} of {len(items)}")
    return [results[place] for place in range(len(items))]


def _in_this_process(
    items: Sequence[_PatientItem], protocol: Protocol, n_processes: int, progress: Progress
) -> Iterator[tuple[_PatientItem, PatientResult]]:
    loaded: dict[str, Models] = {}
    for item in items:

        def report(fraction: float, _what: str, place: int = item.place) -> None:
            progress((place + fraction) / len(items), f"{place + 1} of {len(items)}")

        report(0.0, "")
        yield item, _evaluate_item(item, protocol, loaded, report)


def _in_processes(
    items: Sequence[_PatientItem], protocol: Protocol, n_processes: int, progress: Progress
) -> Iterator[tuple[_PatientItem, PatientResult]]:
    """Evaluate in several processes; a patient that kills its process costs only itself."""
    work = partial(_evaluate_in_worker, protocol=protocol)
    yield from _with_failures(run_jobs(work, items, min(n_processes, len(items))), protocol)


def _on_cluster(
    items: Sequence[_PatientItem],
    protocol: Protocol,
    n_processes: int,
    progress: Progress,
    cluster: Cluster,
) -> Iterator[tuple[_PatientItem, PatientResult]]:
    work = partial(_evaluate_remotely, protocol=protocol)
    yield from _with_failures(run_on_cluster(work, items, cluster), protocol)


def _with_failures(
    results: Generator[tuple[_PatientItem, PatientResult | Died], None, None], protocol: Protocol
) -> Iterator[tuple[_PatientItem, PatientResult]]:
    try:
        for item, result in results:
            if isinstance(result, Died):
                message = "The process that evaluated this patient died."
                yield item, _failed(item, protocol, "E_CRASH", message)
            else:
                yield item, result
    finally:
        results.close()


_worker_models: dict[str, Models] = {}
"""Models of a worker process, by the name of their candidate."""


def _evaluate_remotely(item: _PatientItem, protocol: Protocol) -> PatientResult:
    loaded = {item.candidate.name: cached_models(item.candidate.load)}
    return _evaluate_item(item, protocol, loaded, silent)


def _evaluate_in_worker(item: _PatientItem, protocol: Protocol) -> PatientResult:
    return _evaluate_item(item, protocol, _worker_models, silent)


def _evaluate_item(
    item: _PatientItem, protocol: Protocol, loaded: dict[str, Models], progress: Progress
) -> PatientResult:
    """Evaluate one patient with models that are loaded once; one set at a time."""
    if item.candidate.name not in loaded:
        loaded.clear()
        loaded[item.candidate.name] = item.candidate.load()
    before = limit_threads(THREADS)
    try:
        return _evaluate(item, protocol, loaded[item.candidate.name], progress)
    finally:
        limit_threads(before)


def _evaluate(
    item: _PatientItem, protocol: Protocol, models: Models, progress: Progress
) -> PatientResult:
    try:
        return evaluate_patient(item.case, models, protocol, item.candidate.name, progress)
    except (Cancelled, KeyboardInterrupt):
        raise
    except ScarsegError as error:
        return _failed(item, protocol, error.code, error.message)
    except MemoryError:
        return _failed(item, protocol, "E_MEMORY", "The patient did not fit into memory.")
    except Exception as error:  # noqa: BLE001 - the boundary of one patient
        # Not its message: that may hold what a header says.
        trouble = "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
        return _failed(item, protocol, "E_INTERNAL", "A bug in the program; see the log.", trouble)


def _failed(
    item: _PatientItem, protocol: Protocol, code: str, message: str, trouble: str = ""
) -> PatientResult:
    """Return a row per strategy, so that no column seems complete."""
    rows = tuple(
        PatientFigures(
            patient=item.case.name,
            kind=item.case.kind,
            segmenter=item.candidate.name,
            prompts=strategy.name,
            error_code=code,
        )
        for strategy in with_fewer_clicks(protocol.strategies)
    )
    return PatientResult(rows, note=f"{code}: {item.case.name}: {message}", trouble=trouble)
