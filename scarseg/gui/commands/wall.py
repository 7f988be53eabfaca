"""Commands that move the contours of the wall: by a drag, or whole by half a pixel."""

from __future__ import annotations

from scarseg.case import changes
from scarseg.case.history import Cause, SliceStatus
from scarseg.case.labels import Label
from scarseg.gui.commands.base import CommandContext, CommandGroup
from scarseg.gui.tools.contours import NUDGE, Border, ContourCache, WallMoved, move_wall


class WallCommands(CommandGroup):
    """Apply moved contours; scar follows within the new wall.

    Scar of the models is predicted anew inside it, which takes a moment; scar that is a reader's
    stays, and goes on where new wall is as bright (:mod:`scarseg.segmentation.moved_wall`).

    ``contours`` keeps them to a fraction of a pixel, for the views too.
    """

    def __init__(self, context: CommandContext) -> None:
        super().__init__(context)
        self.contours = ContourCache()

    def moved(self, outcome: WallMoved) -> None:
        """Set the labels of a contour that was dragged on the current slice."""
        document = self.editable
        if document is not None:
            self._move(document.current, outcome)

    def nudge(self, border: Border, direction: int) -> None:
        """Move a whole contour of the current slice half a pixel out (1) or in (-1)."""
        document = self.editable
        if document is None:
            return
        found = self._nudged(document.current, border, direction)
        if isinstance(found, str):
            self._show_message(found)
        elif found is not None:
            self._move(document.current, found)

    def nudge_all(self, border: Border, direction: int) -> None:
        """Move a contour of every slice half a pixel out (1) or in (-1), as one step."""
        document = self.editable
        if document is None:
            return
        found = {
            k: self._nudged(k, border, direction)
            for k, reading in enumerate(document.case.readings)
            if reading.status is not SliceStatus.NOT_ASSESSABLE
        }
        moved = {k: one for k, one in found.items() if isinstance(one, WallMoved)}
        if not moved:
            self._show_message(f"No slice has an {border} to move.")
            return
        name = f"nudge the {border} {'out' if direction > 0 else 'in'} on all slices"
        with document.one_step(name):
            waiting = [k for n, (k, one) in enumerate(moved.items()) if self._apply(k, one, n == 0)]
        # No scar is predicted anew here: it would come as a step of undo for every slice.
        self._answer(waiting)

    def _nudged(self, k: int, border: Border, direction: int) -> WallMoved | str | None:
        """Return the labels of a nudged contour; None where no pixel changes, or why it cannot."""
        document = self.document
        assert document is not None
        labels, under_scar = document.case.labels[k], document.labels_under_scar[k]
        before = self.contours.of(under_scar)
        if before is None or before[border] is None:
            return f"There is no {border} on this slice to move."
        after = before.nudged(border, NUDGE * direction)
        if after is None:
            return f"The {border} cannot be made smaller."
        verb = f"nudge the {border} {'out' if direction > 0 else 'in'}"
        moved = move_wall(verb, labels, under_scar, before, after)
        self.contours.store(under_scar if moved is None else moved.under_scar, after)
        return moved

    def _move(self, k: int, moved: WallMoved) -> None:
        assert self._session.current is not None
        inference = self._session.current.inference
        refills = inference.refills(k)
        if self._apply(k, moved, counts=True, follows=not refills):
            self._answer([k])
        elif refills:
            inference.refill(k)

    def _answer(self, slices: list[int]) -> None:
        """Request answers that were due before the wall was moved, within the new wall."""
        assert self._session.current is not None
        for k in slices:
            self._session.current.inference.segment(k)

    def _apply(self, k: int, moved: WallMoved, counts: bool, follows: bool = True) -> bool:
        """Push the change to a moved wall; ``follows``: with the scar of its new part.

        Returns whether an answer was due: the change has cancelled it.
        """
        from scarseg.segmentation.calibration import calibrated  # scipy waits till now
        from scarseg.segmentation.moved_wall import scar_in_moved_wall

        document, current = self.document, self._session.current
        assert document is not None and current is not None
        inference, case = current.inference, document.case
        drawn, waits = inference.is_drawn_manually(k), inference.awaits_scar_answer(k)
        logits = inference.current_logits(k)
        labels = moved.labels
        if follows and case.readings[k].status is not SliceStatus.NO_SCAR:
            wall = moved.under_scar == Label.MYOCARDIUM
            new_wall = wall & (document.labels_under_scar[k] != Label.MYOCARDIUM)
            labels = scar_in_moved_wall(
                case.stack.pixels[k],
                case.labels[k],
                labels,
                new_wall,
                None if drawn else logits,
                calibrated(case.calibration),
            )
        change = changes.move_wall(case, k, moved.verb, labels)
        document.push(change, under_scar=moved.under_scar, cause=Cause.CONTOUR, counts=counts)
        if logits is not None and not drawn:
            # Boxes and points go on being answered: the wall is drawn, its scar is not.
            inference.store_prediction(k, logits)
        return waits
