"""Train a detector as the command line asks: read, split, train, choose, export."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scarseg.errors import InputError
from scarseg.models.weights import ResolvedWeights
from scarseg.training import model_card, runs
from scarseg.training.cases import TrainingCase, simulate_cases
from scarseg.training.commands import (
    OpenProgress,
    TrainingData,
    TrainingOutput,
    command_line,
    data_recipe,
    find_init,
    initial_weights_note,
    licence_of,
    no_progress,
    read_training_data,
    report_data,
    set_up_device,
    start_or_resume,
    stopped_output,
)
from scarseg.training.detector.data import TUNING
from scarseg.training.detector.evaluate import shift_slices
from scarseg.training.detector.sampling import SHARES, SMALL_SCARS, WHOLE_SLICE_SHARE
from scarseg.training.detector.train import (
    LEARNING_RATE,
    MASK_WEIGHT,
    WEIGHT_DECAY,
    DetectorRecipe,
    DetectorTraining,
    split_slices,
)
from scarseg.training.detector.weights import choose_weights, measure_weights
from scarseg.training.loop import Ending, Limits, StopRequest
from scarseg.training.progress_display import open_display

ARCHITECTURE: dict[str, Any] = {
    "architecture": "YOLO11n (ultralytics), one input channel, two classes",
    "shares": SHARES,
    "whole_slice_share": WHOLE_SLICE_SHARE,
    "small_scars": SMALL_SCARS,
    "learning_rate": LEARNING_RATE,
    "weight_decay": WEIGHT_DECAY,
    "mask_weight": MASK_WEIGHT,
}


def train_detector(
    options: argparse.Namespace, reading: OpenProgress = no_progress
) -> TrainingOutput:
    """Train a detector as the command line asks; see ``scarseg train detector --help``.

    Args:
        options: of ``scarseg train detector``, and ``words``: the command.
        reading: opens a progress bar for the reading of the data.

    Raises:
        ScarsegError: data, weights, folder or loss are not what they should be.
    """
    folder: Path = options.output
    resuming = runs.claim_folder(folder, options.resume)
    with runs.lock_folder(folder):
        init = find_init(options.init, "detector")
        device = set_up_device(options)
        with reading() as progress:
            data = read_training_data(options, resuming, _simulate, TUNING, progress)
        parts = split_slices(data.cases, data.split)
        if not any(labelled.heart.any() for labelled in parts["training"]):
            message = "No slice shows a left ventricle with its wall drawn to learn from."
            raise InputError("E_INPUT_EMPTY", message)
        with StopRequest() as stop, open_display(sys.stderr) as display:
            recipe = _recipe(options, init)
            training = DetectorTraining(recipe, folder, device)
            document = {
                "kind": "detector",
                **asdict(recipe),
                **data_recipe(options),
                **ARCHITECTURE,
            }
            start_or_resume(folder, document, training, data, init, display)
            tuning = shift_slices(parts["validation"])
            report_data(display, data, len(tuning))
            limits = Limits(patience=options.patience)
            ending = training.run(parts["training"], tuning, limits, display, stop)
            if ending is Ending.STOPPED:
                return stopped_output(options, training.step)
            display.print_line("choosing checkpoint and thresholds")
            chosen = choose_weights(folder, parts["validation"])
            figures = measure_weights(chosen, parts["validation"])
            card = _card(options, training, data, document, init, ending, figures)
            return TrainingOutput(
                ending, tuple(model_card.export(folder, chosen.read_bytes(), card))
            )


def _simulate(n: int, seed: int) -> list[TrainingCase]:
    return simulate_cases(n, seed * 1_000_003, digits=4)


def _recipe(options: argparse.Namespace, init: ResolvedWeights | None) -> DetectorRecipe:
    return DetectorRecipe(
        minutes=options.time_budget,
        steps=options.steps,
        batch=options.batch or DetectorRecipe.batch,
        seed=options.seed,
        rate=options.rate,
        init=init.path.name if init else "",
    )


def _card(
    options: argparse.Namespace,
    training: DetectorTraining,
    data: TrainingData,
    recipe: dict[str, Any],
    init: ResolvedWeights | None,
    ending: Ending,
    figures: dict[str, dict[str, float]],
) -> model_card.ModelCard:
    training_cases = data.part("training")
    return model_card.ModelCard(
        name=runs.weights_name(training.folder),
        kind="detector",
        data=model_card.count_data(training_cases),
        split=data.counts(),
        sources=model_card.public_sources(training_cases),
        recipe=recipe,
        command=command_line(options.words),
        run={
            "steps": training.step,
            "images": training.images,
            "minutes": round(training.seconds / 60, 2),
            "device": str(training.device),
            "threads": options.threads,
            "ending": str(ending),
            "steps_left_out": training.history.skipped,
            "exported_step": None,
            "validations": training.history.validations,
        },
        figures=figures,
        init=recipe["init"],
        init_licence=licence_of(init),
        notes=initial_weights_note(training.history),
    )
