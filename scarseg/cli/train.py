"""``scarseg train``: read the data, split it, train, export; what both commands share."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from scarseg.errors import InputError
from scarseg.models import limit_threads
from scarseg.models.segmenter import choose_device
from scarseg.models.weights import ResolvedWeights, list_weights, resolve_weights
from scarseg.progress import Progress, silent
from scarseg.training import model_card, runs
from scarseg.training.cases import INNER, VALIDATION, TrainingCase, read_data
from scarseg.training.loop import (
    Ending,
    Limits,
    ProgressDisplay,
    StopRequest,
    ValidationHistory,
    format_duration,
    open_display,
)
from scarseg.training.segmenter.compact import CompactTraining, simulated_cases
from scarseg.training.segmenter.losses import LossWeights
from scarseg.training.segmenter.recipe import Recipe
from scarseg.training.segmenter.validate import choose_validation_slices
from scarseg.training.segmenter.vit import DECODER_RATE, ENCODER_RATE, VitTraining
from scarseg.training.splits import Split, keep_split

VALIDATION_SHARE = 0.2
OpenProgress = Callable[[], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class TrainingOutput:
    """How a command ended: the files it left, or how to go on."""

    ending: Ending
    files: tuple[Path, ...] = ()
    go_on: str = ""


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from and is tried on."""

    cases: list[TrainingCase]
    split: Split
    resuming: bool

    def part(self, name: str) -> list[TrainingCase]:
        return self.split.cases(self.cases, name)

    def counts(self) -> dict[str, int]:
        parts = ("training", "validation", "held_out")
        return {name: len({case.patient for case in self.part(name)}) for name in parts}


@contextmanager
def no_progress() -> Iterator[Progress]:
    """Show nothing of the reading."""
    yield silent


def train_segmenter(
    options: argparse.Namespace, reading: OpenProgress = no_progress
) -> TrainingOutput:
    """Train a segmenter as the command line asks; see ``scarseg train segmenter --help``.

    Args:
        options: of :func:`scarseg.cli.train_options.add_segmenter`, and ``words``: the command.
        reading: opens a bar for the reading of the data.

    Raises:
        ScarsegError: data, weights, folder or loss are not what they should be.
    """
    folder: Path = options.output
    resuming = runs.claim_folder(folder, options.resume)
    with runs.lock_folder(folder):
        began = find_init(options.init, "segmenter")
        device = set_up_device(options)
        with reading() as progress:
            material = read_training_data(options, resuming, simulated_cases, INNER, progress)
        with StopRequest() as stop, open_display(sys.stderr) as board:
            training = _segmenter_training(options, began, device)
            recipe = {
                "kind": "segmenter",
                **asdict(training.recipe),
                **data_recipe(options),
                "shares": options.shares,
            }
            start_or_resume(folder, recipe, training, material, began, board)
            ending = _run(options, training, material, board, stop)
            if ending is Ending.STOPPED:
                return stopped_output(options, training.step)
            files = _export(options, training, material, recipe, began, ending, board)
            return TrainingOutput(ending, files)


def _run(
    options: argparse.Namespace,
    training: CompactTraining | VitTraining,
    material: TrainingData,
    board: ProgressDisplay,
    stop: StopRequest,
) -> Ending:
    validation_slices = choose_validation_slices(material.part("validation"), options.seed)
    report_data(board, material, len(validation_slices))
    limits = Limits(patience=options.patience)
    learned = material.part("training")
    if isinstance(training, VitTraining):
        return training.run(learned, validation_slices, limits, board, stop)
    return training.run(
        learned, options.workers, options.shares, validation_slices, limits, board, stop
    )


