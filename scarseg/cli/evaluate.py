"""``scarseg evaluate``: from folders to tables, a summary and drawings."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.table import Table

from scarseg import models
from scarseg.evaluation import tables as evaluation_tables
from scarseg.evaluation.patient import Protocol
from scarseg.evaluation.patients import choose_patients
from scarseg.evaluation.prompts import DEFAULT_STRATEGIES, PromptKind, parse_strategies
from scarseg.evaluation.run import Candidate, evaluate_patients
from scarseg.evaluation.tables import build_tables
from scarseg.io.files import refuse_existing, require_writable
from scarseg.models.weights import resolve_weights
from scarseg.progress import Progress
from scarseg.training.cases import read_data

PLAIN_WIDTH = 140
"""Columns of a table that does not go to a terminal."""


@dataclass(frozen=True)
class EvaluationOutput:
    """What to print: tables, notes, how many patients failed, and a last line."""

    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    failed: int
    said: str


def evaluate_folder(options: argparse.Namespace, progress: Progress) -> EvaluationOutput:
    """Run ``scarseg evaluate`` with parsed options.

    Raises:
        InputError: E_PROMPTS, E_PATIENTS, E_REFERENCE, and what the data are refused for.
        WeightsError: models cannot be loaded; OutputError: E_EXISTS, E_WRITE.
    """
    strategies = parse_strategies(options.prompts or DEFAULT_STRATEGIES)
    files = evaluation_tables.result_files(options.output)
    if not options.force:
        refuse_existing(files)
    for file in files:
        require_writable(file)
    contenders, identities = _contenders(options)
    progress(0.0, "reading")
    cases, which = choose_patients(read_data(options.data, options.dicom), options.patients)
    protocol = Protocol(strategies, options.seed, options.lv == "truth")
    results = evaluate_patients(cases, contenders, protocol, options.jobs, progress)
    summaries = evaluation_tables.summarise_results(results)
    settings: dict[str, Any] = {
        "patients": [case.name for case in cases],
        "chosen": which,
        "prompts": [strategy.name for strategy in strategies],
        "left_ventricle": options.lv,
        "seed": options.seed,
        "device": options.device,
        "weights": identities,
    }
    drawn: dict[str, bytes] = {}
    if not options.no_figures:
        progress(1.0, "drawing")
        drawn = evaluation_tables.draw_figures(results, cases, options.seed)
    evaluation_tables.write_results(
        options.output, results, summaries, settings, drawn, options.force
    )
    failed = {
        (row.segmenter, row.patient)
        for result in results
        for row in result.patients
        if row.error_code
    }
    said = f"{len(results) - len(failed)} of {len(results)} patients evaluated ({which})"
    notes = tuple(result.note for result in results if result.note)
    asked = {*settings["prompts"], PromptKind.FWHM.value}
    printed = [one for one in summaries if one["prompts"] in asked]
    return EvaluationOutput(tuple(build_tables(printed)), notes, len(failed), said)


def _contenders(options: argparse.Namespace) -> tuple[list[Candidate], dict[str, Any]]:
    """Name every set of models, without loading it."""
    wanted = list(dict.fromkeys(options.segmenter or [None]))
    detector = None if options.detector == "none" else resolve_weights(options.detector, "detector")
    identities: dict[str, Any] = {}
    contenders = []
    found = [resolve_weights(one, "segmenter") for one in wanted]
    count = Counter(one.identity.name for one in found)
    for one, path in zip(found, wanted, strict=True):
        name = one.identity.name
        if count[name] > 1:
            name = f"{name} {one.identity.sha256[:8]}"
        load = partial(models.load, path, options.detector, options.device)
        contenders.append(Candidate(name, load))
        identities[name] = one.identity.sha256
    if detector is not None:
        identities["detector"] = detector.identity.sha256
    return contenders, identities
