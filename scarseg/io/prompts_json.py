"""Prompts as a JSON file, version 1, in source pixels.

``{"version": 1, "slices": [{"sop_instance_uid": "...", "boxes": [[column0, row0, column1,
row1]], "points": [[column, row, 1]], "no_scar": false}]}``; a point's last number is 1 inside,
0 outside; ``"lv_box"``, ``"pool_box"`` and, for multi-frame files, ``"frame"`` (from 1) are
optional. Boxes and points ask for scar; a point of four, ``[column, row, 1, "wall"]`` or
``"blood pool"``, corrects the wall or the pool, as ``"pool_box"`` round the endocardium does.
``"endocardium"`` and ``"epicardium"``, each ``[[column, row], ...]``, are contours of the wall,
either or both: pool and wall are then exactly the pixels whose centres they enclose.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import NoReturn

from scarseg.case.case import Case
from scarseg.case.contours import area, check_contours, contours_of, largest_loop_share
from scarseg.case.history import Cause
from scarseg.case.labels import Label, without_infarct
from scarseg.case.prompts import Box, Contour, Origin, Point, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.errors import InputError, LimitError
from scarseg.io.files import write_file

VERSION = 1
MAX_BYTES = 64 << 20
MAX_CORNERS = 2000
"""More corners than this are no contour of a ventricle."""
LOOP_SHARE = 0.05
"""A contour may cross itself where it is drawn: its smaller loop encloses at most this share."""
_SLICE_KEYS = {
    "sop_instance_uid",
    "frame",
    "boxes",
    "points",
    "no_scar",
    "lv_box",
    "pool_box",
    "endocardium",
    "epicardium",
}
_FOREIGN = {
    "labelme": {"shapes", "imagePath"},
    "COCO": {"images", "annotations"},
    "3D Slicer": {"markups"},
    "GeoJSON": {"features"},
}
"""Keys by which files of other annotation programs and formats are known."""
_WORDS = {"scar": Label.SCAR, "wall": Label.MYOCARDIUM, "blood pool": Label.BLOOD_POOL}

SliceKey = tuple[str, int | None]
"""SOP instance UID and, for multi-frame files, the frame number from 1."""


@dataclass(frozen=True)
class PromptsFile:
    """Prompts by slice; a value that crosses processes."""

    slices: Mapping[SliceKey, SlicePrompts]
    sha256: str = ""

    def for_stack(self, stack: Stack) -> dict[int, SlicePrompts]:
        """Return the prompts of this stack by slice index.

        An entry without a frame speaks of the one slice with its UID.

        Raises:
            InputError: E_PROMPTS, a frame is missing, something lies off the image, or contours
                leave no wall.
        """
        found: dict[int, SlicePrompts] = {}
        for key in self.slices:
            for k in self._slices_of(stack, key):
                if k in found:
                    _refuse(f"slice {key[0]} is there with and without a frame")
                found[k] = self.slices[key]
                _check_inside(self.slices[key], stack, key)
        return found

    def keys_in(self, stack: Stack) -> set[SliceKey]:
        """Return the entries for this stack, be it without the frame they need."""
        held = {one.sop_instance_uid for one in stack.sources}
        return {
            key
            for key in self.slices
            if key[0] in held and (key[1] is None or self._slices_of(stack, key))
        }

    def _slices_of(self, stack: Stack, key: SliceKey) -> list[int]:
        uid, frame = key
        same = [k for k, one in enumerate(stack.sources) if one.sop_instance_uid == uid]
        if frame is None:
            if len(same) > 1:
                _refuse(f"slice {uid} needs a frame: the file holds {len(same)} of this stack")
            return same
        return [
            k
            for k in same
            if stack.sources[k].frame == frame or (stack.sources[k].frame is None and frame == 1)
        ]


def read_prompts(path: Path) -> PromptsFile:
    """Read and check a prompts file.

    Raises:
        InputError: E_PROMPTS, saying what is wrong and where.
        LimitError: E_LIMIT, larger than 64 MiB.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise LimitError("E_LIMIT", f"The prompts file {path} is over 64 MiB.", str(path))
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(
            "E_PROMPTS", f"The prompts file {path} cannot be read: {error.strerror}.", str(path)
        ) from error
    try:
        data = json.loads(raw, object_pairs_hook=_object, parse_constant=_constant)
        slices = _slices(data)
    except InputError as error:
        message = f"The prompts file {path}: {error.message}"
        raise InputError("E_PROMPTS", message, str(path)) from error
    except RecursionError as error:
        message = f"The prompts file {path} is nested too deeply."
        raise InputError("E_PROMPTS", message, str(path)) from error
    except ValueError as error:
        message = f"The prompts file {path} is not JSON: {error}."
        raise InputError("E_PROMPTS", message, str(path)) from error
    return PromptsFile(slices, hashlib.sha256(raw).hexdigest())


