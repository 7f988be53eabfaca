"""Train a segmenter as the command line asks: read, split, train, export."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scarseg.models.weights import ResolvedWeights
from scarseg.training import model_card, runs
from scarseg.training.cases import INNER, TrainingCase, simulate_cases
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
from scarseg.training.loop import Ending, Limits, StopRequest
from scarseg.training.progress_display import ProgressDisplay, open_display
from scarseg.training.segmenter.compact import CompactTraining
from scarseg.training.segmenter.losses import LossWeights
from scarseg.training.segmenter.recipe import Recipe
from scarseg.training.segmenter.validate import choose_validation_slices
from scarseg.training.segmenter.vit import DECODER_RATE, ENCODER_RATE, VitTraining


def train_segmenter(
    options: argparse.Namespace, reading: OpenProgress = no_progress
) -> TrainingOutput:
    """Train a segmenter as the command line asks; see ``scarseg train segmenter --help``.

    Args:
        options: of ``scarseg train segmenter``, and ``words``: the command.
        reading: opens a progress bar for the reading of the data.

    Raises:
        ScarsegError: data, weights, folder or loss are not what they should be.
    """
    folder: Path = options.output
    resuming = runs.claim_folder(folder, options.resume)
    with runs.lock_folder(folder):
        init = find_init(options.init, "segmenter")
        device = set_up_device(options)
        with reading() as progress:
            data = read_training_data(options, resuming, _simulate, INNER, progress)
        with StopRequest() as stop, open_display(sys.stderr) as display:
            training = _segmenter_training(options, init, device)
            recipe = {
                "kind": "segmenter",
                **asdict(training.recipe),
                **data_recipe(options),
                "shares": options.shares,
            }
            start_or_resume(folder, recipe, training, data, init, display)
            ending = _run(options, training, data, display, stop)
            if ending is Ending.STOPPED:
                return stopped_output(options, training.step)
            files = _export(options, training, data, recipe, init, ending, display)
            return TrainingOutput(ending, files)


def _simulate(n: int, seed: int) -> list[TrainingCase]:
    return simulate_cases(n, seed * 100_000)


def _run(
    options: argparse.Namespace,
    training: CompactTraining | VitTraining,
    data: TrainingData,
    display: ProgressDisplay,
    stop: StopRequest,
) -> Ending:
    slices = choose_validation_slices(data.part("validation"), options.seed)
    report_data(display, data, len(slices))
    limits = Limits(patience=options.patience)
    training_cases = data.part("training")
    if isinstance(training, VitTraining):
        return training.run(training_cases, slices, limits, display, stop)
    return training.run(
        training_cases, options.workers, options.shares, slices, limits, display, stop
    )


def _segmenter_training(
    options: argparse.Namespace, init: ResolvedWeights | None, device: str
) -> CompactTraining | VitTraining:
    vit = init is not None and init.path.suffix in (".pth", ".pt")
    rates = (ENCODER_RATE, DECODER_RATE)
    if not vit:
        rates = (Recipe.encoder_rate, Recipe.decoder_rate)
    recipe = Recipe(
        minutes=options.time_budget,
        steps=options.steps,
        init=init.path.name if init else "",
        batch=options.batch or (Recipe.batch if not vit else 4),
        encoder_rate=rates[0] * options.rate,
        decoder_rate=rates[1] * options.rate,
        seed=options.seed,
        rounds=options.rounds,
        previous_share=options.previous_share,
        train=options.train if vit else "",
        loss=LossWeights(
            options.loss_cross_entropy,
            options.loss_batch_dice,
            options.loss_image_dice,
            options.loss_soft_label,
            options.loss_predicted_iou,
            tuple(options.loss_structures),
            options.soft_label_mm,
        ),
    )
    if vit:
        assert init is not None
        return VitTraining(recipe, options.output, init, device)
    return CompactTraining(recipe, options.output, device)


def _export(
    options: argparse.Namespace,
    training: CompactTraining | VitTraining,
    data: TrainingData,
    recipe: dict[str, Any],
    init: ResolvedWeights | None,
    ending: Ending,
    display: ProgressDisplay,
) -> tuple[Path, ...]:
    history, folder = training.history, training.folder
    best = folder / "best.safetensors"
    chosen_rows = [one for one in history.validations if one["step"] == history.best_step]
    chosen = best if history.best is not None else folder / "average.safetensors"
    figures: dict[str, Any] = {}
    if history.best is not None:
        figures = {k: v for k, v in chosen_rows[-1].items() if k not in ("step", "minutes")}
    notes = initial_weights_note(history)
    for note in notes:
        display.print_line(note)
    training_cases = data.part("training")
    card = model_card.ModelCard(
        name=runs.weights_name(folder),
        kind="segmenter",
        data=model_card.count_data(training_cases),
        split=data.counts(),
        sources=model_card.public_sources(training_cases),
        recipe=recipe,
        command=command_line(options.words),
        run={
            "steps": training.step,
            "minutes": round(training.seconds / 60, 2),
            "device": str(training.device),
            "threads": options.threads,
            "ending": str(ending),
            "steps_left_out": history.skipped,
            "exported_step": history.best_step if figures else training.step,
            "validations": history.validations,
        },
        figures=figures,
        init=recipe["init"],
        init_licence=licence_of(init),
        notes=notes,
    )
    if isinstance(training, VitTraining):
        return tuple(model_card.export(folder, training.finished(chosen), card, ".pth"))
    return tuple(model_card.export(folder, chosen.read_bytes(), card))
