"""Embeddings of a slow segmenter, kept beside the case files so that a study reopens at once.

One file per slice, named by a hash of its pixels and of the weights: a digest of 32 bytes, then a
NumPy array. No identity is in name or content. The oldest go where the folder grows too large.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scarseg.io import atomic

FOLDER = "embeddings"
SUFFIX = ".embedding"
MAX_BYTES = 4_000_000_000
"""Of all embeddings: 2 MB a slice, about 150 studies."""
_DIGEST_BYTES = 32


class EmbeddingStore:
    """Arrays by key in a folder of bounded size; what the disk refuses is not kept.

    Args:
        folder: made, readable by its owner only, when something is kept.
        max_bytes: of all files; beyond it those that were used longest ago are deleted.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.folder, self.max_bytes = folder, max_bytes

    def get(self, key: str) -> npt.NDArray[np.float16] | None:
        """Return what is kept; None where there is nothing, or it is damaged."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data[_DIGEST_BYTES:]).digest() != data[:_DIGEST_BYTES]:
            return None
        try:
            found = np.load(io.BytesIO(data[_DIGEST_BYTES:]), allow_pickle=False)
        except (ValueError, OSError, EOFError):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # used last
        return found if found.dtype == np.float16 else None

    def put(self, key: str, features: npt.NDArray[np.float16]) -> None:
        """Keep an array; the oldest ones are deleted where the folder grows too large."""
        stream = io.BytesIO()
        np.save(stream, np.ascontiguousarray(features), allow_pickle=False)
        data = stream.getvalue()
        with contextlib.suppress(OSError):
            atomic.make_private_folder(self.folder)
            atomic.replace_file(self._path(key), hashlib.sha256(data).digest() + data)
            self._shrink()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"

    def _shrink(self) -> None:
        files = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    files.append((status.st_mtime_ns, status.st_size, entry.path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.max_bytes:
                return
            Path(path).unlink()
            total -= size
