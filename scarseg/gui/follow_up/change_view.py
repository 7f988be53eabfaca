"""Bull's eye of the change between two studies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scarseg.gui.panels.bullseye.faces import CHANGE_COLOURS, SegmentFace, change_face
from scarseg.gui.panels.bullseye.view import BullseyeView
from scarseg.quant.bullseye_layout import change_class, signed_grams
from scarseg.quant.segments import Territory

if TYPE_CHECKING:
    from scarseg.agreement.follow import MassChange


class ChangeView(BullseyeView):
    """Change of every segment in grams; a colour says that it is beyond repeatability."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Bull's eye of the change")
        self._changes: Mapping[str, MassChange] = {}

    def show_changes(self, changes: Mapping[str, MassChange], words: Mapping[int, str]) -> None:
        """Show changes by segment number (``"1"`` to ``"17"``) and territory.

        ``words`` are the tool tips of the segments.
        """
        self._changes, self._words, self._why = changes, words, ""
        texts = [
            f"{name}: {signed_grams(one.change_g)} g"
            for name, one in changes.items()
            if name.isdecimal()
        ]
        self.setAccessibleDescription("Change of scar by segment. " + ", ".join(texts))
        self.update()

    def show_nothing(self, why: str) -> None:
        self._changes = {}
        super().show_nothing(why)

    def _face_of(self, number: int) -> SegmentFace | None:
        change = self._changes.get(str(number))
        return None if change is None else change_face(change.change_g, change.beyond)

    def _artery_text(self, artery: Territory) -> str:
        change = self._changes.get(str(artery))
        return "" if change is None else f"{signed_grams(change.change_g)} g"

    def _legend(self) -> list[tuple[str, str]]:
        shown = {change_class(one.change_g, one.beyond) for one in self._changes.values()}
        return [(str(kind), colour) for kind, colour in CHANGE_COLOURS.items() if kind in shown]
