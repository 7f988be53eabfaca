"""Plan of a blinded re-reading: which stacks, in which order, under which codes.

Each re-reading has a folder of its own below the case files: ``rereadings/CODE`` with this index
and one case file per stack, so that the earlier readings stay as they are and out of sight. The
index names stacks by UIDs, and no patient.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scarseg.errors import StoreError
from scarseg.io import atomic
from scarseg.io.casefile import store
from scarseg.io.casefile.store import StackIds

INDEX = "rereading.json"
FOLDER = "rereadings"
SCHEMA = 1
_LETTERS, _DIGITS = "ACDEFHJKLMNPRTUVWXY", "34679"
_CODE = re.compile(f"(?:[{_LETTERS}][{_DIGITS}]){{2,4}}")
_READER = re.compile(r"[A-Za-z0-9]{1,8}(?:-[A-Za-z0-9]{1,8})?")
_FEW = 1000
"""Up to this many stacks have codes of four characters; more have six."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FirstReading:
    """An earlier reading, described without its images.

    ``labels_sha256`` shows afterwards whether it was changed; ``thickness_mm`` is what its reader
    entered, None where the header had one.
    """

    study_uid: str
    series_uid: str
    part: str
    n_slices: int
    pixels_sha256: str
    labels_sha256: str
    thickness_mm: float | None = None
    reader: str = ""

    @property
    def stack_id(self) -> str:
        return f"{self.series_uid}_{self.part}" if self.part else self.series_uid


@dataclass(frozen=True)
class CodedCase:
    """One stack of a re-reading under its study code."""

    code: str
    first: FirstReading


@dataclass(frozen=True)
class Rereading:
    """A re-reading: who reads for which time, and the stacks in the order they are read."""

    folder: Path
    reader: str
    read_number: int
    seed: int
    proposals: bool
    started_at_utc: str
    finished_at_utc: str = ""
    cases: tuple[CodedCase, ...] = ()

    @property
    def code(self) -> str:
        return self.folder.name

    @property
    def name(self) -> str:
        """Number and reader: "read 2, reader AB"."""
        return f"read {self.read_number}, reader {self.reader}"

    def case_path(self, code: str) -> Path:
        """Return the case file of a study code: it names neither patient nor series."""
        return self.folder / f"{self.code}-{code}.scarseg"

    def n_read(self, code: str) -> tuple[int, int]:
        """Return how many slices of a case are read, and how many it has."""
        glance = store.read_progress(self.case_path(code))
        return (0, 0) if glance is None else (glance.n_read, glance.n_slices)

    def done(self, code: str) -> bool:
        """Return whether every slice of a case is read."""
        read, of = self.n_read(code)
        return 0 < of == read


def is_reader_code(text: str) -> bool:
    """Return whether a text is valid as initials: letters and digits, no name, no space."""
    return _READER.fullmatch(text) is not None


def read_first_reading(path: Path) -> FirstReading | None:
    """Read what an earlier reading is compared by; None where it is missing or not complete."""
    try:
        content = store.read_content(path)
    except StoreError:
        return None
    document, stack = content.document, content.document.stack
    if not document.readings or document.n_read < len(document.readings):
        return None
    return FirstReading(
        document.source.study_uid,
        stack.series_uid,
        stack.part,
        len(document.readings),
        stack.pixels_sha256,
        hashlib.sha256(content.packed_labels).hexdigest(),
        document.source.reader_thickness_mm,
        document.reader,
    )


def first_reading_path(store_folder: Path, stack: StackIds) -> Path:
    """Return the case file of the first reading of a stack."""
    return store.case_path(store_folder, stack)


def next_read_number(
    reader: str, firsts: Sequence[FirstReading], earlier: Sequence[Rereading]
) -> int:
    """Return the number that the next read of these stacks by this reader has.

    A first reading that names no reader counts as this reader's.
    """
    most = 0
    for first in firsts:
        mine = not first.reader or reader in first.reader.split("+")
        again = sum(
            one.reader == reader
            and any(each.first.stack_id == first.stack_id for each in one.cases)
            for one in earlier
        )
        most = max(most, int(mine) + again)
    return most + 1


