"""What all views of slices share: how a slice is shown, and what is in hand."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar, overload

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.labels import Label

Levels = tuple[float, float]
T = TypeVar("T")


class Shared(QObject):
    """Values that every view of a slice takes from one place.

    ``levels`` are the grey values from black to white; ``filled`` and ``fill_opacity`` say how
    labels are tinted; ``hidden`` is true while a reader wants the image alone; ``tool``,
    ``label``, ``radius_mm`` and ``threshold`` (source units) are what is in hand, ``editable``
    whether it may change anything.

    Signals:
        changed: any of them.
        tool_chosen: another tool is in hand, or the same one was taken anew.
    """

    changed = pyqtSignal()
    tool_chosen = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.levels: Levels = (0.0, 1.0)
        self.fill_opacity = 0.3
        self.filled = True
        self.smooth = True
        self.prompts_shown = True
        self.hidden = False
        self.tool = "box"
        self.label = Label.SCAR
        self.radius_mm = 4.0
        self.threshold = 0.0
        self.editable = True

    def set(self, name: str, value: object) -> None:
        """Change one of the values, for all views at once."""
        if getattr(self, name) != value:
            setattr(self, name, value)
            self.changed.emit()

    def choose_tool(self, name: str) -> None:
        """Take a tool in hand, in all views at once."""
        self.tool = name
        self.tool_chosen.emit()


class _Sharing(Protocol):
    shared: Shared


class Common(Generic[T]):
    """An attribute of a view that is really that of all views."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, view: None, owner: type) -> Common[T]: ...
    @overload
    def __get__(self, view: _Sharing, owner: type) -> T: ...
    def __get__(self, view: _Sharing | None, owner: type) -> Any:
        return self if view is None else getattr(view.shared, self._name)

    def __set__(self, view: _Sharing, value: T) -> None:
        view.shared.set(self._name, value)
