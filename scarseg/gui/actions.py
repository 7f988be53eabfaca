"""Table of everything a reader can do: text, keys, menu and tool tip, and the QActions made of it.

The menu, the tool bar, the tool tips and the list of keyboard shortcuts all read this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QActionGroup, QKeySequence
from PyQt6.QtWidgets import QWidget

from scarseg.gui.theme import wrapped


@dataclass(frozen=True)
class ActionSpec:
    """One row of the table.

    ``menu`` is the title of its menu; an empty one keeps it out of the menus, not out of the list
    of shortcuts. ``group`` makes it one of several of which one is checked; ``toggles`` makes it
    checkable.
    """

    name: str
    menu: str
    text: str
    keys: tuple[str, ...]
    tip: str
    group: str = ""
    toggles: bool = False
    needs_case: bool = True


def _(
    name: str,
    menu: str,
    text: str,
    keys: str,
    tip: str,
    group: str = "",
    toggles: bool = False,
    needs_case: bool = True,
) -> ActionSpec:
    """Build a row; ``keys`` are its shortcuts, with spaces between them."""
    return ActionSpec(name, menu, text, tuple(keys.split()), tip, group, toggles, needs_case)


# fmt: off
ACTIONS: tuple[ActionSpec, ...] = (
    # File
    _("open_folder", "File", "Open folder …", "Ctrl+O",
      "Open a folder of DICOM files", needs_case=False),
    _("open_files", "File", "Open files or zip …", "Ctrl+Alt+O",
      "Open DICOM files, a DICOMDIR, a zip or a case file", needs_case=False),
    _("open_archive", "File", "Open from archive …", "Ctrl+Shift+O",
      "Search a PACS, fetch a study and open it", needs_case=False),
    _("open_last", "File", "Open the last folder", "",
      "Open the folder of last time; remembered where it holds several patients and names "
      "none", needs_case=False),
    _("demo", "File", "Demo study", "", "Make a simulated study and open it", needs_case=False),
    _("next_study", "File", "Next unread study", "Tab",
      "Open the next study that is not read yet", needs_case=False),
    _("find_study", "File", "Find a study", "Ctrl+F",
      "Type a part of a name, date or state to filter the list; Enter opens the first found",
      needs_case=False),
    _("export", "File", "Export CSV of this patient …", "Ctrl+E",
      "Write this reading as CSV, one row and one per-slice file; named .xlsx, as a workbook"),
    _("export_parts", "File", "Export report, masks, tables …", "Shift+E",
      "Tick what to write into a folder: CSV, workbook, PDF report, NIfTI, DICOM SEG, "
      "RTSTRUCT and structured report; of this patient or of the list"),
    _("report", "File", "Page of this patient", "F9",
      "Write the report of this reading as PDF into the folder of the last export, and open it"),
    _("follow_up", "File", "Compare with earlier study …", "F7",
      "Show another study of this patient beside this one: change in grams, linked slices, "
      "bull's eye of the change"),
    _("identify", "File", "Name and ID on the page", "",
      "Print the real name and ID on the page and name its file by the ID, instead of a pseudonym",
      toggles=True, needs_case=False),
    _("export_all", "File", "Export CSV of the whole list …", "Ctrl+Shift+E",
      "Write every reading of the list as one CSV"),
    _("send_archive", "File", "Send to archive …", "Ctrl+Shift+S",
      "Send segmentation, structured report and page to the patient's study in a PACS"),
    _("archive_servers", "File", "Servers …", "",
      "Add, change and test the archives to open from and send to", needs_case=False),
    _("archive_receive", "File", "Receive", "",
      "Take images that scanners and archives send; off at every start unless set",
      toggles=True, needs_case=False),
    _("weights", "File", "Weights …", "",
      "Choose the segmenter: the program's own weights, or a SAM or MedSAM checkpoint of yours",
      needs_case=False),
    _("save_prompts", "File", "Save prompts …", "",
      "Write boxes and points as JSON that scarseg batch --prompts takes"),
    _("reader", "File", "Reader …", "",
      "Give the initials of who reads: they are kept, and written into each case and export",
      needs_case=False),
    _("reread", "File", "Read again, blinded …", "Ctrl+U",
      "Read studies again in random order under codes, and see how the readings agree",
      needs_case=False),
    _("reread_resume", "File", "Go on reading again …", "",
      "Go on with a blinded re-reading that is not finished", needs_case=False),
    _("reread_finish", "File", "Finish the re-reading …", "Ctrl+Shift+U",
      "Write how the readings agree, as a page with its numbers and tables", needs_case=False),
    _("reread_leave", "File", "Leave the re-reading", "",
      "Leave the re-reading as it is; it can be gone on with", needs_case=False),
    _("save", "File", "Save now", "Ctrl+S",
      "Save now; every change is saved by itself within a second"),
    _("quit", "File", "Quit", "Ctrl+Q", "Save and leave", needs_case=False),
    # Edit
    _("undo", "Edit", "Undo", "Ctrl+Z", "Take back the last step"),
    _("redo", "Edit", "Redo", "Ctrl+Y Ctrl+Shift+Z", "Do the step again"),
    _("history", "Edit", "History", "Y",
      "Show every step of this case; a click, or the arrow keys, go back and forward to it",
      toggles=True),
    _("delete", "Edit", "Delete box or point", "Del Backspace", "Delete the selected box or point"),
    _("copy_up", "Edit", "Copy to the slice before", "Ctrl+Up",
      "Copy labels and prompts to the slice before"),
    _("copy_down", "Edit", "Copy to the slice after", "Ctrl+Down",
      "Copy labels and prompts to the slice after"),
    # Tools
    _("box", "Tools", "Box", "B",
      "Drag round a scar, or round blood pool or wall with label 1 or 2; drag handles to "
      "resize, the border to move", group="tool"),
    _("point", "Tools", "Point", "P",
      "Click into scar (blood pool or wall with label 1 or 2), Alt-click where there is none;"
      " click a point to delete it", group="tool"),
    _("ventricle", "Tools", "Ventricle", "L",
      "Drag round the outer border of the left ventricle where it was not found", group="tool"),
    _("brush", "Tools", "Brush", "D", "Draw the chosen label", group="tool"),
    _("threshold", "Tools", "Threshold brush", "T",
      "Draw the chosen label only where the image is brighter than a value (Alt + wheel)",
      group="tool"),
    _("eraser", "Tools", "Erase", "E", "Take the chosen label away", group="tool"),
    _("flood", "Tools", "Fill", "K",
      "Click into a closed region to fill it with the chosen label", group="tool"),
    _("lasso", "Tools", "Lasso", "Q",
      "Draw an outline in one go; it is filled with the chosen label on release", group="tool"),
    _("polygon", "Tools", "Polygon", "G",
      "Click corners; double-click or Enter fills with the chosen label", group="tool"),
    _("window_level", "Tools", "Window", "W",
      "Drag: across for width, up and down for level (right drag always does)", group="tool"),
    _("keyboard", "Tools", "Keyboard cursor", "R",
      "Work without a mouse: arrows move a cursor (Shift: far), Space presses and releases, "
      "Shift+Space sets a point where there is no scar, . and , go from box to box and point",
      toggles=True),
    _("cancel_gesture", "Tools", "Discard the gesture", "Esc",
      "Discard the box, stroke or polygon that is being drawn"),
    _("smaller", "Tools", "Smaller brush", "[", "Make brush and eraser smaller (Shift + wheel)"),
    _("larger", "Tools", "Larger brush", "]", "Make brush and eraser larger (Shift + wheel)"),
    _("lower_threshold", "Tools", "Lower threshold", "{",
      "Let the threshold brush paint darker pixels (Alt + wheel)"),
    _("higher_threshold", "Tools", "Higher threshold", "}",
      "Let the threshold brush paint brighter pixels only (Alt + wheel)"),
    _("automatic_threshold", "Tools", "Automatic threshold", "Ctrl+T",
      "Set the threshold brush halfway from remote wall to the brightest scar (with no scar: "
      "remote wall + 2 SD)"),
    _("label_1", "Tools", "Label: blood pool", "1",
      "Draw, erase or ask for blood pool", group="label"),
    _("label_2", "Tools", "Label: wall", "2", "Draw, erase or ask for the wall", group="label"),
    _("label_3", "Tools", "Label: scar", "3", "Draw, erase or ask for scar", group="label"),
    _("label_4", "Tools", "Label: MVO", "4",
      "Draw and erase microvascular obstruction", group="label"),
    _("label_5", "Tools", "Label: background", "5",
      "Draw background: clear everything", group="label"),
    # Edit
    _("carry_up", "Edit", "Carry boxes to the slice before", "Alt+Up",
      "Take the boxes of this slice to the slice before, in place of its own, and segment there"),
    _("carry_down", "Edit", "Carry boxes to the slice after", "Alt+Down",
      "Take the boxes of this slice to the slice after, in place of its own, and segment there"),
    _("clip", "Edit", "Clip scar to the wall", "I",
      "Take away the scar of this slice that lies outside the wall or in the blood pool"),
    _("propose_mvo", "Edit", "Propose MVO", "O",
      "Label dark cores as MVO: no brighter than remote wall + 2 SD, within scar or between "
      "it and the blood pool"),
    _("show_withheld", "Edit", "Show withheld scar", "Alt+S",
      "Show the weak scar that was withheld because the whole stack is probably free of scar"),
    _("insertion", "Edit", "Set the RV insertion", "Ctrl+I",
      "Click where the right ventricle inserts in front: the segments turn with it; click "
      "your own point to delete it"),
    # Wall
    _("contour", "Wall", "Wall contours", "Shift+W",
      "Drag the endocardium or epicardium where it is wrong; with box and point in hand too",
      group="tool"),
    _("endocardium_out", "Wall", "Endocardium outwards", "Home",
      "Move the whole endocardium half a pixel outwards; scar follows"),
    _("endocardium_in", "Wall", "Endocardium inwards", "End",
      "Move the whole endocardium half a pixel inwards; scar follows"),
    _("epicardium_out", "Wall", "Epicardium outwards", "PgUp",
      "Move the whole epicardium half a pixel outwards; scar follows"),
    _("epicardium_in", "Wall", "Epicardium inwards", "PgDown",
      "Move the whole epicardium half a pixel inwards; scar follows"),
    _("endocardium_out_all", "Wall", "Endocardium outwards on all slices", "Shift+Home",
      "Move the endocardium of every slice half a pixel outwards, as one step"),
    _("endocardium_in_all", "Wall", "Endocardium inwards on all slices", "Shift+End",
      "Move the endocardium of every slice half a pixel inwards, as one step"),
    _("epicardium_out_all", "Wall", "Epicardium outwards on all slices", "Shift+PgUp",
      "Move the epicardium of every slice half a pixel outwards, as one step"),
    _("epicardium_in_all", "Wall", "Epicardium inwards on all slices", "Shift+PgDown",
      "Move the epicardium of every slice half a pixel inwards, as one step"),
    # Slice
    _("segment", "Slice", "Segment", "Space", "Segment with the boxes and points of this slice"),
    _("accept", "Slice", "Accept", "Return Enter",
      "Accept this slice and go to the next doubtful one"),
    _("accept_seen", "Slice", "Accept the others seen", "Shift+Return Shift+Enter",
      "Accept every other proposal that was on the screen, as one step; slices not shown stay to "
      "be read"),
    _("no_scar", "Slice", "No scar", "N", "Mark this slice as without scar and go on"),
    _("not_assessable", "Slice", "Not assessable …", "X",
      "Mark this slice as not assessable, with a reason"),
    _("reopen", "Slice", "Read again", "U",
      "Withdraw the status of this slice: it is to be read again, its labels stay"),
    _("propose_again", "Slice", "Propose again", "Ctrl+R",
      "Let the models start over on this slice"),
    _("propose_wall", "Slice", "Wall and pool again", "Shift+L",
      "Let the models propose wall and blood pool anew, in the ventricle's box if you drew "
      "one; the scar stays"),
    _("previous_slice", "Slice", "Slice before", "Up", "Go to the slice before (wheel)"),
    _("next_slice", "Slice", "Slice after", "Down", "Go to the slice after (wheel)"),
    # Methods
    _("compare", "Methods", "Compare methods", "J",
      "Show what every threshold method makes of this slice and of the stack", toggles=True),
    _("previous_method", "Methods", "Method before", "Alt+Left",
      "Preview the method before, dashed, on the slices; labels stay as they are"),
    _("next_method", "Methods", "Next method", "Alt+Right",
      "Preview the next method, dashed, on the slices; labels stay as they are"),
    _("adopt", "Methods", "Adopt on this slice", "Ctrl+J",
      "Take the chosen method's scar on this slice, within the wall, to start from"),
    _("adopt_all", "Methods", "Adopt on all slices", "Ctrl+Shift+J",
      "Take the chosen method's scar on every slice that is not read yet"),
    _("whole_stack", "Methods", "Threshold per stack", "Alt+J",
      "One threshold for the stack, from its maximum, minimum and remote wall; or each slice "
      "has its own", toggles=True),
    _("remote", "Methods", "Remote wall", "Shift+J",
      "Drag round the wall that serves as normal, or click where it is; Alt-click or right-"
      "click: as proposed", group="tool"),
    # View
    _("montage", "View", "All slices at once", "M",
      "Show all slices at once, or the current one large; every tool works in both, and a "
      "double-click opens a slice large", toggles=True),
    _("fit", "View", "Fit", "F", "Fit the heart into the window; again for the whole slice"),
    _("auto_window", "View", "LGE auto: null the myocardium", "A",
      "Window with the remote wall just above black, the blood pool grey and scar bright"),
    _("lock_levels", "View", "Same grey levels on all slices", "Shift+A",
      "Show all slices with the same grey levels; or each so that its own remote wall is as dark",
      toggles=True),
    _("fill", "View", "Fill the labels", "C", "Contour alone, or contour and fill", toggles=True),
    _("prompts_shown", "View", "Show boxes and points", "S",
      "Show or hide boxes and points", toggles=True),
    _("grid", "View", "Show voxels", "V",
      "Show voxels as they are, not smoothed, with their grid where they are large", toggles=True),
    _("histogram", "View", "Show the histogram of the wall", "Ctrl+H",
      "Show or hide the signal of the wall with its scar lit", toggles=True),
    _("bullseye", "View", "Bull's eye", "Ctrl+B",
      "Show where the scar lies: AHA segments, arteries, how far through the wall; a click "
      "goes to the slice", toggles=True),
    _("side_by_side", "View", "Panels side by side", "",
      "Show signal, bull's eye and history side by side instead of in tabs; their titles can be "
      "dragged anywhere", toggles=True, needs_case=False),
    _("text_automatic", "View", "Text: automatic", "",
      "Larger text in a window of 1900 pixels and more", group="text", needs_case=False),
    _("text_small", "View", "Text: small", "", "Text of 12 pixels", group="text",
      needs_case=False),
    _("text_medium", "View", "Text: medium", "", "Text of 14 pixels", group="text",
      needs_case=False),
    _("text_large", "View", "Text: large", "", "Text of 16 pixels", group="text",
      needs_case=False),
    _("copy_slice", "View", "Copy picture of the slice", "Ctrl+C",
      "Copy the slice as shown to the clipboard, without the patient's name"),
    _("copy_montage", "View", "Copy picture of all slices", "Ctrl+Shift+C",
      "Copy all slices with their grams to the clipboard, without the patient's name"),
    _("save_slice", "View", "Save picture of the slice …", "Ctrl+P",
      "Save the slice as shown as PNG, without the patient's name"),
    _("save_montage", "View", "Save picture of all slices …", "Ctrl+Shift+P",
      "Save all slices with their grams as PNG, without the patient's name"),
    _("patient_id", "View", "Patients by ID", "",
      "Name patients by the ID of the header, in title, list and dialogs",
      group="patient", needs_case=False),
    _("patient_initials", "View", "Patients by initials", "",
      "Name patients by their initials; by ID where the header has no name",
      group="patient", needs_case=False),
    _("patient_name", "View", "Patients by name", "",
      "Name patients by the name of the header; by ID where there is none",
      group="patient", needs_case=False),
    # While a key is held
    _("hide", "", "Hide overlays while held", "H", "Hold to see the image alone"),
    _("magnifier", "", "Magnify while held", "Z",
      "Hold to see the voxels under the mouse three times larger"),
    # Help
    _("keys", "Help", "Keys", "? F1", "Show the sheet of keys", needs_case=False),
    _("desktop", "Help", "Add to the applications menu", "",
      "Add the program with its icon to the applications menu, and open case files with it (Linux)",
      needs_case=False),
    _("about", "Help", "About scarseg", "", "Versions, weights and licences", needs_case=False),
)
# fmt: on

EDITING_ACTIONS = frozenset(
    (
        *("delete", "copy_up", "copy_down", "box", "point", "ventricle", "brush", "threshold"),
        *("eraser", "flood", "lasso", "polygon", "segment", "accept", "no_scar"),
        *("not_assessable", "propose_again", "propose_wall", "clip", "accept_seen", "reopen"),
        *("propose_mvo", "carry_up", "carry_down", "insertion", "adopt", "adopt_all"),
        "show_withheld",
        *("contour", "endocardium_out", "endocardium_in", "epicardium_out", "epicardium_in"),
        *("endocardium_out_all", "endocardium_in_all", "epicardium_out_all", "epicardium_in_all"),
    )
)
"""Actions that change the case; disabled while it is open for reading only."""
HELD_KEYS = ("hide", "magnifier")
"""Actions that last as long as a key is held: no shortcut, the window handles press and release."""
SEPARATED = frozenset(
    (
        *(
            "next_study",
            "export",
            "send_archive",
            "save_prompts",
            "reader",
            "reread",
            "save",
            "quit",
        ),
        *("history", "delete", "copy_up", "carry_up", "clip", "insertion"),
        *("brush", "window_level", "smaller", "lower_threshold", "label_1"),
        *("accept", "reopen", "propose_again", "previous_slice"),
        *("adopt", "whole_stack", "fit", "fill", "histogram", "copy_slice", "side_by_side"),
        *("text_automatic", "patient_id", "about"),
    )
)
"""Actions above which a menu has a separator."""
MENUS = ("File", "Edit", "Tools", "Wall", "Slice", "Methods", "View", "Help")


def shortcut_text(row: ActionSpec) -> str:
    """Return the first shortcut as printed on keyboards and in tool tips."""
    if not row.keys:
        return ""
    return QKeySequence(row.keys[0]).toString(QKeySequence.SequenceFormat.NativeText)


class Actions(Mapping[str, QAction]):
    """The QActions of the table, by name.

    They are created before the controllers, and each controller connects its own in its
    constructor.
    """

    def __init__(self, window: QWidget) -> None:
        groups: dict[str, QActionGroup] = {}
        self._actions: dict[str, QAction] = {}
        for row in ACTIONS:
            action = _create(row, window)
            if row.group:
                groups.setdefault(row.group, QActionGroup(window)).addAction(action)
            window.addAction(action)
            self._actions[row.name] = action

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._actions)

    def __len__(self) -> int:
        return len(self._actions)

    def connect(self, slots: Mapping[str, Callable[[], object]]) -> None:
        """Connect ``triggered`` of each named action with a slot without arguments."""
        for name, slot in slots.items():
            self._actions[name].triggered.connect(lambda _checked=False, slot=slot: slot())

    def enable_for_case(self, is_open: bool, read_only: bool) -> None:
        """Enable what can be done to the open case; undo and redo follow the undo stack."""
        for row in ACTIONS:
            if row.needs_case and row.name not in ("undo", "redo"):
                possible = is_open and not (read_only and row.name in EDITING_ACTIONS)
                self._actions[row.name].setEnabled(possible)


def _create(row: ActionSpec, window: QWidget) -> QAction:
    action = QAction(row.text, window)
    keys = shortcut_text(row)
    action.setToolTip(wrapped(f"{row.tip}  ({keys})" if keys else row.tip))
    action.setStatusTip("")
    if row.name not in HELD_KEYS:
        action.setShortcuts([QKeySequence(key) for key in row.keys])
    action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
    action.setCheckable(row.toggles or bool(row.group))
    return action
