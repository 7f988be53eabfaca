"""Sidecar of a table: how each number came about, so that it can be made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

import scarseg
from scarseg.case.case import Case, ModelIdentity
from scarseg.case.history import Cause
from scarseg.case.labels import Label
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.io.tables.pseudonyms import key_name

RESEARCH_USE = "For research use only. Not a medical device."


def render_sidecar(
    settings: Mapping[str, object],
    columns: Mapping[str, Sequence[str]],
    stacks: Sequence[Mapping[str, object]],
) -> bytes:
    """Return the sidecar as JSON: version, settings, columns, and the provenance of each stack.

    It names no patient and no time of its own: the same readings give the same bytes.
    """
    about = {
        "software": "scarseg",
        "software_version": scarseg.__version__,
        "statement": RESEARCH_USE,
        "pseudonym_key": key_name(),
        "settings": dict(settings),
        **{name: list(values) for name, values in columns.items()},
        "stacks": list(stacks),
    }
    return (json.dumps(about, indent=1) + "\n").encode()


def case_provenance(case: Case) -> dict[str, object]:
    """Return what is needed to make a number again: sources, prompts in order, weights, times.

    ``labels_sha256`` is of the labels as they are measured: one byte per voxel, C order.
    """
    stack, times = case.stack, reading_times(case)
    return {
        "series_uid": stack.series_uid,
        "part": stack.part,
        "segmenter": _identity(case.segmenter),
        "detector": _identity(case.detector),
        "calibration": None if case.calibration is None else asdict(case.calibration),
        "reader": case.reader,
        "read_from_utc": None if times is None else _utc(times[0]),
        "read_until_utc": None if times is None else _utc(times[1]),
        "labels_sha256": labels_sha256(case),
        "insertion": None if case.insertion is None else asdict(case.insertion),
        **({"remote_drawn_slices": drawn} if (drawn := sorted(case.remote_regions)) else {}),
        "slices": [
            {
                "sop_instance_uid": source.sop_instance_uid,
                "frame": source.frame,
                "file_sha256": source.sha256,
                "status": str(reading.status),
                "edited": reading.edited,
                "reason": reading.reason,
                **_prompts(reading.prompts),
            }
            for source, reading in zip(stack.sources, case.readings, strict=True)
        ],
    }


def reading_times(case: Case) -> tuple[datetime, datetime] | None:
    """Return when a reader did the first and the last thing, UTC; None where none did any."""
    acts = (Cause.READER, Cause.CONTOUR)
    times = [step.at_ms for step in case.record.steps if step.cause in acts]
    if not times or not case.interactions:
        return None
    first, last = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (min(times), max(times)))
    return first, last


def labels_sha256(case: Case) -> str:
    """Return the hash of a case's labels, by which the same mask is recognised."""
    return hashlib.sha256(np.ascontiguousarray(case.labels, dtype=np.uint8).data).hexdigest()


def _utc(time: datetime) -> str:
    return time.isoformat(timespec="seconds")


def _identity(identity: ModelIdentity) -> dict[str, object]:
    return {"name": identity.name, "sha256": identity.sha256, "verified": identity.verified}


def _prompts(prompts: SlicePrompts) -> dict[str, object]:
    return {
        "lv_box": None if prompts.lv_box is None else _box(prompts.lv_box),
        "boxes": [_box(box) for box in prompts.boxes],
        "points": [_point(one) for one in prompts.points],
        "pool_box": None if prompts.pool_box is None else _box(prompts.pool_box),
        "no_scar": prompts.no_scar,
        **{
            name: [list(corner) for corner in contour]
            for name in ("endocardium", "epicardium")
            if (contour := getattr(prompts, name)) is not None
        },
    }


def _point(point: Point) -> list[object]:
    where: list[object] = [point.column, point.row, int(point.positive)]
    return where if point.structure is Label.SCAR else [*where, point.structure.name.lower()]


def _box(box: Box) -> dict[str, object]:
    corners = [box.column0, box.row0, box.column1, box.row1]
    return {"corners": corners, "origin": str(box.origin), "score": box.score}