def _segmenter_training(
    options: argparse.Namespace, began: ResolvedWeights | None, device: str
) -> CompactTraining | VitTraining:
    vit = began is not None and began.path.suffix in (".pth", ".pt")
    rates = (ENCODER_RATE, DECODER_RATE)
    if not vit:
        rates = (Recipe.encoder_rate, Recipe.decoder_rate)
    recipe = Recipe(
        minutes=options.time_budget,
        steps=options.steps,
        init=began.path.name if began else "",
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
        assert began is not None
        return VitTraining(recipe, options.output, began, device)
    return CompactTraining(recipe, options.output, device)


class ResumableRun(Protocol):
    """A run that begins with weights or goes on from its checkpoint."""

    step: int
    seconds: float

    def load_initial_weights(self, weights: Path) -> None: ...

    def resume(self) -> None: ...


def start_or_resume(
    folder: Path,
    recipe: dict[str, Any],
    training: ResumableRun,
    material: TrainingData,
    began: ResolvedWeights | None,
    board: ProgressDisplay,
) -> None:
    """Begin a run, or go on with the one that stands in its folder."""
    if material.resuming:
        runs.require_same_recipe(folder, recipe)
        training.resume()
        spent = format_duration(training.seconds / 60)
        board.say(f"going on at step {training.step}, after {spent} of training")
    elif began is not None:
        training.load_initial_weights(began.path)
    runs.write_recipe(folder, recipe)


def set_up_device(options: argparse.Namespace) -> str:
    """Settle threads and device."""
    device = choose_device(options.device)
    limit_threads(options.threads)
    return device


def data_recipe(options: argparse.Namespace) -> dict[str, Any]:
    """Give what the recipe says of the data, besides the split."""
    return {"simulated": options.simulated, "use_inner": options.use_inner}


def read_training_data(
    options: argparse.Namespace,
    resuming: bool,
    simulated: Callable[[int, int], list[TrainingCase]],
    fixed: Collection[str],
    progress: Progress,
) -> TrainingData:
    """Read and simulate the cases and split them by patient; the split is kept in the folder.

    Args:
        fixed: patients of EMIDEC that validate wherever they are.

    Raises:
        InputError: E_INPUT_EMPTY without any case, and what reading raises.
    """
    cases = read_data(options.data, options.dicom, progress) if options.data else []
    if options.simulated:
        progress(0.0, f"simulating {options.simulated} stacks")
        cases += simulated(options.simulated, options.seed)
    if not cases:
        message = "There is nothing to learn from; name folders of data or give --simulated."
        raise InputError("E_INPUT_EMPTY", message)
    kept = options.output / runs.SPLIT
    path = kept if (resuming and kept.exists()) or options.split is None else options.split
    fixed = () if options.use_inner else fixed
    share = options.validation
    if share is None:
        listed = bool({case.patient for case in cases} & {*fixed, *INNER})
        share = 0.0 if listed else VALIDATION_SHARE
    split = keep_split(path, cases, options.seed, share, fixed)
    if path != kept:
        split.save(kept)
    reported = sorted(set(split.validation) & set(VALIDATION))
    if reported:
        message = (
            f"{path} lets {', '.join(reported)} choose the checkpoint; these patients are kept for"
            " the figures that are reported: list them under held_out."
        )
        raise InputError("E_USAGE", message, str(path))
    if not split.cases(cases, "training"):
        message = "The split leaves no patient to learn from; see --validation and --split."
        raise InputError("E_INPUT_EMPTY", message)
    return TrainingData(cases, split, resuming)


def report_data(board: ProgressDisplay, material: TrainingData, n_tried: int) -> None:
    """Tell what is learned from and what for validation is kept."""
    counts, parts = material.counts(), []
    for kind, n in model_card.count_data(material.part("training")).items():
        parts.append(f"{_n(n['slices'], 'slice')} of {_n(n['patients'], 'patient')} ({kind})")
    board.say(f"learning from {', '.join(parts)}")
    if counts["validation"]:
        verb = "chooses" if counts["validation"] == 1 else "choose"
        apart = f"; {counts['held_out']} kept apart" if counts["held_out"] else ""
        who = _n(counts["validation"], "patient")
        board.say(f"{who} {verb} the checkpoint ({_n(n_tried, 'slice')}){apart}")
    else:
        board.say("no patient is kept for validation: the last weights are exported")


def _n(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def find_init(given: str | None, kind: str) -> ResolvedWeights | None:
    """Find the weights a run begins with; None for chance.

    Raises:
        WeightsError: as :func:`scarseg.models.weights.resolve_weights`.
    """
    if given is None:
        return None
    return resolve_weights(None if given == "default" else given, kind)


def licence_of(weights: ResolvedWeights | None) -> str:
    """Give the terms of the weights a run begins with, as far as they are known."""
    if weights is None:
        return ""
    for entry in list_weights():
        if entry.sha256 == weights.identity.sha256:
            return entry.licence
    known = weights.card.get("licence")
    return str(known) if known else f"the terms of {weights.path.name}"


def initial_weights_note(history: ValidationHistory) -> tuple[str, ...]:
    """Say so where training has not helped, as far as the validation patients can tell."""
    if (
        history.initial_score is None
        or history.best is None
        or history.best > history.initial_score
    ):
        return ()
    return (
        "The weights it began with did better on the validation patients:"
        f" {history.initial_score:.3f} against {history.best:.3f}.",
    )


def stopped_output(options: argparse.Namespace, step: int) -> TrainingOutput:
    """Say how to go on with a run that was asked to stop."""
    words = [word for word in options.words if word != "--resume"]
    return TrainingOutput(
        Ending.STOPPED,
        go_on=f"Stopped at step {step}. To go on:\n  scarseg {shlex.join([*words, '--resume'])}",
    )


def command_line(words: Sequence[str]) -> str:
    """Give the command as it was typed, paths cut to their last name."""
    cut = [Path(word).name if "/" in word or "\\" in word else word for word in words]
    return shlex.join(["scarseg", *(word for word in cut if word != "--resume")])


def _export(
    options: argparse.Namespace,
    training: CompactTraining | VitTraining,
    material: TrainingData,
    recipe: dict[str, Any],
    began: ResolvedWeights | None,
    ending: Ending,
    board: ProgressDisplay,
) -> tuple[Path, ...]:
    history, folder = training.history, training.folder
    best = folder / "best.safetensors"
    tried = [one for one in history.validations if one["step"] == history.best_step]
    chosen = best if history.best is not None else folder / "average.safetensors"
    figures: dict[str, Any] = {}
    if history.best is not None:
        figures = {k: v for k, v in tried[-1].items() if k not in ("step", "minutes")}
    notes = initial_weights_note(history)
    for note in notes:
        board.say(note)
    learned = material.part("training")
    card = model_card.ModelCard(
        name=runs.weights_name(folder),
        kind="segmenter",
        data=model_card.count_data(learned),
        split=material.counts(),
        sources=model_card.public_sources(learned),
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
        init_licence=licence_of(began),
        notes=notes,
    )
    if isinstance(training, VitTraining):
        return tuple(model_card.export(folder, training.finished(chosen), card, ".pth"))
    return tuple(model_card.export(folder, chosen.read_bytes(), card))
