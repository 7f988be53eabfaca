"""Steps that the training of a segmenter and of a detector share: data, split, start, end."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scarseg.errors import InputError
from scarseg.models import limit_threads
from scarseg.models.segmenter import choose_device
from scarseg.models.weights import ResolvedWeights, list_weights, resolve_weights
from scarseg.progress import Progress, silent
from scarseg.training import model_card, runs
from scarseg.training.cases import INNER, VALIDATION, TrainingCase, read_data
from scarseg.training.loop import Ending, ValidationHistory
from scarseg.training.progress_display import ProgressDisplay, format_duration
from scarseg.training.splits import Split, keep_split

VALIDATION_SHARE = 0.2
OpenProgress = Callable[[], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class TrainingOutput:
    """Result of a command: the files it wrote, or how to resume the run."""

    ending: Ending
    files: tuple[Path, ...] = ()
    how_to_resume: str = ""


@dataclass(frozen=True)
class TrainingData:
    """Cases of a run and their split into training, validation and held-out patients."""

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
    """Show no progress."""
    yield silent


class ResumableRun(Protocol):
    """A run that starts from weights or is resumed from its checkpoint."""

    step: int
    seconds: float

    def load_initial_weights(self, weights: Path) -> None: ...

    def resume(self) -> None: ...


def start_or_resume(
    folder: Path,
    recipe: dict[str, Any],
    training: ResumableRun,
    data: TrainingData,
    init: ResolvedWeights | None,
    display: ProgressDisplay,
) -> None:
    """Start a run, or resume the one in its folder."""
    if data.resuming:
        runs.require_same_recipe(folder, recipe)
        training.resume()
        spent = format_duration(training.seconds / 60)
        display.print_line(f"going on at step {training.step}, after {spent} of training")
    elif init is not None:
        training.load_initial_weights(init.path)
    runs.write_recipe(folder, recipe)


def set_up_device(options: argparse.Namespace) -> str:
    """Set the number of threads; return the device."""
    device = choose_device(options.device)
    limit_threads(options.threads)
    return device


def data_recipe(options: argparse.Namespace) -> dict[str, Any]:
    """Return the part of the recipe that describes the data, besides the split."""
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


def report_data(display: ProgressDisplay, data: TrainingData, n_validation: int) -> None:
    """Print which patients are trained on and which validate."""
    counts, parts = data.counts(), []
    for kind, n in model_card.count_data(data.part("training")).items():
        parts.append(f"{_n(n['slices'], 'slice')} of {_n(n['patients'], 'patient')} ({kind})")
    display.print_line(f"learning from {', '.join(parts)}")
    if counts["validation"]:
        verb = "chooses" if counts["validation"] == 1 else "choose"
        apart = f"; {counts['held_out']} kept apart" if counts["held_out"] else ""
        who = _n(counts["validation"], "patient")
        display.print_line(f"{who} {verb} the checkpoint ({_n(n_validation, 'slice')}){apart}")
    else:
        display.print_line("no patient is kept for validation: the last weights are exported")


def _n(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def find_init(given: str | None, kind: str) -> ResolvedWeights | None:
    """Return the weights a run begins with; None for random ones.

    Raises:
        WeightsError: as :func:`scarseg.models.weights.resolve_weights`.
    """
    if given is None:
        return None
    return resolve_weights(None if given == "default" else given, kind)


def licence_of(weights: ResolvedWeights | None) -> str:
    """Return the licence of the weights a run begins with, as far as it is known."""
    if weights is None:
        return ""
    for entry in list_weights():
        if entry.sha256 == weights.identity.sha256:
            return entry.licence
    known = weights.card.get("licence")
    return str(known) if known else f"the terms of {weights.path.name}"


def initial_weights_note(history: ValidationHistory) -> tuple[str, ...]:
    """Return a note where the initial weights had the better validation score."""
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
    """Return how to resume a run that was stopped."""
    words = [word for word in options.words if word != "--resume"]
    command = shlex.join(["scarseg", *words, "--resume"])
    return TrainingOutput(
        Ending.STOPPED, how_to_resume=f"Stopped at step {step}. To go on:\n  {command}"
    )


def command_line(words: Sequence[str]) -> str:
    """Return the command as it was typed, paths cut to their last name."""
    cut = [Path(word).name if "/" in word or "\\" in word else word for word in words]
    return shlex.join(["scarseg", *(word for word in cut if word != "--resume")])
