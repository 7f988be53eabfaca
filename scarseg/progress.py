"""One callback that reports how far a job is and lets it be cancelled."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the fraction done (0 to 1) and what is being done.

It raises :class:`scarseg.errors.Cancelled` when the job is to stop; the job lets it pass.
"""


def silent(fraction: float, what: str) -> None:
    """Report nothing and never cancel."""
