"""Line over the picture with patient, date and series; the window's title shows the same."""

from __future__ import annotations

from functools import partial

from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QLabel, QSizePolicy, QWidget

from scarseg.gui.actions import Actions
from scarseg.gui.panels.studies import StudiesPanel
from scarseg.gui.session.session import Session
from scarseg.gui.session.studies.study import PatientLabel

PATIENT_KEY = "view/patient"
HIDDEN_NOTE = "  (hidden by the filter of the list: keys are off; Esc in Find shows it)"


class PatientHeader(QLabel):
    """Show whose heart is open, by ID, initials or name; a blinded case by its code."""

    def __init__(
        self,
        session: Session,
        studies: StudiesPanel,
        settings: QSettings,
        actions: Actions,
        window: QWidget,
    ) -> None:
        super().__init__()
        self._session, self._studies, self._settings = session, studies, settings
        self._actions, self._window = actions, window
        self.setObjectName("subject")
        self.setAccessibleName("Open patient, date and series")
        self.setContentsMargins(10, 4, 10, 4)
        # A long name must not widen the window; the whole is in the tool tip.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for style in PatientLabel:
            actions[f"patient_{style}"].triggered.connect(partial(self._choose, style))
        stored = str(settings.value(PATIENT_KEY, PatientLabel.ID))
        self._choose(PatientLabel(stored) if stored in list(PatientLabel) else PatientLabel.ID)
        session.opened.connect(self.refresh)
        session.study_list_changed.connect(self.refresh)
        studies.open_row_hidden.connect(self.refresh)

    def _choose(self, style: PatientLabel, _checked: bool = False) -> None:
        """Choose what patients are called in title, list and dialogs, and remember it."""
        self._actions[f"patient_{style}"].setChecked(True)
        self._settings.setValue(PATIENT_KEY, str(style))
        self._session.scanner.study_list.set_patient_label(style)
        self._session.study_list_changed.emit()

    def refresh(self) -> None:
        """Show what is open now."""
        subject = self._session.open_title
        self._window.setWindowTitle(f"{subject} — scarseg" if subject else "scarseg")
        self.setText(subject + HIDDEN_NOTE if self._studies.hides_open else subject)
        self.setToolTip(subject)
        self.setVisible(bool(subject))
