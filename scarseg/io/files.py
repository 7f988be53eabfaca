"""Output files: safe names, nothing overwritten unasked, all written or none."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import platformdirs

from scarseg.errors import OutputError
from scarseg.io.atomic import make_private_folder
from scarseg.io.commit import HalfWrittenError, recover, write_together

MAX_NAME_BYTES = 255
# ".", the number of a process, "-", 16 digits and ".tmp" of a temporary name; "_method_slices"
_DERIVED_BYTES = 48
_UNSAFE = re.compile(r"[^0-9A-Za-z._-]+")


def safe_name(text: str) -> str:
    """Return a file name stem for a UID: safe characters, no leading dot, never empty.

    A text that is safe already is its own name; another gets a hash so that no two collide.
    """
    if text and len(text) <= 128 and not _UNSAFE.search(text) and text[0] not in ".-":
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    stem = _UNSAFE.sub("_", text).strip("._-")[:80]
    return f"{stem}_{digest}" if stem else digest


def refuse_existing(paths: Iterable[Path], remedy: str = "give --force to replace it") -> None:
    """Raise OutputError E_EXISTS for the first path that exists, be it a dangling link.

    Every command asks this before it works: what a broken disk left half replaced there is
    finished or taken back first.
    """
    paths = list(paths)
    recover(*{path.parent for path in paths})
    for path in paths:
        if os.path.lexists(path):
            raise OutputError("E_EXISTS", f"{path} exists already; {remedy}.", str(path))


def refuse_inputs(paths: Iterable[Path], inputs: Iterable[Path | str]) -> None:
    """Raise OutputError E_OUTPUT_NAME where a path is one of the inputs, force or no force."""
    read = {os.path.realpath(one) for one in inputs}
    for path in paths:
        if os.path.realpath(path) in read:
            raise OutputError(
                "E_OUTPUT_NAME", f"{path} would replace an input; choose another name.", str(path)
            )


def data_folder() -> Path:
    """Return the folder of what scarseg keeps: ``$SCARSEG_HOME`` or the user's data folder."""
    home = os.environ.get("SCARSEG_HOME")
    return Path(home) if home else Path(platformdirs.user_data_dir("scarseg", appauthor=False))


def check_name(path: Path) -> None:
    """Raise OutputError E_OUTPUT_NAME where a part of a path is longer than file systems allow.

    What is derived from the name (``_method_slices``) and the name of its temporary file must fit
    as well.
    """
    for part in path.parts:
        length = len(os.fsencode(part))
        most = MAX_NAME_BYTES - (_DERIVED_BYTES if part == path.name else 0)
        if length > most:
            shown = part if len(part) <= 40 else f"{part[:40]}\N{HORIZONTAL ELLIPSIS}"
            raise OutputError(
                "E_OUTPUT_NAME",
                f"The name {shown} is {length} bytes long; {most} are possible.",
                str(path),
            )


def require_writable(path: Path) -> None:
    """Raise OutputError E_WRITE where no file could be written at ``path``; makes nothing.

    A check before the work is done; the disk may be full afterwards all the same.
    """
    check_name(path)
    try:
        is_folder = path.is_dir() and not path.is_symlink()
    except OSError as error:  # the whole path is too long
        raise OutputError(
            "E_WRITE", f"{path} cannot be written: {error.strerror}.", str(path)
        ) from error
    if is_folder:
        raise OutputError("E_WRITE", f"{path} is a folder, a file is needed.", str(path))
    folder = path.absolute().parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise OutputError("E_WRITE", f"Nothing can be written to {folder}.", str(folder))


def make_folder(folder: Path) -> None:
    """Make a folder (mode 0700) with its parents, unless it is there.

    Raises:
        OutputError: E_WRITE.
    """
    try:
        make_private_folder(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "permission denied")
    except OSError as error:
        raise OutputError(
            "E_WRITE", f"The folder {folder} cannot be written: {error.strerror}.", str(folder)
        ) from error


def write_file(path: Path, data: bytes, force: bool = False) -> None:
    """Write one file; see :func:`write_files`."""
    write_files({path: data}, force)


def write_files(files: Mapping[Path, bytes], force: bool = False) -> None:
    """Write files of mode 0600, all or none: the old ones or the new ones, never a mixture.

    A link in a file's place is refused, or with ``force`` replaced itself; what it points to is
    never touched. Missing folders are made.

    Raises:
        OutputError: E_EXISTS without ``force``, E_OUTPUT_NAME for a name that is too long,
            E_WRITE when the disk refuses.
    """
    for path in files:
        check_name(path)
        make_folder(path.parent)
    if not force:
        refuse_existing(files)
    try:
        write_together(files, replacing=force)
    except HalfWrittenError as error:
        path = list(files)[-1]
        raise OutputError(
            "E_WRITE",
            f"{path} is half replaced ({error.strerror or error}); it is finished or undone the"
            " next time scarseg writes or reads there.",
            str(path),
        ) from error
    except OSError as error:
        if not force:
            refuse_existing(files)
        path = next(iter(files))
        raise OutputError(
            "E_WRITE", f"{path} cannot be written: {error.strerror or error}.", str(path)
        ) from error
