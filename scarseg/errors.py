"""Every error a reader can act on, each with a stable code."""

from __future__ import annotations


class ScarsegError(Exception):
    """Error with a stable code and one sentence a reader can act on.

    Everything that is not a ``ScarsegError`` is a bug.

    Args:
        code: stable, upper-case, starts with ``E_`` (see the table in the README).
        message: one sentence; names the file and shows the raw value where there is one.
        path: the file or folder concerned, if there is one.
    """

    def __init__(self, code: str, message: str, path: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the arguments: an error crosses processes."""
        return type(self), (self.code, self.message, self.path)


class InputError(ScarsegError):
    """The input cannot be read as a short-axis stack."""


class GeometryError(InputError):
    """A length, position or orientation is missing or impossible: never guessed."""


class LimitError(InputError):
    """The input is larger or deeper than the program accepts; raised before allocating."""


class ArchiveError(InputError):
    """A zip file that would write outside its folder, or cannot be trusted."""


class WeightsError(ScarsegError):
    """Weights are missing, damaged or of an unknown kind."""


class ModelError(ScarsegError):
    """A model ran and returned nothing usable."""


class OutputError(ScarsegError):
    """An output exists already or cannot be written."""


class StoreError(ScarsegError):
    """A case file is damaged, locked or cannot be written."""


class Cancelled(ScarsegError):  # noqa: N818 - an outcome, not an error
    """The reader cancelled a job."""

    def __init__(self) -> None:
        super().__init__("E_CANCELLED", "The job was cancelled.")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), ()


class PacsError(ScarsegError):
    """An archive is unreachable, refuses, or answers with something else than was asked for."""
