"""What a Dask worker does for a run: it shows what it is, gets weights, and works on items.

Everything here is called in a process of a worker; arguments and results cross the network.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from scarseg.errors import WeightsError
from scarseg.io.tables.pseudonyms import KEY_VARIABLE
from scarseg.models import Models
from scarseg.models.weights import ResolvedWeights, list_weights, sha256, weights_folder

Item = TypeVar("Item")
Result = TypeVar("Result")

PROBE_BYTES = 4096
"""Bytes of a file that a worker must read as the client does."""


@dataclass(frozen=True)
class WeightsFile:
    """Weights by their content; ``name`` is the name of the file, which unknown weights carry."""

    name: str
    sha256: str

    @classmethod
    def of(cls, weights: ResolvedWeights) -> WeightsFile:
        """Return the content of weights that were found here."""
        return cls(weights.path.name, weights.identity.sha256)


@dataclass(frozen=True)
class WeightsByHash:
    """A loader of models that a worker calls: by the hash of their weights, never its default."""

    segmenter: WeightsFile
    detector: WeightsFile | None
    device: str = "auto"

    def __call__(self) -> Models:
        from scarseg import models

        detector = "none" if self.detector is None else _file_of(self.detector)
        return models.load(_file_of(self.segmenter), detector, self.device)


@dataclass(frozen=True)
class WorkerFacts:
    """What must be the same on every worker, and the weights that it lacks."""

    versions: tuple[tuple[str, str], ...]
    device: str
    missing: tuple[WeightsFile, ...]

    def differs_from(self, client: WorkerFacts) -> str:
        """Return in words why a worker could write other bytes than the client; else empty."""
        if self.versions != client.versions:
            pairs = zip(self.versions, client.versions, strict=True)
            return ", ".join(
                f"it has {name} {there}, this program {here}"
                for (name, there), (_, here) in pairs
                if there != here
            )
        if self.device != client.device:
            here = client.device
            return f"it computes on {self.device}, this program on {here}; give --device"
        return ""


@dataclass(frozen=True)
class Surroundings:
    """What a task finds on the client: folder of relative paths, key of pseudonyms, one file.

    ``path`` is the first file of the item, ``digest`` of its first bytes; empty: no file needed.
    """

    folder: str
    pseudonym_key: str
    path: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Blind:
    """A worker does not see the files of the client."""


def describe(weights: Sequence[WeightsFile], device: str) -> WorkerFacts:
    """Return the facts of the process that this runs in; ``device`` as for ``models.load``."""
    if device == "auto":
        from scarseg.models import prepare_environment

        prepare_environment()
        from scarseg.models.segmenter import choose_device

        device = choose_device("auto")
    missing = tuple(one for one in weights if _find(one) is None)
    return WorkerFacts(program_versions(), device, missing)


def program_versions() -> tuple[tuple[str, str], ...]:
    """Return the versions that identical bytes depend on."""
    return tuple((name, version(name)) for name in ("scarseg", "torch", "numpy"))


def receive_weights(weights: WeightsFile, data: bytes, card: bytes) -> None:
    """Keep weights that a client sent, with their card, until this process ends.

    Raises:
        WeightsError: E_WEIGHTS_DAMAGED, these are other bytes.
    """
    if hashlib.sha256(data).hexdigest() != weights.sha256:
        raise WeightsError("E_WEIGHTS_DAMAGED", f"The weights {weights.name} arrived damaged.")
    folder = Path(_received().name, weights.sha256)
    folder.mkdir(exist_ok=True)
    path = folder / Path(weights.name).name
    if card:
        path.with_suffix(".json").write_bytes(card)
    path.write_bytes(data)


def digest_of(path: str) -> str:
    """Return the hash of the first bytes and the size of a file; empty where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            start = file.read(PROBE_BYTES)
            size = os.fstat(file.fileno()).st_size
        return hashlib.sha256(f"{size} ".encode() + start).hexdigest()
    except OSError:
        return ""


def run_item(work: Callable[[Item], Result], item: Item, around: Surroundings) -> Result | Blind:
    """Work on one item as the client would; refuse where the client's files are not seen."""
    if around.path:
        try:
            os.chdir(around.folder)
        except OSError:
            return Blind()
        if digest_of(around.path) != around.digest:
            return Blind()
    os.environ[KEY_VARIABLE] = around.pseudonym_key
    return work(item)


_models: dict[bytes, Models] = {}


def cached_models(load: Callable[[], Models]) -> Models:
    """Return models that this process has loaded; a worker serves runs with other weights too."""
    key = pickle.dumps(load)
    if key not in _models:
        _models.clear()
        _models[key] = load()
    return _models[key]


def _file_of(weights: WeightsFile) -> Path:
    found = _find(weights)
    if found is None:
        raise WeightsError("E_WEIGHTS_MISSING", f"The weights {weights.name} are not here.")
    return found


def _find(weights: WeightsFile) -> Path | None:
    """Return the file of weights on this machine: shipped, or sent by a client."""
    sent = Path(_received().name, weights.sha256, Path(weights.name).name)
    if sent.is_file():
        return sent
    for one in list_weights():
        path = weights_folder() / one.file
        if one.sha256 == weights.sha256 and path.is_file() and _hash(path) == one.sha256:
            return path
    return None


@cache
def _hash(path: Path) -> str:
    return sha256(path)


@cache
def _received() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="scarseg-weights-")
