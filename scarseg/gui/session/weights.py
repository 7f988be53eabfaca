"""Which segmenter the window uses: the program's own, or a checkpoint that the reader chose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scarseg.errors import ScarsegError
from scarseg.models import Models


@dataclass
class ChosenWeights:
    """Load the models with the chosen segmenter; called on the inference worker.

    Where the chosen file cannot be loaded the program's own weights are, and ``problem`` says why.

    Args:
        path: of the segmenter, None for the program's own.
        load: loads both models with a segmenter.
    """

    path: Path | None
    load: Callable[[Path | None], Models]
    problem: str = ""

    def __call__(self) -> Models:
        self.problem = ""
        if self.path is None:
            return self.load(None)
        try:
            return self.load(self.path)
        except ScarsegError as error:
            self.problem = f"{error} The program's own weights are in use."
            return self.load(None)
