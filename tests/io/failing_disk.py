"""A disk that fails at the k-th call, once or from then on."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

CALLS = ("open", "write", "fsync", "replace", "link", "unlink", "scandir", "mkdir", "close")


class FailingDisk:
    """Fail the k-th call to the disk, and all after it when ``lasting``."""

    def __init__(self, k: int, lasting: bool = False) -> None:
        self.k, self.lasting, self.calls = k, lasting, 0

    @property
    def has_failed(self) -> bool:
        return self.calls > self.k

    def wrap(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **rest: Any) -> Any:
            self.calls += 1
            failing = self.calls - 1 == self.k or (self.lasting and self.calls > self.k)
            if failing and name == "close":
                real(*args)  # as Linux does: closed, and an error all the same
            if failing:
                raise OSError(errno.EIO if self.k % 2 else errno.ENOSPC, f"{name} fails")
            return real(*args, **rest)

        return call

    @contextlib.contextmanager
    def installed(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with monkeypatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self.wrap(name))
            yield


def no_links(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, "no hard links here")
