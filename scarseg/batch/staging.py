"""Where the files of a stack wait until its row is kept."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from scarseg.errors import OutputError
from scarseg.io.files import make_folder, refuse_existing


@dataclass(frozen=True)
class StagedFile:
    """A file that waits for the row of its stack: its name in staging, and its place."""

    name: str
    target: Path


class FilePlacer:
    """Decide where the files of one stack are written: in place, or in a staging folder.

    Staged files are moved to their places when the row of the stack is kept: see
    :mod:`scarseg.batch.journal`. A file that is at its place already is staged as a copy, so that
    what writes it finds the same there: it leaves a file of the same content and refuses others.
    """

    def __init__(self, staging: Path | None = None, force: bool = False) -> None:
        self._staging, self._force = staging, force
        self.staged: list[StagedFile] = []
        self._given: dict[str, Path] = {}

    def place(self, target: Path) -> Path:
        """Return where to write a file that is to end up at ``target``.

        Raises:
            OutputError: E_EXISTS, there is a link; E_WRITE.
        """
        if self._staging is None:
            return target
        file = StagedFile(f"{len(self.staged)}-{target.name}", target.absolute())
        staged = self._staging / file.name
        if not self._force and os.path.lexists(target):
            if not target.is_file() or target.is_symlink():
                refuse_existing([target])
            make_folder(self._staging)
            shutil.copyfile(target, staged)
        self.staged.append(file)
        self._given[str(staged)] = target
        return staged

    def error_at_target(self, error: OutputError) -> OutputError:
        """Return an error about a staged file as one about its place."""
        message, path = error.message, error.path
        for staged, target in self._given.items():
            message = message.replace(staged, str(target))
            path = str(target) if path == staged else path
        return OutputError(error.code, message, path)
