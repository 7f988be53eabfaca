"""What is saved, how far the models are and the reading time, in the status bar."""

from __future__ import annotations

from PyQt6.QtCore import QObject

from scarseg.case.case import Case
from scarseg.gui import theme
from scarseg.gui.panels.status_bar import StatusBar
from scarseg.gui.session.autosave import SaveState
from scarseg.gui.session.inference_state import Readiness
from scarseg.gui.session.session import Session
from scarseg.models import Models

SAVE_COLOURS = {
    SaveState.SAVED: theme.GREEN,
    SaveState.UNSAVED: theme.YELLOW,
    SaveState.SAVING: theme.YELLOW,
    SaveState.FAILED: theme.RED,
    SaveState.READ_ONLY: theme.VIOLET,
}


class StatusPresenter(QObject):
    """Show in the status bar what is saved, how far the models are, and the reading time."""

    def __init__(self, session: Session, status_bar: StatusBar, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._status_bar = session, status_bar

    def saved_changed(self) -> None:
        """Show whether the last change is saved."""
        if self._session.current is None:
            return
        state = self._session.current.saver.state
        self._status_bar.show_saved(state.value, SAVE_COLOURS[state])

    def models_changed(self) -> None:
        """Show how far the models are."""
        session = self._session
        current = session.current
        if session.models is None and current is not None and current.document.read_only:
            self._status_bar.models.setText(_weights(current.document.case))
            return
        if session.models is None:
            self._status_bar.show_progress(1.0, "")
            self._status_bar.models.setText(
                "no models" if session.models_problem else "loading models …"
            )
            return
        if current is not None and current.inference.proposing:
            n, ready = current.document.case.stack.n_slices, current.inference.n_ready
            text, part = f"{ready} of {n} slices ready", 0.0
            if (under_way := current.inference.embedding_now) is not None:
                k, part = under_way
                text += f" · embedding slice {k + 1}, {100 * part:.0f} %"
            self._status_bar.show_progress((ready + part) / n, text)
            return
        self._status_bar.show_progress(1.0, "")
        text = _weights(session.models)
        if current is not None and Readiness.FAILED not in current.inference.readiness:
            text = f"all slices ready · {text}"
        self._status_bar.models.setText(text)

    def show_clock(self) -> None:
        """Show reading time and count of corrections."""
        if self._session.current is None:
            return
        case = self._session.current.document.case
        minutes, seconds = divmod(int(case.seconds), 60)
        n = case.interactions
        self._status_bar.clock.setText(
            f"{minutes:02d}:{seconds:02d} · {n} step{'' if n == 1 else 's'}"
        )


def _weights(used: Models | Case) -> str:
    """Return the segmenter's name, and the calibration; of a case those that ran last."""
    identity = used.segmenter if isinstance(used, Case) else used.segmenter.identity
    if not identity.name:
        return ""
    text = f"{identity.name} ({'verified' if identity.verified else 'unverified'})"
    if used.calibration is not None:
        text += f" · calibration {used.calibration.sha256[:8]}"
    return text
