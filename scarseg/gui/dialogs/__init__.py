"""Every dialog of the window."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from PyQt6.QtCore import QStandardPaths, Qt, QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QDialog, QFileDialog, QInputDialog, QMessageBox, QWidget

from scarseg.gui.dialogs.about import NOTICE, AboutDialog, about_text
from scarseg.gui.dialogs.earlier_study import EarlierStudy, get_earlier_study
from scarseg.gui.dialogs.export import ExportDialog
from scarseg.gui.dialogs.reading import get_reader, get_reason
from scarseg.gui.dialogs.rereading import (
    RereadingOptions,
    RereadingPlan,
    get_rereading_index,
    get_rereading_plan,
)
from scarseg.gui.dialogs.shortcuts import ShortcutsDialog
from scarseg.gui.dialogs.weights import WeightsChoice, get_weights
from scarseg.gui.session.export import ExportFormat, ExportRequest
from scarseg.models import Models

__all__ = ["NOTICE", "AboutDialog", "Dialogs", "ShortcutsDialog", "about_text"]


class Dialogs:
    """Dialogs of the window; tests replace them by their own answers."""

    def __init__(self, parent: QWidget) -> None:
        self._parent = parent
        self.send_to_archive: Callable[[], None] | None = None
        self.may_send: Callable[[], bool] = bool
        documents = QStandardPaths.StandardLocation.DocumentsLocation
        self._folder = Path(QStandardPaths.writableLocation(documents))

    def folder(self, title: str = "Open folder") -> Path | None:
        chosen = QFileDialog.getExistingDirectory(self._parent, title)
        return Path(chosen) if chosen else None

    def files(self) -> list[Path]:
        chosen, _ = QFileDialog.getOpenFileNames(self._parent, "Open files, DICOMDIR or zip")
        return [Path(name) for name in chosen]

    def save_as(self, title: str, name: str, kind: str) -> Path | None:
        """Show the dialog for a new file; whether to replace one is asked afterwards."""
        chosen, used = QFileDialog.getSaveFileName(
            self._parent,
            title,
            str(self._folder / name),
            kind,
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if not chosen:
            return None
        self._folder = Path(chosen).parent
        return _named(Path(chosen), used, kind)

    def export_request(
        self,
        subjects: tuple[str, str],
        formats: frozenset[ExportFormat],
        n_series: int,
        dicom: bool,
    ) -> ExportRequest | None:
        """Show the dialog for what to export.

        Args:
            subjects: patient, date and series of the open reading, and whose the whole list is.
            formats: ticked at first.
            n_series: how many series the list has.
            dicom: whether there are DICOM files to refer to.
        """
        start = ExportRequest(self._folder, formats)
        send = self.send_to_archive if self.send_to_archive and self.may_send() else None
        dialog = ExportDialog(
            self._parent, subjects, start, n_series, dicom, self._export_folder, send
        )
        given = dialog.exec() == QDialog.DialogCode.Accepted
        request = dialog.request
        dialog.deleteLater()
        if not given:
            return None
        self._folder = request.folder
        return request

    def _export_folder(self) -> Path | None:
        chosen = QFileDialog.getExistingDirectory(
            self._parent, "Export into this folder", str(self._folder)
        )
        return Path(chosen) if chosen else None

    def open_file(self, path: Path) -> bool:
        """Open a file in the program for it; return whether there is one."""
        return QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))

    def confirm(self, text: str, yes: str) -> bool:
        """Show a question; return whether it was accepted. The careful answer is the default."""
        box = QMessageBox(self._parent)
        box.setText(text)
        accept = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.exec()
        return box.clickedButton() is accept

    def reason(self) -> str | None:
        """Return why a slice cannot be read; None where the dialog was dismissed."""
        return get_reason(self._parent)

    def reader(self, current: str) -> str | None:
        """Return the initials of the reader; None where the dialog was dismissed."""
        return get_reader(self._parent, current)

    def rereading(self, offer: RereadingOptions) -> RereadingPlan | None:
        """Return who reads what again; None where the dialog was dismissed."""
        return get_rereading_plan(self._parent, offer)

    def earlier_study(self, subject: str, studies: Sequence[str]) -> EarlierStudy | None:
        """Return which study to compare with; None where the dialog was dismissed."""
        return get_earlier_study(self._parent, subject, studies)

    def case_file(self) -> Path | None:
        """Return a case file; None where the dialog was dismissed."""
        chosen, _ = QFileDialog.getOpenFileName(
            self._parent, "Case file of the earlier study", "", "Case files (*.scarseg)"
        )
        return Path(chosen) if chosen else None

    def weights(self, in_use: str, path: Path | None) -> WeightsChoice | None:
        """Return which weights segment; None where the dialog was dismissed."""
        return get_weights(self._parent, in_use, path, self._checkpoint)

    def _checkpoint(self) -> Path | None:
        kinds = "Weights (*.pth *.pt *.safetensors)"
        chosen, _ = QFileDialog.getOpenFileName(self._parent, "Weights", "", kinds)
        return Path(chosen) if chosen else None

    def which(self, names: list[str]) -> int | None:
        """Return the index of the re-reading to continue; None where the dialog was dismissed."""
        return get_rereading_index(self._parent, names)

    def thickness_mm(self, title: str) -> float | None:
        """Return the slice thickness in mm that the header does not give; None if dismissed."""
        from scarseg.io.dicom.frames import THICKNESS_MM

        value, given = QInputDialog.getDouble(
            self._parent,
            "Slice thickness",
            f"{title}\nThe header gives no slice thickness. Without it there is no mass.\n"
            "Slice thickness in mm:",
            8.0, *THICKNESS_MM, 2,
        )  # fmt: skip
        return value if given else None

    def keys(self) -> None:
        _show(ShortcutsDialog(self._parent))

    def about(self, models: Models | None, problem: str) -> None:
        _show(AboutDialog(self._parent, models, problem))


def _named(path: Path, used: str, kind: str) -> Path:
    """Return a path with the suffix of the chosen kind, unless it has one of its own."""
    suffix = used.rpartition("*")[2].rstrip(")")
    others = {f".{each}" for each in re.findall(r"\*\.(\w+)", kind)}
    return path.with_suffix(suffix) if suffix and path.suffix in {"", *others} else path


def _show(dialog: QDialog) -> None:
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()
