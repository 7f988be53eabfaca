"""An archive that cuts, stalls, rejects and lies, as it is told; it ends with its context."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, build_context, evt

from tests.pacs.orthanc import free_port

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
FAULTS = ("abort", "close", "stall", "success", "failure")


@dataclass
class Fault:
    """What goes wrong in one retrieval, after ``after`` images."""

    kind: str
    after: int = 0


@dataclass
class Broken:
    """An archive of these files. ``faults`` are used up by retrievals, one each."""

    files: Sequence[Path]
    storage_port: int = field(default_factory=free_port)
    port: int = field(default_factory=free_port)
    faults: list[Fault] = field(default_factory=list)
    listed: list[str] | None = None
    """SOP UIDs that IMAGE-level searches list, where not those of the files."""
    find_fault: str = ""
    n_listed_twice: int = 0

    def __enter__(self) -> Broken:
        self.datasets = [dcmread(path) for path in self.files]
        self._closing = threading.Event()
        entity = AE("BROKEN")
        for one in (FIND, MOVE, GET, "1.2.840.10008.1.1"):
            entity.add_supported_context(one)
        entity.add_supported_context(MRImageStorage, SYNTAXES, scu_role=True, scp_role=True)
        entity.requested_contexts = [build_context(MRImageStorage, SYNTAXES)]
        entity.require_called_aet = True
        entity.require_calling_aet = ["SCARSEG"]
        entity.maximum_associations = 100
        self._server = entity.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[
                (evt.EVT_C_FIND, self._find),
                (evt.EVT_C_GET, self._get),
                (evt.EVT_C_MOVE, self._move),
            ],
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        for one in list(self._server.active_associations):
            if one.is_established:
                one.abort()
        self._server.shutdown()

    @property
    def address(self) -> str:
        return f"dicom://BROKEN@127.0.0.1:{self.port}"

    def _find(self, event: Any) -> Iterator[Any]:
        level = event.identifier.QueryRetrieveLevel
        if self.find_fault == "abort":
            event.assoc.abort()
        elif self.find_fault == "stall":
            self._closing.wait(20)
        elif self.find_fault == "failure":
            yield 0xA700, None
            return
        rows: dict[str, Dataset] = {}
        for source in self.datasets:
            row = Dataset()
            row.QueryRetrieveLevel = level
            row.StudyInstanceUID = source.StudyInstanceUID
            row.PatientID = source.PatientID
            key = source.StudyInstanceUID
            if level != "STUDY":
                row.SeriesInstanceUID = key = source.SeriesInstanceUID
                row.Modality = "MR"
            if level == "IMAGE":
                row.SOPInstanceUID = key = source.SOPInstanceUID
            rows[key] = row
        if level == "IMAGE" and self.listed is not None:
            [first, *_] = rows.values()
            rows = {}
            for uid in self.listed:
                rows[uid] = Dataset()
                rows[uid].update(first)
                rows[uid].add_new(0x00080018, "LO", uid)  # no validation
                rows[uid]["SOPInstanceUID"].VR = "UI"
        for row in [*rows.values(), *list(rows.values())[: self.n_listed_twice]]:
            yield 0xFF00, row

    def _chosen(self, event: Any) -> list[Dataset]:
        wanted = event.identifier.get("SOPInstanceUID")
        if not wanted:
            return self.datasets
        uids = [wanted] if isinstance(wanted, str) else list(wanted)
        return [one for one in self.datasets if one.SOPInstanceUID in uids]

    def _get(self, event: Any) -> Iterator[Any]:
        yield from self._images(event)

    def _move(self, event: Any) -> Iterator[Any]:
        yield "127.0.0.1", self.storage_port
        yield from self._images(event)

    def _images(self, event: Any) -> Iterator[Any]:
        chosen = self._chosen(event)
        fault = self.faults.pop(0) if self.faults else Fault("")
        whole = fault.kind in ("", "flood")
        n = len(chosen) if whole else min(fault.after, len(chosen))
        # "success" promises what it sends, and so ends with status 0x0000.
        yield n if fault.kind == "success" else len(chosen) * (2000 if fault.kind == "flood" else 1)
        for dataset in chosen[:n]:
            yield 0xFF00, dataset
        if fault.kind == "abort":
            event.assoc.abort()
        elif fault.kind == "close":
            event.assoc.dul.socket.close()
        elif fault.kind == "stall":
            self._closing.wait(20)
        elif fault.kind == "failure":
            yield 0xA702, None
        elif fault.kind == "flood":
            for k in range(2000 * len(chosen)):
                more = Dataset()
                more.update(chosen[0])
                more.file_meta = chosen[0].file_meta
                more.SOPInstanceUID = f"1.99.{k}"
                yield 0xFF00, more


def random_fault(source: random.Random, n_images: int, stalls: bool) -> Fault:
    kinds = FAULTS if stalls else tuple(kind for kind in FAULTS if kind != "stall")
    return Fault(source.choice(kinds), source.randrange(n_images))
