"""Commands that move between slices and set the status of a slice."""

from __future__ import annotations

from scarseg.case import changes
from scarseg.case.history import SliceStatus
from scarseg.gui.commands.base import CommandGroup


class SliceCommands(CommandGroup):
    """Change the current slice; accept, mark and reopen slices; undo and redo."""

    def step(self, by: int) -> None:
        """Move ``by`` slices further, at most to the first or the last one."""
        if self.document is not None:
            n = self.document.case.stack.n_slices
            self.document.go_to(min(max(self.document.current + by, 0), n - 1))

    def go_to(self, slice_index: int) -> None:
        """Set the current slice."""
        if self.document is not None:
            self.document.go_to(slice_index)

    def go_to_unread(self) -> None:
        """Move to the next slice that is not read yet."""
        assert self.document is not None
        following = changes.next_unread(self.document.case, self.document.current)
        if following is None:
            self._show_message("Every slice is read. Ctrl+E exports, Tab opens the next study.")
        else:
            self.document.go_to(following)

    def go_to_doubtful(self) -> None:
        """Move to the next slice to be read that is doubtful; without any, to one not seen yet."""
        current = self._session.current
        assert current is not None
        document = current.document
        n, here = document.case.stack.n_slices, document.current
        doubtful = current.doubts.unread()
        onwards = [(here + step) % n for step in range(1, n + 1)]
        unread = [k for k in onwards if not document.case.readings[k].status.read]
        hidden = [k for k in unread if k not in document.viewed]
        following = [k for k in onwards if k in doubtful] or hidden or unread
        if not following:
            self._show_message("Every slice is read. Ctrl+E exports, Tab opens the next study.")
            return
        document.go_to(following[0])
        if not doubtful:
            seen = len(unread) - len(hidden)
            rest = f"; Shift+Enter accepts the {seen} you have seen" if seen else ""
            self._show_message(f"Nothing doubtful is left, {len(unread)} to read{rest}.")

    def accept(self) -> None:
        """Accept the proposal on the current slice and go to the next doubtful one."""
        document = self.editable
        if document is None:
            return
        k = document.current
        if self._session.current is not None and k in self._session.current.inference.pending:
            self._show_message("The model has not answered yet: accept when the mask is there.")
        elif changes.can_accept(document.case, k):
            document.push(changes.accept(document.case, k))
            self.go_to_doubtful()
        else:
            self._show_message("Nothing is proposed here yet: wait, draw, or press N for no scar.")

    def accept_seen(self) -> None:
        """Accept every proposal that was on the screen; slices not shown stay to be read."""
        document = self.editable
        if document is None or self._session.current is None:
            return
        case, waiting = document.case, self._session.current.inference.pending
        seen = [
            k
            for k in sorted(document.viewed - waiting)
            if case.readings[k].status is SliceStatus.PROPOSED
        ]
        if seen:
            with document.one_step(f"accept {len(seen)} slice{'s' if len(seen) > 1 else ''}"):
                for k in seen:
                    document.push(changes.accept(case, k), counts=k == seen[0])
        left = case.stack.n_slices - case.n_slices_reviewed
        if left and seen:
            self.go_to_unread()
        rest = f"{left} to look at: the arrow keys show them." if left else "Every slice is read."
        self._show_message(f"{len(seen)} of the slices you looked at accepted. {rest}")

    def reopen(self) -> None:
        """Set the current slice back to be read; its labels stay."""
        document = self.editable
        if document is None:
            return
        if not document.reading.status.read:
            self._show_message("This slice is not read yet.")
            return
        emptied = document.reading.status is SliceStatus.NOT_ASSESSABLE
        document.push(changes.reopen(document.case, document.current))
        if emptied:
            self._show_message("To be read again. Ctrl+R lets the models propose it anew.")

    def no_scar(self) -> None:
        """Mark the current slice as without scar and go on."""
        document = self.editable
        if document is not None:
            document.push(changes.mark_no_scar(document.case, document.current))
            self.go_to_doubtful()

    def not_assessable(self) -> None:
        """Mark the current slice as not assessable, with the reader's reason, and go on."""
        document = self.editable
        if document is None:
            return
        k = document.current
        reason = self._dialogs.reason()
        if reason is not None:
            document.push(changes.mark_not_assessable(document.case, k, reason))
            self.go_to_doubtful()

    def undo(self) -> None:
        """Undo one step and show the slice where it happened."""
        self._undo_or_redo(forward=False)

    def redo(self) -> None:
        """Redo one step and show the slice where it happened."""
        self._undo_or_redo(forward=True)

    def _undo_or_redo(self, forward: bool) -> None:
        document = self.document
        if document is None:
            return
        stack = document.undo_stack
        command = stack.command(stack.index() if forward else stack.index() - 1)
        if command is None:
            return
        document.go_to(document.slice_of(command))
        document.case.count_interaction(document.current)
        with document.grouped():
            (stack.redo if forward else stack.undo)()

    def go_to_step(self, index: int) -> None:
        """Undo or redo until ``index`` steps are done."""
        if self.document is not None:
            self.document.go_to_step(index)