def shuffle_with_codes(firsts: Iterable[FirstReading], seed: int) -> tuple[CodedCase, ...]:
    """Shuffle stacks and draw their codes; the seed alone decides both."""
    rng = random.Random(seed)
    # Python promises the same sequence of random() in every version, and of nothing else.
    drawn = [(rng.random(), first) for first in sorted(firsts, key=lambda one: one.stack_id)]
    ordered = [first for _, first in sorted(drawn, key=lambda one: one[0])]
    pairs, codes = 2 if len(ordered) <= _FEW else 3, dict[str, None]()
    while len(codes) < len(ordered):
        codes[_code(rng, pairs)] = None
    return tuple(CodedCase(code, first) for code, first in zip(codes, ordered, strict=True))


def start_rereading(
    store_folder: Path,
    firsts: Sequence[FirstReading],
    reader: str,
    read_number: int,
    proposals: bool = True,
    seed: int | None = None,
) -> Rereading:
    """Plan a re-reading of these stacks and keep the plan on disk.

    Args:
        store_folder: where the first readings are.
        firsts: what was read, from :func:`read_first_reading`.
        reader: initials, see :func:`is_reader_code`.
        read_number: for which time this reader reads them.
        proposals: whether the models propose unasked.
        seed: of order and codes; random when None.

    Raises:
        ValueError: no stack, initials or a number that are none.
        StoreError: E_CASE_WRITE, the disk refuses.
    """
    if not firsts or not is_reader_code(reader) or read_number < 1:
        raise ValueError("a re-reading needs stacks, initials and a number")
    seed = secrets.randbits(48) if seed is None else seed
    folder = store_folder / FOLDER / _code(secrets.SystemRandom(), 3)
    made = Rereading(
        folder, reader, read_number, seed, proposals, _now(), "", shuffle_with_codes(firsts, seed)
    )
    _keep(made)
    return made


def finish_rereading(rereading: Rereading) -> Rereading:
    """Record on disk that a re-reading is over.

    Raises:
        StoreError: E_CASE_WRITE, the disk refuses.
    """
    done = replace(rereading, finished_at_utc=_now())
    _keep(done)
    return done


def find_rereadings(store_folder: Path) -> tuple[list[Rereading], list[str]]:
    """Return the re-readings below a folder of case files, oldest first, and what is damaged."""
    found, notes = [], []
    for path in sorted((store_folder / FOLDER).glob(f"*/{INDEX}")):
        try:
            found.append(read_rereading(path.parent))
        except StoreError as error:
            _log.warning("a damaged re-reading is passed over: %s", path.parent.name)
            notes.append(str(error))
    return sorted(found, key=lambda one: (one.started_at_utc, one.code)), notes


def read_rereading(folder: Path) -> Rereading:
    """Read the index of a re-reading.

    Raises:
        StoreError: E_REREADING, it is damaged or of a later version.
    """
    path = folder / INDEX
    try:
        whole = json.loads(path.read_bytes())
        if whole["schema"] > SCHEMA:
            message = f"The re-reading {folder.name} is of a later scarseg: update the program."
            raise StoreError("E_REREADING", message, str(path))
        content = whole["rereading"]
        if whole["sha256"] != _digest(content):
            raise ValueError("checksum")
        return _parsed(folder, content)
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        message = f"The re-reading {folder.name} is damaged; its case files are kept."
        raise StoreError("E_REREADING", message, str(path)) from error


def _parsed(folder: Path, content: dict[str, Any]) -> Rereading:
    cases = tuple(
        CodedCase(each["code"], FirstReading(**each["first"])) for each in content["cases"]
    )
    found = Rereading(folder, **{**content, "cases": cases})
    codes = [each.code for each in cases]
    whole = (
        *map(_CODE.fullmatch, (folder.name, *codes)),
        is_reader_code(found.reader),
        len(set(codes)) == len(codes) > 0,
        found.read_number >= 1,
    )
    if not all(whole):
        raise ValueError("not what this program writes")
    return found


def _keep(rereading: Rereading) -> None:
    content = asdict(rereading)
    del content["folder"]
    content["cases"] = list(content["cases"])
    whole = {"schema": SCHEMA, "sha256": _digest(content), "rereading": content}
    try:
        atomic.make_private_folder(rereading.folder)
        data = json.dumps(whole, indent=1).encode("ascii")
        atomic.replace_file(rereading.folder / INDEX, data)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"The re-reading could not be kept in {rereading.folder.parent}: {reason}."
        raise StoreError("E_CASE_WRITE", message, str(rereading.folder)) from error


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def _code(rng: random.Random, pairs: int) -> str:
    """Draw a code without letters and digits that look alike and without words: "A7K3"."""
    return "".join(
        kind[int(rng.random() * len(kind))] for _ in range(pairs) for kind in (_LETTERS, _DIGITS)
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
