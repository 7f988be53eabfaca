"""Manifest of the shipped weights: names, files, checksums and cards."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scarseg.case.case import ModelIdentity
from scarseg.errors import WeightsError


@dataclass(frozen=True)
class WeightsEntry:
    """One line of the manifest."""

    name: str
    kind: str
    file: str
    sha256: str
    card: str
    licence: str
    default: bool = False


@dataclass(frozen=True)
class ResolvedWeights:
    """A weights file that exists, with its identity; ``card`` is its JSON card, or empty."""

    path: Path
    identity: ModelIdentity
    card: dict[str, Any]


def weights_folder() -> Path:
    """Return the folder of the shipped weights: inside the wheel, or the checkout's."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_weights"
    return inside if inside.is_dir() else package.parent / "weights"


def sha256(path: Path) -> str:
    """Return the sha256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_pytorch(path: Path) -> bool:
    """Return whether a file that the reader of safetensors refuses begins like one of PyTorch.

    A zip, or a plain pickle of protocol 2 to 5. The length at the head of a safetensors file may
    begin with the same bytes: its JSON begins after eight.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError:
        return False
    pickled = start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05"
    return (pickled or start.startswith(b"PK\x03\x04")) and start[8:9] != b"{"


@cache
def list_weights(folder: Path | None = None) -> tuple[WeightsEntry, ...]:
    """Read the manifest of the shipped weights.

    Raises:
        WeightsError: E_WEIGHTS_MISSING without a manifest, E_WEIGHTS_DAMAGED when unreadable.
    """
    manifest = (folder or weights_folder()) / "manifest.json"
    try:
        entries = json.loads(manifest.read_text(encoding="utf-8"))["weights"]
        return tuple(WeightsEntry(**entry) for entry in entries)
    except FileNotFoundError as error:
        message = f"The list of weights {manifest} is missing; install the program again."
        raise WeightsError("E_WEIGHTS_MISSING", message, str(manifest)) from error
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        message = f"The list of weights {manifest} cannot be read: {error}"
        raise WeightsError("E_WEIGHTS_DAMAGED", message, str(manifest)) from error


def verify_weights(folder: Path | None = None) -> list[tuple[WeightsEntry, str]]:
    """Check every shipped file against its sha256; return "ok", "missing" or "damaged" for each."""
    folder = folder or weights_folder()
    statuses = []
    for entry in list_weights(folder):
        path = folder / entry.file
        if not path.is_file():
            statuses.append((entry, "missing"))
        else:
            statuses.append((entry, "ok" if sha256(path) == entry.sha256 else "damaged"))
    return statuses


def resolve_weights(name_or_path: Path | str | None, kind: str) -> ResolvedWeights:
    """Find weights by manifest name or by path; None is the default of that kind.

    A shipped file whose bytes are not the manifest's is refused; a user's own file runs but is
    marked unverified.

    Raises:
        WeightsError: E_WEIGHTS_MISSING, E_WEIGHTS_DAMAGED, E_WEIGHTS_UNKNOWN.
    """
    if name_or_path is not None and Path(name_or_path).is_file():
        path = Path(name_or_path).resolve()
        digest = sha256(path)
        known = next((e for e in _shipped() if e.sha256 == digest and e.kind == kind), None)
        identity = ModelIdentity(known.name if known else path.stem, digest, known is not None)
        return ResolvedWeights(path, identity, _card(path.with_suffix(".json")))
    folder = weights_folder()
    entries = [e for e in list_weights() if e.kind == kind]
    if name_or_path is None:
        chosen = next((e for e in entries if e.default), None)
    else:
        chosen = next((e for e in entries if e.name == str(name_or_path)), None)
    if chosen is None:
        names = ", ".join(e.name for e in entries) or "none"
        message = f"No {kind} weights {name_or_path or ''} here; there are: {names}."
        raise WeightsError("E_WEIGHTS_UNKNOWN", message)
    path = folder / chosen.file
    if not path.is_file():
        message = f"The weights file {path} is missing; install the program again."
        raise WeightsError("E_WEIGHTS_MISSING", message, str(path))
    if sha256(path) != chosen.sha256:
        message = f"The weights file {path} is damaged: its sha256 is not the manifest's."
        raise WeightsError("E_WEIGHTS_DAMAGED", message, str(path))
    return ResolvedWeights(
        path, ModelIdentity(chosen.name, chosen.sha256, True), _card(folder / chosen.card)
    )


def _shipped() -> tuple[WeightsEntry, ...]:
    try:
        return list_weights()
    except WeightsError:
        return ()


def _card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, RecursionError) as error:
        message = f"The card {path} cannot be read: {error}"
        raise WeightsError("E_WEIGHTS_DAMAGED", message, str(path)) from error
    return card if isinstance(card, dict) else {}
