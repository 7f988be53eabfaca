"""The command that chooses the weights of the segmenter; the choice is remembered."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QSettings

from scarseg.errors import ScarsegError
from scarseg.gui.commands.base import CommandContext, CommandGroup
from scarseg.gui.dialogs.weights import WeightsChoice
from scarseg.models import Models

SEGMENTER_KEY = "models/segmenter"


def remembered_segmenter(settings: QSettings) -> Path | None:
    """Return the checkpoint chosen last, None for the program's own weights."""
    text = str(settings.value(SEGMENTER_KEY, ""))
    return Path(text) if text else None


class WeightsCommands(CommandGroup):
    """Choose weights, load them behind the window, and use them for what comes."""

    def __init__(self, context: CommandContext, settings: QSettings) -> None:
        super().__init__(context)
        self._settings = settings
        self._session.models_ready.connect(self._show_problem)

    def choose(self) -> None:
        """Show the dialog, and load what was chosen; until then the weights in use go on."""
        models = self._session.models
        in_use = "none loaded yet" if models is None else models.segmenter.identity.name
        path = remembered_segmenter(self._settings)
        choice = self._dialogs.weights(in_use, path)
        if choice is None:
            return
        self._session.working.emit(-1.0, "Loading the weights")
        self._session.load_models(
            choice.path,
            done=lambda loaded: self._take(choice, loaded),
            failed=self._refuse,
        )

    def _take(self, choice: WeightsChoice, models: Models) -> None:
        self._session.working.emit(1.0, "")
        self._settings.setValue(SEGMENTER_KEY, "" if choice.path is None else str(choice.path))
        self._session.use_models(models, choice.propose_again)
        self._show_message(f"In use: {models.segmenter.identity.name}")

    def _refuse(self, error: BaseException) -> None:
        self._session.working.emit(1.0, "")
        if not isinstance(error, (ScarsegError, OSError, MemoryError, RuntimeError)):
            raise error
        reason = str(error) or type(error).__name__
        self._session.notice.emit(f"The weights in use stay. {reason}")

    def _show_problem(self) -> None:
        """Show why the remembered checkpoint was not loaded."""
        if self._session.weights.problem:
            self._session.notice.emit(self._session.weights.problem)
            self._session.weights.problem = ""
