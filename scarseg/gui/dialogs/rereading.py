"""Dialog for a blinded re-reading: reader, number of the read, studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QInputDialog,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from scarseg.gui.dialogs.reading import InitialsLine
from scarseg.gui.theme import label

ABOUT = (
    "They come in random order under study codes. Earlier readings stay as they are, out of"
    " sight; at the end a page tells how the readings agree."
)


@dataclass(frozen=True, eq=False)
class RereadingOptions:
    """What can be read again: ``studies`` in words, and the usual reader.

    ``number`` returns, for a reader and the studies chosen by position, which read it would be.
    """

    studies: tuple[str, ...]
    reader: str
    number: Callable[[str, Sequence[int]], int]


@dataclass(frozen=True)
class RereadingPlan:
    """What was entered; ``chosen`` are positions in the options."""

    reader: str
    read_number: int
    proposals: bool
    chosen: tuple[int, ...]


class RereadingDialog(QDialog):
    """Reader, number of the read, studies."""

    def __init__(self, parent: QWidget, offer: RereadingOptions) -> None:
        super().__init__(parent)
        self.setWindowTitle("Read again, blinded")
        self._offer = offer
        self.reader, self.number = InitialsLine(offer.reader), QSpinBox()
        self.number.setRange(1, 99)
        self.number.setAccessibleName("Number of the read")
        self.number.setToolTip("For which time this reader reads these studies")
        self.studies = QListWidget()
        self.studies.setAccessibleName("Studies to read again")
        for words in offer.studies:
            item = QListWidgetItem(words, self.studies)
            item.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
            item.setCheckState(Qt.CheckState.Checked)
        self.proposals = QCheckBox("The models propose, as in the first reading")
        self.proposals.setChecked(True)
        self.proposals.setToolTip("Without: they only answer boxes and points")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        start = self.buttons.addButton("Start", QDialogButtonBox.ButtonRole.AcceptRole)
        assert start is not None
        self.start = start
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.reader.textChanged.connect(self._propose_number)
        self.studies.itemChanged.connect(self._propose_number)
        self._arrange()
        self._propose_number()

    def _arrange(self) -> None:
        about = label(ABOUT, "quiet")
        about.setWordWrap(True)
        who = QFormLayout()
        who.addRow("Reader", self.reader)
        who.addRow("Read number", self.number)
        choice = QHBoxLayout()
        self.count = label("", "quiet", "Studies chosen")
        choice.addWidget(self.count, 1)
        for text, state in (("All", Qt.CheckState.Checked), ("None", Qt.CheckState.Unchecked)):
            button = QPushButton(text)
            button.setAutoDefault(False)
            button.setAccessibleName(f"{text} of the studies")
            button.clicked.connect(lambda _checked, state=state: self._tick(state))
            choice.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addWidget(about)
        layout.addLayout(who)
        layout.addWidget(self.studies, 1)
        layout.addLayout(choice)
        layout.addWidget(self.proposals)
        layout.addWidget(self.buttons)
        self.resize(430, 480)
        self.reader.setFocus()

    @property
    def chosen(self) -> tuple[int, ...]:
        rows = ((row, self.studies.item(row)) for row in range(self.studies.count()))
        return tuple(
            row for row, item in rows if item and item.checkState() is Qt.CheckState.Checked
        )

    @property
    def plan(self) -> RereadingPlan:
        """What was entered."""
        return RereadingPlan(
            self.reader.text(), self.number.value(), self.proposals.isChecked(), self.chosen
        )

    def _tick(self, state: Qt.CheckState) -> None:
        for row in range(self.studies.count()):
            item = self.studies.item(row)
            if item is not None:
                item.setCheckState(state)

    def _propose_number(self, *_: object) -> None:
        named, chosen = self.reader.hasAcceptableInput(), self.chosen
        self.count.setText(f"{len(chosen)} of {self.studies.count()} studies")
        self.start.setEnabled(named and bool(chosen))
        if named and chosen:
            self.number.setValue(self._offer.number(self.reader.text(), chosen))


def get_rereading_plan(parent: QWidget, offer: RereadingOptions) -> RereadingPlan | None:
    """Show the dialog; return what was entered, or None where it was dismissed."""
    dialog = RereadingDialog(parent, offer)
    given = dialog.exec() == QDialog.DialogCode.Accepted
    dialog.deleteLater()
    return dialog.plan if given else None


def get_rereading_index(parent: QWidget, names: Sequence[str]) -> int | None:
    """Show a list of re-readings; return the index of the chosen one, or None."""
    name, given = QInputDialog.getItem(
        parent, "Go on reading again", "Which re-reading?", list(names), 0, False
    )
    return list(names).index(name) if given else None
