"""Commands that change the labels of a slice: prompts, drawings, the models, copies."""

from __future__ import annotations

import numpy as np

from scarseg.case import changes
from scarseg.case.history import Cause
from scarseg.case.labels import LabelArray, heart_differs
from scarseg.gui.commands.base import CommandGroup
from scarseg.gui.session.inference import Inference
from scarseg.gui.session.inference_jobs import load_gate
from scarseg.gui.tools import drawing, prompts
from scarseg.quant import mvo, remote, scar_checks


class SegmentationCommands(CommandGroup):
    """Apply prompts and drawings, and request segmentations of the current slice."""

    @property
    def _inference(self) -> Inference | None:
        return None if self._session.current is None else self._session.current.inference

    def prompted(self, outcome: prompts.Prompted) -> None:
        """Set new boxes or points and request their answer at once."""
        document, inference = self.editable, self._inference
        if document is None or inference is None:
            return
        k = document.current
        # Prompts for wall and blood pool correct them and keep the scar, unless an answer that
        # includes the scar is due anyway.
        wall_only = not inference.awaits_scar_answer(k) and not changes.scar_prompts_changed(
            document.reading.prompts, outcome.prompts
        )
        document.push(changes.set_prompts(document.case, k, outcome.verb, outcome.prompts))
        ventricle = outcome.verb == prompts.VENTRICLE
        if wall_only and not ventricle:
            inference.correct_wall(k)
        else:
            self._answer(ventricle)

    def _answer(self, ventricle: bool = False) -> None:
        """Request an answer to the prompts of this slice, unless that would lose a drawing."""
        document, inference = self.document, self._inference
        assert document is not None and inference is not None
        k = document.current
        if inference.is_drawn_manually(k):
            anew = "Shift+L proposes wall and pool" if ventricle else "Space segments it"
            self._show_message(f"This slice was drawn by hand: {anew} anew.")
        elif ventricle:
            inference.relocate(k)
        else:
            inference.segment(k)

    def painted(self, outcome: drawing.Painted) -> None:
        """Set labels that were drawn on the current slice."""
        document = self.document
        if document is not None:
            k, moved = document.current, heart_differs(document.labels, outcome.labels)
            document.push(changes.paint(document.case, k, outcome.verb, outcome.labels))
            if moved and self._inference is not None:
                self._inference.refill(k)

    def clip(self) -> None:
        """Remove the scar outside the wall."""
        document = self.editable
        if document is None:
            return
        labels, under_scar = document.labels, document.labels_under_scar[document.current]
        if not scar_checks.has_wall(under_scar):
            self._show_message("There is no wall on this slice to clip scar to.")
            return
        nothing = "All scar of this slice lies within the wall."
        self._redraw("clip scar to the wall", scar_checks.clip_to_wall(labels, under_scar), nothing)

    def propose_mvo(self) -> None:
        """Label the dark cores within scar as MVO, where there are any."""
        document = self.editable
        if document is None:
            return
        signal = remote.remote_signal(document.case)
        if signal is None:
            self._show_message("There is no remote wall in this stack to tell a dark core by.")
            return
        stack = document.case.stack
        pixels, spacing = stack.pixels[document.current], stack.pixel_spacing_mm
        labels = mvo.label_mvo(pixels, document.labels, signal, spacing)
        if np.array_equal(labels, document.labels):
            self._show_message("No dark core lies within the scar of this slice.")
        document.push(changes.label_mvo(document.case, document.current, labels))

    def show_withheld(self) -> None:
        """Show the scar that was withheld because the whole stack is probably free of it."""
        document = self.editable
        if document is None:
            return
        found = load_gate().show_changes(document.case)
        if not found:
            self._show_message("No scar of the models is withheld on a slice to be read.")
            return
        with document.one_step("show withheld scar"):
            for n, change in enumerate(found):
                document.push(change, cause=Cause.GATE, counts=n == 0)

    def _redraw(self, verb: str, labels: LabelArray, otherwise: str) -> None:
        """Set labels that a command computed; show ``otherwise`` where they change nothing."""
        assert self.document is not None
        if np.array_equal(labels, self.document.labels):
            self._show_message(otherwise)
        else:
            self.painted(drawing.Painted(verb, labels))

    def segment(self) -> None:
        """Segment the current slice with its boxes and points."""
        if self._inference is not None and self.document is not None:
            self._inference.segment(self.document.current)

    def propose_wall(self) -> None:
        """Propose wall and blood pool of the current slice anew; its scar stays."""
        if self._inference is not None and self.document is not None:
            self._inference.propose_wall(self.document.current)

    def propose_again(self) -> None:
        """Propose the current slice anew."""
        if self._inference is not None and self.document is not None:
            self._inference.propose_again(self.document.current)

    def copy(self, by: int) -> None:
        """Copy labels and prompts to the slice ``by`` further."""
        document = self.editable
        if document is None:
            return
        target = document.current + by
        if 0 <= target < document.case.stack.n_slices:
            under_scar = document.labels_under_scar[document.current].copy()
            document.push(
                changes.copy_slice(document.case, document.current, target), under_scar=under_scar
            )
            document.go_to(target)

    def carry(self, by: int) -> None:
        """Copy the boxes of this slice to the slice ``by`` further, and segment there."""
        document = self.editable
        if document is None:
            return
        source, target = document.current, document.current + by
        if not document.reading.prompts.boxes:
            self._show_message("There is no box on this slice to carry.")
        elif 0 <= target < document.case.stack.n_slices:
            document.push(changes.copy_boxes(document.case, source, target))
            document.go_to(target)
            self._answer()
