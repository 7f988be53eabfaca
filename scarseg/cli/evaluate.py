"""``scarseg evaluate``: measure models on patients with a reference."""

from __future__ import annotations

import argparse
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarseg.cli.cluster import cluster_of
from scarseg.cli.console import DONE, SOME_FAILED, print_tables, progress_bar, say
from scarseg.cli.options import (
    add_calibration,
    add_device,
    add_force,
    add_jobs,
    add_methods,
    add_reference_data,
    add_scheduler,
    add_seed,
    calibration_of,
)
from scarseg.cli.parser import Commands, examples

if TYPE_CHECKING:
    from scarseg.batch.cluster_client import Cluster
    from scarseg.batch.models import ModelsLoader
    from scarseg.evaluation.run import Candidate

PLAIN_WIDTH = 140
"""Columns of a table that does not go to a terminal."""


def add_evaluate(commands: Commands) -> None:
    """Add ``scarseg evaluate``."""
    evaluate = commands.add_parser(
        "evaluate",
        help="measure how good the models are, on patients with a reference",
        description="Read patients whose scar is known with the models: alone, with a reader's"
        " boxes, with clicks. Writes patients.csv, slices.csv, summary.json and figures. Exit"
        " status: 0 all is well, 2 some patient failed (its row carries the code), 1 nothing"
        " could be done.",
        epilog=examples(
            "scarseg evaluate emidec -o evaluation",
            "scarseg evaluate cases --dicom images -o ours --segmenter ours.safetensors --jobs 2",
            "scarseg evaluate emidec -o methods --methods all",
            "scarseg evaluate emidec -o clicks --prompts auto clicks:5 --patients inner",
        ),
    )
    add_reference_data(evaluate, "+")
    evaluate.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="where to write the files"
    )
    evaluate.add_argument(
        "--segmenter",
        "--weights",
        action="append",
        metavar="PATH",
        help="weights to evaluate: name, file or SAM .pth; may be repeated to compare",
    )
    evaluate.add_argument("--detector", metavar="PATH", help='name, file or "none"')
    evaluate.add_argument(
        "--prompts",
        nargs="+",
        action="extend",
        metavar="HOW",
        help="box, point, box+points, box+wall, clicks:N, auto, detector (default: auto box"
        " clicks:3 detector)",
    )
    evaluate.add_argument(
        "--patients",
        metavar="WHICH",
        help="validation, inner, all, a file (names, or the split that training kept), or names"
        " with commas between (default: validation where DATA holds these patients, else all)",
    )
    evaluate.add_argument(
        "--lv",
        choices=("program", "truth"),
        default="program",
        help="who finds the left ventricle (default: program)",
    )
    add_calibration(evaluate)
    add_seed(evaluate, "of the simulated reader", 7)
    add_device(evaluate)
    add_jobs(evaluate)
    add_scheduler(evaluate)
    add_methods(evaluate, "threshold methods to compare with the reference too, in methods.csv")
    evaluate.add_argument("--no-figures", action="store_true", help="draw nothing")
    add_force(evaluate)
    evaluate.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    """Evaluate; raise what :func:`scarseg.training.cases.read_data` and the models raise."""
    from scarseg.evaluation import methods, tables
    from scarseg.evaluation.patient import Protocol
    from scarseg.evaluation.patients import choose_patients
    from scarseg.evaluation.prompts import (
        DEFAULT_STRATEGIES,
        READER,
        PromptKind,
        parse_strategies,
    )
    from scarseg.evaluation.run import evaluate_patients
    from scarseg.io.files import refuse_existing, require_writable
    from scarseg.training import cases as training_cases

    strategies = parse_strategies(options.prompts or DEFAULT_STRATEGIES)
    files = tables.result_files(options.output)
    if options.methods:
        files += methods.methods_files(options.output)
    if not options.force:
        refuse_existing(files)
    for file in files:
        require_writable(file)
    candidates, identities, cluster = _candidates(options)
    with progress_bar("Evaluating") as progress:
        progress(0.0, "reading")
        read = training_cases.read_data(options.data, options.dicom)
        cases, which = choose_patients(read, options.patients)
        protocol = Protocol(
            strategies, options.seed, options.lv == "truth", methods=options.methods
        )
        results = evaluate_patients(cases, candidates, protocol, options.jobs, progress, cluster)
        summaries = tables.summarise_results(results)
        figures: dict[str, bytes] = {}
        if not options.no_figures:
            progress(1.0, "drawing")
            figures = tables.draw_figures(results, cases, options.seed)
    settings: dict[str, Any] = {
        "patients": [case.name for case in cases],
        "chosen": which,
        "prompts": [strategy.name for strategy in strategies],
        "left_ventricle": options.lv,
        "reader": READER,
        "seed": options.seed,
        "device": options.device,
        "weights": identities,
    }
    compared = [row for result in results for row in result.methods]
    by_method = methods.summarise_methods(compared)
    drawn: dict[str, bytes] = dict(figures)
    if options.methods:
        pages = methods.render_methods(options.output, compared, by_method, settings)
        drawn |= {path.name: data for path, data in pages.items()}
    tables.write_results(options.output, results, summaries, settings, drawn, options.force)
    for note in (result.note for result in results if result.note):
        say(note)
    printed = {*settings["prompts"], PromptKind.FWHM.value}
    print_tables(
        list(tables.build_tables([one for one in summaries if one["prompts"] in printed])),
        PLAIN_WIDTH,
    )
    if options.methods:
        print_tables([methods.methods_table(by_method)], PLAIN_WIDTH)
    rows = [row for result in results for row in result.patients]
    n_failed = len({(row.segmenter, row.patient) for row in rows if row.error_code})
    n_evaluated = len(results) - n_failed
    print(f"reader: {READER}")
    print(f"{options.output}: {n_evaluated} of {len(results)} patients evaluated ({which})")
    return SOME_FAILED if n_failed else DONE


def _candidates(
    options: argparse.Namespace,
) -> tuple[list[Candidate], dict[str, Any], Cluster | None]:
    """Return the models to evaluate, not loaded yet, the sha256 of their weights, the cluster."""
    from scarseg import models
    from scarseg.evaluation.run import Candidate
    from scarseg.models.weights import resolve_weights

    requested = list(dict.fromkeys(options.segmenter or [None]))
    detector = None if options.detector == "none" else resolve_weights(options.detector, "detector")
    identities: dict[str, Any] = {}
    cluster: Cluster | None = None
    candidates = []
    found = [resolve_weights(one, "segmenter") for one in requested]
    n_named = Counter(one.identity.name for one in found)
    for one, path in zip(found, requested, strict=True):
        name = one.identity.name
        if n_named[name] > 1:
            name = f"{name} {one.identity.sha256[:8]}"
        calibration = calibration_of(options, path, options.detector)
        load: ModelsLoader = partial(models.load, path, options.detector, options.device)
        if options.scheduler is not None:
            load, cluster = cluster_of(options, path, cluster)
        candidates.append(Candidate(name, partial(models.load_calibrated, load, calibration)))
        identities[name] = one.identity.sha256
        if calibration is not None:
            identities["calibration"] = calibration.sha256
    if detector is not None:
        identities["detector"] = detector.identity.sha256
    return candidates, identities, cluster
