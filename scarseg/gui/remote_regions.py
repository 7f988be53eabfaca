"""Which wall serves as remote: proposed, or where a reader says it is; kept for the session."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QAction

from scarseg.gui import drawing, methods
from scarseg.gui.document import Document
from scarseg.gui.remote_hand import Position, RemoteHand
from scarseg.gui.session import Session
from scarseg.gui.views import Views
from scarseg.labels import Label, MaskArray, infarct_mask


class RemoteRegions(QObject):
    """The remote regions that a reader drew, by stack and slice; the case does not change.

    Signals:
        changed: one was drawn or given up.
        said: a sentence for the reader that does not need an answer.
    """

    changed = pyqtSignal()
    said = pyqtSignal(str)

    def __init__(self, session: Session, views: Views, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._drawn: dict[str, dict[int, MaskArray]] = {}
        self._hand = RemoteHand(views, self._current, self)
        self._hand.drawn.connect(self._take_drawn)
        self._hand.clicked.connect(self._take_clicked)
        self._hand.given_up.connect(self._give_up)

    def take(self, actions: Mapping[str, QAction]) -> None:
        """Take the action that lets go of what is half drawn."""
        actions["let_go"].triggered.connect(self._hand.let_go)

    @property
    def here(self) -> dict[int, MaskArray]:
        """Give the regions (row, column) that were drawn on the open stack, by slice."""
        return self._drawn.setdefault(self._document.case.stack.stack_id, {})

    @property
    def _document(self) -> Document:
        assert self._session.current is not None
        return self._session.current.document

    def _current(self) -> int | None:
        return None if self._session.current is None else self._document.current

    def _take_drawn(self, k: int, corners: list[Position]) -> None:
        blank = np.zeros_like(self._document.case.labels[k])
        filled = drawing.polygon(blank, corners, Label.MYOCARDIUM)
        self._keep(k, np.zeros(blank.shape, dtype=bool) if filled is None else filled.labels > 0)

    def _take_clicked(self, k: int, at: Position) -> None:
        from scarseg.quant.remote import remote_sector

        spacing = self._document.case.stack.pixel_spacing_mm
        self._keep(k, remote_sector(self._wall(k), spacing, at))

    def _keep(self, k: int, region: MaskArray) -> None:
        """Take of a region what is wall and not scar."""
        from scarseg.quant.remote import MINIMUM_VOXELS

        region = region & self._wall(k) & ~infarct_mask(self._document.case.labels[k])
        if np.count_nonzero(region) < MINIMUM_VOXELS:
            self.said.emit(f"Not taken: fewer than {MINIMUM_VOXELS} voxels of wall without scar.")
            return
        self.here[k] = region
        self.changed.emit()

    def _give_up(self, k: int) -> None:
        if self.here.pop(k, None) is not None:
            self.changed.emit()

    def _wall(self, k: int) -> MaskArray:
        """Give the wall of a slice as it stands now, (row, column)."""
        document = self._document
        return methods.searched_wall(methods.clipped(document.case.labels, document.grounds))[k]
