"""Progress of a job: a callback that may cancel it, and the lines of a log about its items."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the fraction done (0 to 1) and what is being done.

It raises :class:`scarseg.errors.Cancelled` when the job is to stop; the job lets it pass.
"""


def silent(fraction: float, what: str) -> None:
    """Report nothing and never cancel."""


class ItemLog:
    """Lines of a log about the items of a run: name, how many are done and failed, time left.

    Args:
        logger: takes a line of level INFO per item.
        total: number of items of the run.
        n_done: items that an earlier run finished.
    """

    def __init__(self, logger: logging.Logger, total: int, n_done: int = 0) -> None:
        self._logger, self._total, self._n_done = logger, total, n_done
        self._began, self._n_before, self._n_failed = time.monotonic(), n_done, 0

    def add(self, name: str, error_code: str = "") -> None:
        """Write the line of one more item; with an error code it failed."""
        self._n_done += 1
        self._n_failed += bool(error_code)
        spent = time.monotonic() - self._began
        left = spent / (self._n_done - self._n_before) * (self._total - self._n_done)
        self._logger.info(
            "%s: %d of %d done, %d failed, %s left",
            f"{name} {error_code}".strip(),
            self._n_done,
            self._total,
            self._n_failed,
            _clock(left),
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
