"""Propose the LGE short-axis stack of a study, and say why in words.

The description of a series weighs most. Its protocol name is often that of the whole examination
and speaks only where the description says nothing, without the words that all series of the study
share. Nothing else (inversion time, contrast agent, PSIR) makes a stack late enhancement without a
warning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from scarseg.case.stack import LoadWarning
from scarseg.io.dicom.geometry import FEW_SLICES, ORIENTATION_DEGREES, angle_degrees
from scarseg.io.dicom.series_words import SeriesWords, read_name, read_words, split_words
from scarseg.io.dicom.types import ImageKind, StackSummary

_MIN_SPACING_MM, _MAX_SPACING_MM = 4.0, 20.0
_MAX_SLICES = 30
_CINE_PHASES = 8


@dataclass(frozen=True)
class LgeEvidence:
    """Texts and times in the headers of a stack that suggest late enhancement or not."""

    description: str
    protocol: str
    sequence_name: str
    body_part: str
    inversion: bool
    contrast: bool
    cardiac_images: int
    phases: int


@dataclass(frozen=True)
class _Named:
    """A stack with what its names say.

    ``field`` is the header field that decides; ``own`` are the words of the description that
    other series of the study do not share.
    """

    stack: StackSummary
    evidence: LgeEvidence
    words: SeriesWords
    own: SeriesWords
    field: str


@dataclass(frozen=True)
class _Candidate:
    stack: StackSummary
    score: int
    named: bool
    likely: bool
    reasons: tuple[str, ...]


def propose(
    stacks: Sequence[tuple[StackSummary, LgeEvidence]], refused_studies: Collection[str] = ()
) -> list[StackSummary]:
    """Mark at most one stack of every study as the likely LGE short-axis stack.

    Every stack gets its reason. A single plausible stack is proposed even when nothing calls
    it LGE, with ``W_NOT_LGE``, unless something of the study (``refused_studies``) was refused:
    that may have been the one. Of a magnitude and PSIR pair the magnitude is proposed.
    """
    studies: defaultdict[object, list[int]] = defaultdict(list)
    for index, (stack, _) in enumerate(stacks):
        studies[stack.owner].append(index)
    result = [stack for stack, _ in stacks]
    for indices in studies.values():
        of_study = _read_names([stacks[index] for index in indices])
        only_named = of_study[0].stack.study_uid in refused_studies
        for index, stack in zip(indices, _propose_one(of_study, only_named), strict=True):
            result[index] = stack
    return result


def _read_names(stacks: Sequence[tuple[StackSummary, LgeEvidence]]) -> list[_Named]:
    several = len({evidence.description for _, evidence in stacks}) > 1
    in_protocols = _shared([evidence.protocol for _, evidence in stacks]) if several else set()
    in_descriptions = (
        _shared([evidence.description for _, evidence in stacks]) if several else set()
    )
    named = []
    for stack, evidence in stacks:
        words, field = _deciding_words(evidence, in_protocols, several)
        unshared = _without(split_words(evidence.description), in_descriptions)
        own = read_words(unshared)
        named.append(_Named(stack, evidence, words, own, field))
    return named


def _shared(names: Sequence[str]) -> set[str]:
    """Return the words that all names share; they carry nothing about any one of them."""
    sets = [{word.casefold() for word in split_words(name)} for name in names]
    return set.intersection(*sets)


def _without(words: Sequence[str], shared: Collection[str]) -> list[str]:
    return [word for word in words if word.casefold() not in shared]


def _deciding_words(
    evidence: LgeEvidence, in_protocols: Collection[str], several: bool
) -> tuple[SeriesWords, str]:
    """Return the words of the first field that says what was acquired, and its name.

    The protocol of a single series may be that of the examination: it can only add late
    enhancement, never rule out. So can the sequence name.
    """
    described = read_name(evidence.description)
    if described.decides:
        return described, "description"
    own = _without(split_words(evidence.protocol), in_protocols)
    protocol = read_words(own)
    view = {
        "short_axis": described.short_axis or protocol.short_axis,
        "long_axis": described.long_axis or ("" if described.short_axis else protocol.long_axis),
        "elsewhere": described.elsewhere or protocol.elsewhere,
    }
    if protocol.lge or (several and protocol.decides):
        return replace(protocol, **view), "protocol"
    sequence = read_name(evidence.sequence_name)
    return replace(described, lge=sequence.lge, **view), "sequence name"


def _propose_one(stacks: Sequence[_Named], only_named: bool) -> list[StackSummary]:
    owns_lge = any(one.own.lge for one in stacks)
    against = [_against(one, owns_lge) for one in stacks]
    candidates = [_judge(one) for one, fault in zip(stacks, against, strict=True) if not fault]
    best = _best(candidates, only_named)
    result = []
    for one, fault in zip(stacks, against, strict=True):
        stack = one.stack
        if best is not None and stack is best.stack:
            result.append(_proposed(best, candidates))
        elif fault:
            result.append(replace(stack, reason=f"not proposed: {fault}"))
        elif best is None:
            why = _why_none(candidates, only_named)
            result.append(replace(stack, reason=f"not proposed: {why}"))
        else:
            result.append(replace(stack, reason="not proposed: another stack is likelier"))
    return result


def _why_none(candidates: Sequence[_Candidate], only_named: bool) -> str:
    if max(one.stack.n_slices for one in candidates) < FEW_SLICES:
        return "several series hold one or two slices each"
    why = "something was refused" if only_named else "several stacks are as likely"
    return f"{why} and nothing says LGE"


def _against(named: _Named, owns_lge: bool) -> str:
    """Return what rules a stack out, empty where nothing does.

    Args:
        named: the stack.
        owns_lge: some series of the study is called LGE by words that not all share; then words
            that all share rule nothing out.
    """
    stack, words, evidence = named.stack, named.words, named.evidence
    if stack.modality not in ("MR", ""):
        return f"it is {stack.modality}, not MR"
    if stack.kind not in (ImageKind.MAGNITUDE, ImageKind.PSIR):
        return f"it is a {stack.kind.value} image"
    never = words.never
    if named.field == "description" and owns_lge:
        never = named.own.never
    if never:
        return f"its {named.field} says {never}"
    if not words.lge:
        elsewhere = words.elsewhere or read_name(evidence.body_part).elsewhere
        if elsewhere:
            return f"it shows the {elsewhere}"
        if words.other:
            return f"its {named.field} says {words.other}"
    if words.long_axis and not words.short_axis:
        return "it is a long-axis view"
    if not words.lge:
        if evidence.phases > 1 and (not evidence.inversion or evidence.phases >= _CINE_PHASES):
            return f"every position was acquired {evidence.phases} times: a cine or a repeat"
        if evidence.cardiac_images >= _CINE_PHASES:
            return f"it is one of {evidence.cardiac_images} heart phases"
    return _geometry_against(stack, bool(words.lge), bool(words.short_axis))


def _geometry_against(stack: StackSummary, lge: bool, short_axis: bool) -> str:
    named = lge and short_axis
    if stack.n_slices < FEW_SLICES and not named:
        return f"it has only {stack.n_slices} slice{'s' if stack.n_slices > 1 else ''}"
    spacing = stack.slice_spacing_mm
    if spacing is not None and not _MIN_SPACING_MM <= spacing <= _MAX_SPACING_MM and not named:
        return f"its slices lie {spacing:.3g} mm apart"
    if stack.n_slices > _MAX_SLICES and not lge:
        return f"it has {stack.n_slices} slices"
    return ""


_LGE_SCORE = {"description": 10, "protocol": 6, "sequence name": 5}


def _judge(one: _Named) -> _Candidate:
    stack, words, evidence = one.stack, one.words, one.evidence
    psir = stack.kind is ImageKind.PSIR
    score, reasons = 0, []
    if words.lge:
        score += _LGE_SCORE[one.field]
        reasons.append(f"its {one.field} says {words.lge}")
    elif psir:
        score += 8
        reasons.append("it is PSIR")
    if one.own.lge:
        score += 1
    if evidence.inversion:
        score += 3
        reasons.append("it has an inversion time")
    if evidence.contrast:
        score += 1
    if words.short_axis:
        score += 3
        reasons.append("it is called short axis")
    if 5 <= stack.n_slices <= 20:
        score += 2
    if stack.slice_spacing_mm is not None and 5 <= stack.slice_spacing_mm <= 15:
        score += 2
    if stack.slice_spacing_mm is not None:
        reasons.append(f"{stack.n_slices} slices {stack.slice_spacing_mm:.3g} mm apart")
    likely = bool(words.lge) or psir or evidence.inversion
    return _Candidate(stack, score, bool(words.lge), likely, tuple(reasons))


def _best(candidates: Sequence[_Candidate], only_named: bool) -> _Candidate | None:
    if not candidates:
        return None
    best = min(candidates, key=_preference)
    if best.stack.n_slices < FEW_SLICES and len(candidates) > 1:
        return None
    unclear = only_named or len({one.stack.series_uid for one in candidates}) > 1
    if not best.likely and unclear:
        return None
    if best.stack.kind is ImageKind.PSIR:
        pairs = [
            one
            for one in candidates
            if (one.likely or one.stack.series_uid == best.stack.series_uid)
            and _is_magnitude_of(one.stack, best.stack)
        ]
        best = min(pairs, key=_preference, default=best)
    return best


def _preference(candidate: _Candidate) -> tuple[object, ...]:
    """Sort the likeliest first; of repeats the first part, which holds the newest."""
    stack = candidate.stack
    return (
        -candidate.score,
        not stack.complete,
        -stack.n_slices,
        stack.kind is not ImageKind.MAGNITUDE,
        -(stack.series_number or 0),
        stack.stack_id,
    )


def _is_magnitude_of(stack: StackSummary, psir: StackSummary) -> bool:
    return (
        stack.kind is ImageKind.MAGNITUDE
        and psir.kind is ImageKind.PSIR
        and stack.n_slices == psir.n_slices
        and (stack.rows, stack.columns) == (psir.rows, psir.columns)
        and angle_degrees(stack.orientation, psir.orientation) <= ORIENTATION_DEGREES
        and all(
            sum((a - b) ** 2 for a, b in zip(mine.position_mm, theirs.position_mm, strict=True)) < 1
            for mine, theirs in zip(stack.frames, psir.frames, strict=True)
        )
    )


def _proposed(best: _Candidate, candidates: Sequence[_Candidate]) -> StackSummary:
    stack = best.stack
    reasons = list(best.reasons)
    warnings = stack.warnings
    if not best.likely:
        reasons.append("it is the only stack that could be a short axis")
    if not best.named:
        warnings = (*warnings, _not_lge(best))
    others = [one.stack for one in candidates if one.stack is not stack]
    if any(_is_magnitude_of(stack, other) for other in others):
        reasons.append("magnitude is taken, its PSIR is there as well")
    elif others:
        reasons.append(f"{len(others)} more could be meant")
    return replace(stack, proposed=True, reason="; ".join(reasons), warnings=warnings)


def _not_lge(best: _Candidate) -> LoadWarning:
    if best.stack.kind is ImageKind.PSIR:
        what = "Only that it is PSIR speaks for late enhancement"
    elif best.likely:
        what = "Only an inversion time speaks for late enhancement"
    else:
        what = "Nothing in the headers says late enhancement"
    return LoadWarning("W_NOT_LGE", f"{what}; make sure that this is the stack.")