def write_prompts(path: Path, case: Case, force: bool = False) -> None:
    """Write the prompts of a reader: the slices with boxes, points, contours or "no scar".

    Contours that a reader dragged are written as they are now.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    entries = []
    for k, source in enumerate(case.stack.sources):
        prompts = _with_dragged_contours(case, k)
        if not (prompts.has_scar_prompts or prompts.has_heart_prompts or prompts.no_scar):
            continue
        entry: dict[str, object] = {"sop_instance_uid": source.sop_instance_uid}
        if source.frame is not None:
            entry["frame"] = source.frame
        entry["boxes"] = [_corners(box) for box in prompts.boxes if not prompts.no_scar]
        points = prompts.heart_points if prompts.no_scar else prompts.points
        entry["points"] = [_numbers_of(one) for one in points]
        entry["no_scar"] = prompts.no_scar
        if prompts.lv_box is not None:
            entry["lv_box"] = _corners(prompts.lv_box)
        if prompts.pool_box is not None:
            entry["pool_box"] = _corners(prompts.pool_box)
        for name in ("endocardium", "epicardium"):
            if (contour := getattr(prompts, name)) is not None:
                entry[name] = [list(corner) for corner in contour]
        entries.append(entry)
    text = json.dumps({"version": VERSION, "slices": entries}, indent=1)
    write_file(path, (text + "\n").encode(), force)


def _with_dragged_contours(case: Case, k: int) -> SlicePrompts:
    """Return the prompts of a slice with the contours of its wall, where a reader dragged them."""
    prompts = case.readings[k].prompts
    steps = case.record.steps
    if not any(step.cause is Cause.CONTOUR and step.slice_index == k for step in steps):
        return prompts
    under_scar = case.labels_under_scar
    return prompts.with_contours(
        *contours_of(without_infarct(case.labels[k]) if under_scar is None else under_scar[k])
    )


def _corners(box: Box) -> list[float]:
    return [box.column0, box.row0, box.column1, box.row1]


def _numbers_of(point: Point) -> list[object]:
    where: list[object] = [point.column, point.row, int(point.positive)]
    [word] = (word for word, label in _WORDS.items() if label is point.structure)
    return where if point.structure is Label.SCAR else [*where, word]


def _slices(data: object) -> dict[SliceKey, SlicePrompts]:
    if not isinstance(data, dict) or set(data) != {"version", "slices"}:
        maker = _maker_of(data)
        made_by = f"it is a file of {maker}; " if maker else ""
        _refuse(
            f'{made_by}it must be an object with "version" and "slices", nothing else:'
            ' {"version": 1, "slices": [{"sop_instance_uid": "1.2.3", "boxes":'
            " [[column0, row0, column1, row1]]}]}."
        )
    if data["version"] != VERSION or isinstance(data["version"], bool):
        _refuse(f"version {data['version']!r} is unknown, this program reads version {VERSION}.")
    if not isinstance(data["slices"], list):
        _refuse('"slices" must be a list.')
    found: dict[SliceKey, SlicePrompts] = {}
    for number, entry in enumerate(data["slices"]):
        where = f"slices[{number}]"
        if not isinstance(entry, dict):
            _refuse(f"{where} must be an object.")
        if unknown := sorted(set(entry) - _SLICE_KEYS):
            _refuse(f"{where} has an unknown key {unknown[0]!r}.")
        key = _key(entry, where)
        if key in found:
            _refuse(f"{where}: slice {key[0]} is there twice.")
        found[key] = _prompts(entry, where)
    return found


def _maker_of(data: object) -> str | None:
    """Return the annotation program or format whose own keys a document has."""
    if not isinstance(data, dict):
        return None
    return next((name for name, keys in _FOREIGN.items() if keys <= set(data)), None)


def _key(entry: dict[str, object], where: str) -> SliceKey:
    uid, frame = entry.get("sop_instance_uid"), entry.get("frame")
    if not isinstance(uid, str) or not uid:
        _refuse(f"{where}.sop_instance_uid must be a text.")
    if frame is not None and (type(frame) is not int or frame < 1):
        _refuse(f"{where}.frame must be a whole number from 1, not {frame!r}.")
    return uid, frame


def _prompts(entry: dict[str, object], where: str) -> SlicePrompts:
    no_scar = entry.get("no_scar", False)
    if not isinstance(no_scar, bool):
        _refuse(f"{where}.no_scar must be true or false, not {no_scar!r}.")
    boxes = tuple(
        _box(value, f"{where}.boxes[{k}]")
        for k, value in enumerate(_list(entry.get("boxes", []), f"{where}.boxes"))
    )
    points = tuple(
        _point(value, f"{where}.points[{k}]")
        for k, value in enumerate(_list(entry.get("points", []), f"{where}.points"))
    )
    hearts = {
        name: None if entry.get(name) is None else _box(entry[name], f"{where}.{name}")
        for name in ("lv_box", "pool_box")
    }
    endocardium, epicardium = (
        None if entry.get(name) is None else read_contour(entry[name], f"{where}.{name}")
        for name in ("endocardium", "epicardium")
    )
    prompts = SlicePrompts(
        boxes, points, hearts["lv_box"], no_scar, hearts["pool_box"], endocardium, epicardium
    )
    if no_scar and prompts.has_scar_prompts:
        _refuse(f"{where} says no_scar and asks for scar by boxes or points.")
    return prompts


def _box(value: object, where: str) -> Box:
    column0, row0, column1, row1 = _numbers(value, 4, where)
    if column1 <= column0 or row1 <= row0:
        _refuse(f"{where} must be [column0, row0, column1, row1], smaller corner first: {value}.")
    return Box(column0, row0, column1, row1, Origin.READER)


def _point(value: object, where: str) -> Point:
    values = _list(value, where)
    word = values[3] if len(values) == 4 else "scar"
    if not isinstance(word, str) or word not in _WORDS:
        _refuse(f"{where} must name {', '.join(map(repr, _WORDS))} or nothing, not {word!r}.")
    column, row, positive = _numbers(values[:3] if len(values) == 4 else values, 3, where)
    if positive not in (0, 1):
        _refuse(f"{where} must say 1 (inside) or 0 (outside), not {positive!r}.")
    return Point(column, row, positive == 1, _WORDS[word])


def read_contour(value: object, where: str) -> Contour:
    """Return a contour of ``[column, row]`` corners.

    Args:
        where: name of the value in a message.

    Raises:
        InputError: E_PROMPTS, too few or too many corners, no numbers, no area, or a contour that
            crosses itself.
    """
    corners = [_numbers(one, 2, f"{where}[{k}]") for k, one in enumerate(_list(value, where))]
    if len(corners) > 1 and corners[0] == corners[-1]:
        del corners[-1]  # closed explicitly
    if not 3 <= len(corners) <= MAX_CORNERS:
        _refuse(f"{where} must be a contour of 3 to {MAX_CORNERS} corners, not {len(corners)}.")
    contour = tuple((column, row) for column, row in corners)
    if area(contour) == 0:
        _refuse(f"{where} encloses nothing.")
    if largest_loop_share(contour) > LOOP_SHARE:
        _refuse(f"{where} crosses itself.")
    return contour


def _numbers(value: object, n: int, where: str) -> list[float]:
    values = _list(value, where)
    good = [isinstance(one, int | float) and not isinstance(one, bool) for one in values]
    if len(values) != n or not all(good):
        _refuse(f"{where} must be {n} numbers, not {value!r}.")
    try:
        numbers = [float(one) for one in values]  # type: ignore[arg-type]
    except OverflowError:
        numbers = [float("inf")]
    if not all(isfinite(one) for one in numbers):
        _refuse(f"{where} must be {n} finite numbers.")
    return numbers


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        _refuse(f"{where} must be a list, not {value!r}.")
    return value


def _check_inside(prompts: SlicePrompts, stack: Stack, key: SliceKey) -> None:
    """Refuse what lies off the image: the prompts are another image's, or axes are swapped."""
    hearts = (box for box in (prompts.lv_box, prompts.pool_box) if box is not None)
    for box in (*prompts.boxes, *hearts):
        across = min(box.column1, stack.columns) > max(box.column0, 0)
        down = min(box.row1, stack.rows) > max(box.row0, 0)
        if not (across and down):
            _refuse(f"box {_corners(box)} lies off slice {key[0]}.")
    for point in prompts.points:
        if not (0 <= point.column < stack.columns and 0 <= point.row < stack.rows):
            _refuse(f"point {[point.column, point.row]} lies off slice {key[0]}.")
    try:
        check_contours(prompts, (stack.rows, stack.columns))
    except ValueError as error:
        _refuse(f"{error} on slice {key[0]}.")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _refuse("a key is there twice in one object.")
    return found


def _constant(text: str) -> NoReturn:
    _refuse(f"{text} is no number.")


def _refuse(what: str) -> NoReturn:
    raise InputError("E_PROMPTS", what)
