"""Which stack of a study is the LGE short-axis stack, and why, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from scarseg.case.stack import LoadWarning
from scarseg.io.dicom.geometry import FEW_SLICES
from scarseg.io.dicom.kinds import words_of
from scarseg.io.dicom.types import ImageKind, StackSummary

_LGE = {"lge", "de", "dhe", "psir", "psmde", "mde", "viability", "late", "delayed", "scar"}
_LGE |= {"gadolinium", "tardif", "tardive", "psde", "viab"}
_SHORT_AXIS = {"sax", "sa", "short", "shax", "kax", "kurzachse", "ka", "petit"}
_LONG_AXIS = {
    "lax",
    "long",
    "ch",
    "chamber",
    "cham",
    "vla",
    "hla",
    "lvot",
    "rvot",
    "aorta",
    "radial",
}
_NEVER = {"cine", "scout", "localizer", "localiser", "survey"}
_OTHER = {"ssfp", "trufi", "fiesta", "btfe", "perfusion", "perf", "molli"}
_OTHER |= {"stir", "haste", "flow", "venc", "tagging", "map", "mapping", "shmolli", "flair", "dwi"}
_OTHER |= {"mra", "angio", "swi", "adc", "tof"}
_OTHER |= {"stress", "rest", "tse", "mprage", "bravo", "spgr", "calibration", "timing"}
_ELSEWHERE = {"head", "brain", "neuro", "skull", "spine", "knee", "liver", "abdomen", "pelvis"}
_ELSEWHERE |= {"shoulder", "breast", "prostate", "ankle", "hip", "neck", "cerebrum", "orbit"}
_WITHIN_WORDS = ("lge", "psir", "psmde", "viab", "delayed", "sax", "cine", "scout", "localizer")
_MIN_SPACING_MM, _MAX_SPACING_MM = 4.0, 20.0
_MAX_SLICES = 30


@dataclass(frozen=True)
class LgeEvidence:
    """What besides its geometry speaks for a stack: texts and times of its headers."""

    words: frozenset[str]
    body: frozenset[str]
    inversion: bool
    contrast: bool
    cardiac_images: int
    phases: int


def lge_evidence(
    texts: Sequence[str],
    body_part: str,
    inversion: bool,
    contrast: bool,
    cardiac_images: int,
    phases: int,
) -> LgeEvidence:
    """Gather what a stack's headers say in words."""
    words = words_of(*texts)
    words |= {part for part in _WITHIN_WORDS for word in words if part in word}
    return LgeEvidence(
        frozenset(words),
        frozenset(words_of(body_part)),
        inversion,
        contrast,
        cardiac_images,
        phases,
    )


@dataclass(frozen=True)
class _Judged:
    stack: StackSummary
    score: int
    says_lge: bool
    reasons: tuple[str, ...]


def propose(
    stacks: Sequence[tuple[StackSummary, LgeEvidence]], refused_studies: Collection[str] = ()
) -> list[StackSummary]:
    """Mark at most one stack of every study as the likely LGE short-axis stack.

    Every stack gets its reason. A single plausible stack is proposed even when nothing calls
    it LGE, with ``W_NOT_LGE``, unless something of the study (``refused_studies``) was refused:
    that may have been the one. Of a magnitude and PSIR pair the magnitude is proposed.
    """
    studies: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, (stack, _) in enumerate(stacks):
        studies[(stack.patient_id, stack.study_uid)].append(index)
    result = [stack for stack, _ in stacks]
    for indices in studies.values():
        of_study = [stacks[index] for index in indices]
        only_named = of_study[0][0].study_uid in refused_studies
        for index, stack in zip(indices, _propose_one(of_study, only_named), strict=True):
            result[index] = stack
    return result


def _propose_one(
    stacks: Sequence[tuple[StackSummary, LgeEvidence]], only_named: bool
) -> list[StackSummary]:
    against = [_against(stack, facts) for stack, facts in stacks]
    judged = [
        _judge(stack, facts)
        for (stack, facts), fault in zip(stacks, against, strict=True)
        if not fault
    ]
    best = _best(judged, only_named)
    result = []
    for (stack, _), fault in zip(stacks, against, strict=True):
        if best is not None and stack is best.stack:
            result.append(_proposed(best, judged))
        elif fault:
            result.append(replace(stack, reason=f"not proposed: {fault}"))
        elif best is None:
            result.append(replace(stack, reason=f"not proposed: {_why_none(judged, only_named)}"))
        else:
            result.append(replace(stack, reason="not proposed: another stack is likelier"))
    return result


def _why_none(judged: Sequence[_Judged], only_named: bool) -> str:
    if max(j.stack.n_slices for j in judged) < FEW_SLICES:
        return "several series hold one or two slices each"
    why = "something was refused" if only_named else "several stacks are as likely"
    return f"{why} and nothing says LGE"


