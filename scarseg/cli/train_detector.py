"""``scarseg train detector``: read the data, split it, train, choose, export."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scarseg.cli.train import (
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
from scarseg.errors import InputError
from scarseg.models.weights import ResolvedWeights
from scarseg.training import model_card, runs
from scarseg.training.detector.data import SHARES, TUNING, simulated_cases
from scarseg.training.detector.evaluate import shift_slices
from scarseg.training.detector.train import (
    LEARNING_RATE,
    MASK_WEIGHT,
    WEIGHT_DECAY,
    DetectorRecipe,
    DetectorTraining,
    choose_weights,
    measure_weights,
    split_slices,
)
from scarseg.training.loop import Ending, Limits, StopRequest, open_display

ARCHITECTURE: dict[str, Any] = {
    "architecture": "YOLO11n (ultralytics), one input channel, two classes",
    "shares": SHARES,
    "learning_rate": LEARNING_RATE,
    "weight_decay": WEIGHT_DECAY,
    "mask_weight": MASK_WEIGHT,
}


def train_detector(
    options: argparse.Namespace, reading: OpenProgress = no_progress
) -> TrainingOutput:
    """Train a detector as the command line asks; see ``scarseg train detector --help``.

    Args:
        options: of :func:`scarseg.cli.train_options.add_detector`, and ``words``: the command.
        reading: opens a bar for the reading of the data.

    Raises:
        ScarsegError: data, weights, folder or loss are not what they should be.
    """
    folder: Path = options.output
    resuming = runs.claim_folder(folder, options.resume)
    with runs.lock_folder(folder):
        began = find_init(options.init, "detector")
        device = set_up_device(options)
        with reading() as progress:
            material = read_training_data(options, resuming, simulated_cases, TUNING, progress)
        parts = split_slices(material.cases, material.split)
        if not any(labelled.heart.any() for labelled in parts["training"]):
            message = "No slice shows a left ventricle with its wall drawn to learn from."
            raise InputError("E_INPUT_EMPTY", message)
        with StopRequest() as stop, open_display(sys.stderr) as board:
            recipe = _recipe(options, began)
            training = DetectorTraining(recipe, folder, device)
            document = {
                "kind": "detector",
                **asdict(recipe),
                **data_recipe(options),
                **ARCHITECTURE,
            }
            start_or_resume(folder, document, training, material, began, board)
            tuning = shift_slices(parts["validation"])
            report_data(board, material, len(tuning))
            limits = Limits(patience=options.patience)
            ending = training.run(parts["training"], tuning, limits, board, stop)
            if ending is Ending.STOPPED:
                return stopped_output(options, training.step)
            board.say("choosing checkpoint and thresholds")
            chosen = choose_weights(folder, parts["validation"])
            figures = measure_weights(chosen, parts["validation"])
            card = _card(options, training, material, document, began, ending, figures)
            return TrainingOutput(
                ending, tuple(model_card.export(folder, chosen.read_bytes(), card))
            )


def _recipe(options: argparse.Namespace, began: ResolvedWeights | None) -> DetectorRecipe:
    return DetectorRecipe(
        minutes=options.time_budget,
        steps=options.steps,
        batch=options.batch or DetectorRecipe.batch,
        seed=options.seed,
        rate=options.rate,
        init=began.path.name if began else "",
    )


def _card(
    options: argparse.Namespace,
    training: DetectorTraining,
    material: TrainingData,
    recipe: dict[str, Any],
    began: ResolvedWeights | None,
    ending: Ending,
    figures: dict[str, dict[str, float]],
) -> model_card.ModelCard:
    learned = material.part("training")
    return model_card.ModelCard(
        name=runs.weights_name(training.folder),
        kind="detector",
        data=model_card.count_data(learned),
        split=material.counts(),
        sources=model_card.public_sources(learned),
        recipe=recipe,
        command=command_line(options.words),
        run={
            "steps": training.step,
            "images": training.state.images,
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
        init_licence=licence_of(began),
        notes=initial_weights_note(training.history),
    )
