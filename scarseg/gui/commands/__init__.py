"""What the actions do to the session, in groups: studies, slices, segmentation, export."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PyQt6.QtCore import QObject, QSettings, pyqtSignal

from scarseg.gui.actions import Actions
from scarseg.gui.commands.base import CommandContext
from scarseg.gui.commands.export import ExportCommands
from scarseg.gui.commands.reader import ReaderName
from scarseg.gui.commands.segmentation import SegmentationCommands
from scarseg.gui.commands.slices import SliceCommands
from scarseg.gui.commands.studies import StudyCommands
from scarseg.gui.commands.wall import WallCommands
from scarseg.gui.commands.weights import WeightsCommands
from scarseg.gui.dialogs import Dialogs
from scarseg.gui.session.document import Document
from scarseg.gui.session.session import Session
from scarseg.gui.tools.contours import Border

__all__ = ["Commands", "ReaderName"]


class Commands(QObject):
    """The groups of commands, connected with their actions.

    Signals:
        said: a sentence for the reader that does not need an answer.
    """

    said = pyqtSignal(str)

    def __init__(
        self,
        session: Session,
        dialogs: Dialogs,
        actions: Actions,
        settings: QSettings,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._context = CommandContext(session, dialogs, self.said.emit)
        self.studies = StudyCommands(self._context)
        self.slices = SliceCommands(self._context)
        self.segmentation = SegmentationCommands(self._context)
        self.wall = WallCommands(self._context)
        self.export = ExportCommands(self._context, settings)
        self.weights = WeightsCommands(self._context, settings)
        self.reader = ReaderName(self._context, settings, self)
        self.reader.changed.connect(self.said)
        session.thickness_needed.connect(self.studies.ask_thickness)
        self._connect(actions)

    @property
    def dialogs(self) -> Dialogs:
        """Questions to the reader."""
        return self._context.dialogs

    @dialogs.setter
    def dialogs(self, dialogs: Dialogs) -> None:
        self._context.dialogs = dialogs

    @property
    def document(self) -> Document | None:
        """The open document."""
        return None if self._session.current is None else self._session.current.document

    def _connect(self, actions: Actions) -> None:
        actions["identify"].setChecked(self.export.identify)
        actions["identify"].toggled.connect(self.export.set_identify)
        studies, slices, segmentation = self.studies, self.slices, self.segmentation
        actions.connect(
            {
                "open_folder": studies.open_folder,
                "open_files": studies.open_files,
                "open_last": studies.open_last,
                "demo": studies.demo,
                "next_study": studies.next_study,
                "save": studies.save,
                "previous_slice": partial(slices.step, -1),
                "next_slice": partial(slices.step, 1),
                "reopen": slices.reopen,
                "no_scar": slices.no_scar,
                "not_assessable": slices.not_assessable,
                "undo": slices.undo,
                "redo": slices.redo,
                "segment": segmentation.segment,
                "propose_again": segmentation.propose_again,
                "propose_wall": segmentation.propose_wall,
                **self._nudges(),
                "clip": segmentation.clip,
                "propose_mvo": segmentation.propose_mvo,
                "show_withheld": segmentation.show_withheld,
                "copy_up": partial(segmentation.copy, -1),
                "copy_down": partial(segmentation.copy, 1),
                "carry_up": partial(segmentation.carry, -1),
                "carry_down": partial(segmentation.carry, 1),
                "export": self.export.export_csv,
                "export_all": self.export.export_list,
                "export_parts": self.export.export_formats,
                "report": self.export.write_page,
                "save_prompts": self.export.save_prompts,
                "reader": self.reader.set_reader,
                "weights": self.weights.choose,
            }
        )

    def _nudges(self) -> dict[str, Callable[[], None]]:
        """Return what the actions that nudge a contour do."""
        return {
            f"{border}_{way}{suffix}": partial(nudge, border, direction)
            for border in Border
            for way, direction in (("out", 1), ("in", -1))
            for suffix, nudge in (("", self.wall.nudge), ("_all", self.wall.nudge_all))
        }