def _against(stack: StackSummary, facts: LgeEvidence) -> str:
    """Say what rules a stack out, empty where nothing does."""
    lge, short_axis = bool(facts.words & _LGE), bool(facts.words & _SHORT_AXIS)
    if stack.modality not in ("MR", ""):
        return f"it is {stack.modality}, not MR"
    if stack.kind not in (ImageKind.MAGNITUDE, ImageKind.PSIR):
        return f"it is a {stack.kind.value} image"
    elsewhere = (facts.words | facts.body) & _ELSEWHERE
    if elsewhere:
        return f"it shows the {min(elsewhere)}"
    if facts.words & _NEVER:
        return f"its description says {min(facts.words & _NEVER)}"
    if facts.words & _LONG_AXIS and not short_axis:
        return "it is a long-axis view"
    other = facts.words & _OTHER
    if other and not lge:
        return f"its description says {min(other)}"
    if facts.phases > 1 and not lge and not facts.inversion:
        return f"every position was acquired {facts.phases} times: a cine or a repeat"
    if facts.cardiac_images >= 8 and not lge:
        return f"it is one of {facts.cardiac_images} heart phases"
    return _geometry_against(stack, lge and short_axis, lge)


def _geometry_against(stack: StackSummary, named: bool, lge: bool) -> str:
    if stack.n_slices < FEW_SLICES and not named:
        return f"it has only {stack.n_slices} slice{'s' if stack.n_slices > 1 else ''}"
    spacing = stack.slice_spacing_mm
    if spacing is not None and not _MIN_SPACING_MM <= spacing <= _MAX_SPACING_MM and not named:
        return f"its slices lie {spacing:.3g} mm apart"
    if stack.n_slices > _MAX_SLICES and not lge:
        return f"it has {stack.n_slices} slices"
    return ""


def _judge(stack: StackSummary, facts: LgeEvidence) -> _Judged:
    score, reasons = 0, []
    lge = facts.words & _LGE
    if lge:
        score += 10
        reasons.append(f"its description says {', '.join(sorted(lge))}")
    elif stack.kind is ImageKind.PSIR:
        score += 8
        reasons.append("it is PSIR")
    if facts.inversion:
        score += 3
        reasons.append("it has an inversion time")
    if facts.contrast:
        score += 1
    if facts.words & _SHORT_AXIS:
        score += 3
        reasons.append("it is called short axis")
    if 5 <= stack.n_slices <= 20:
        score += 2
    if stack.slice_spacing_mm is not None and 5 <= stack.slice_spacing_mm <= 15:
        score += 2
    if stack.slice_spacing_mm is not None:
        reasons.append(f"{stack.n_slices} slices {stack.slice_spacing_mm:.3g} mm apart")
    says_lge = bool(lge) or stack.kind is ImageKind.PSIR or facts.inversion
    return _Judged(stack, score, says_lge, tuple(reasons))


def _best(judged: Sequence[_Judged], only_named: bool) -> _Judged | None:
    if not judged:
        return None
    best = min(judged, key=_preference)
    if best.stack.n_slices < FEW_SLICES and len(judged) > 1:
        return None
    unclear = only_named or len({j.stack.series_uid for j in judged}) > 1
    if not best.says_lge and unclear:
        return None
    if best.stack.kind is ImageKind.PSIR:
        pairs = [
            j
            for j in judged
            if (j.says_lge or j.stack.series_uid == best.stack.series_uid)
            and _is_magnitude_of(j.stack, best.stack)
        ]
        best = min(pairs, key=_preference, default=best)
    return best


def _preference(judged: _Judged) -> tuple[object, ...]:
    """Sort the likeliest first; of repeats the first part, which holds the newest."""
    stack = judged.stack
    return (
        -judged.score,
        not stack.complete,
        -stack.n_slices,
        stack.kind is not ImageKind.MAGNITUDE,
        -(stack.series_number or 0),
        stack.stack_id,
    )


def _is_magnitude_of(stack: StackSummary, psir: StackSummary) -> bool:
    return (
        stack.kind is ImageKind.MAGNITUDE
        and stack.n_slices == psir.n_slices
        and (stack.rows, stack.columns) == (psir.rows, psir.columns)
        and all(abs(a - b) < 1e-3 for a, b in zip(stack.orientation, psir.orientation, strict=True))
        and all(
            sum((a - b) ** 2 for a, b in zip(mine.position_mm, theirs.position_mm, strict=True)) < 1
            for mine, theirs in zip(stack.frames, psir.frames, strict=True)
        )
    )


def _proposed(best: _Judged, judged: Sequence[_Judged]) -> StackSummary:
    stack = best.stack
    reasons = list(best.reasons)
    warnings = stack.warnings
    if not best.says_lge:
        reasons.append("it is the only stack that could be a short axis")
        warnings = (
            *warnings,
            LoadWarning(
                "W_NOT_LGE",
                "Nothing in the headers says late enhancement; make sure that this is the stack.",
            ),
        )
    others = [j.stack for j in judged if j.stack is not stack]
    if stack.kind is ImageKind.MAGNITUDE and any(_is_magnitude_of(stack, o) for o in others):
        reasons.append("magnitude is taken, its PSIR is there as well")
    elif others:
        reasons.append(f"{len(others)} more could be meant")
    return replace(stack, proposed=True, reason="; ".join(reasons), warnings=warnings)
