"""Sentences on a comparison of two studies, for the page and the window."""

from __future__ import annotations

from scarseg.agreement.follow import MassChange, MassWithInterval
from scarseg.agreement.follow_study import MeasuredStudy, StudyComparison
from scarseg.case.history import SliceStatus
from scarseg.case.patient import contradiction_note
from scarseg.io.tables.table import export_status, reading_method
from scarseg.quant.bullseye_layout import signed_grams
from scarseg.report import text as report_text

PERCENT = "90 %"
"""Of the interval."""


def mass_text(mass: MassWithInterval) -> str:
    """Return a mass with its interval: "12.3 g (10.1 to 14.9)"."""
    grams = f"{report_text.rounded_grams(mass.mass_g)} g"
    if mass.low_g is None or mass.high_g is None:
        return grams
    return f"{grams} ({mass.low_g:.1f} to {mass.high_g:.1f})"


def change_text(change: MassChange) -> str:
    """Return a change with its interval: "+3.1 g (+1.0 to +5.2)"."""
    grams = f"{signed_grams(change.change_g)} g"
    if change.low_g is None or change.high_g is None:
        return grams
    return f"{grams} ({signed_grams(change.low_g)} to {signed_grams(change.high_g)})"


def result_sentence(change: MassChange) -> str:
    """Return what the change says, against the program's own repeatability."""
    if change.smallest_change_g is None:
        return "Without the interval of both masses it is not known what a change says."
    smallest = f"{change.smallest_change_g:.1f} g"
    if not change.beyond:
        return f"Within repeatability: up to {smallest} of change can come from the program alone."
    more = "more" if change.change_g > 0 else "less"
    return f"There is {more} scar: the change is beyond the program's repeatability ({smallest})."


def status_text(study: MeasuredStudy) -> str:
    """Return how far a study was read: "proposed, 0 of 7 slices read"."""
    measured = study.measured
    read = f"{measured.n_slices_reviewed} of {measured.n_slices} slices read"
    if not report_text.has_result(measured):
        return f"nothing was read or proposed, {read}"
    if export_status(study.case) == "read":
        return f"read, {read}"
    return f"{'incomplete' if measured.n_slices_reviewed else 'proposed'}, {read}"


def is_read(study: MeasuredStudy) -> bool:
    """Return whether every slice of a study was read."""
    return export_status(study.case) == "read"


def days_text(comparison: StudyComparison) -> str:
    """Return the time between the studies: "412 days"; empty where a date is missing."""
    days = comparison.days_between
    return "" if days is None else f"{days} day{'' if abs(days) == 1 else 's'}"


def comparison_notes(comparison: StudyComparison) -> list[str]:
    """Return what limits a comparison, one sentence each; empty where nothing does."""
    earlier, later = comparison.earlier, comparison.later
    notes = []
    ids = [one.case.stack.patient_id.strip() for one in (earlier, later)]
    differences = earlier.case.stack.patient.differences(later.case.stack.patient)
    if "" in ids:
        notes.append("A study has no patient ID: that both are of one patient cannot be checked.")
    elif ids[0] != ids[1]:
        notes.append("The studies have different patient IDs: they may be of different patients.")
    elif differences:
        notes.append(contradiction_note(differences))
    unread = [
        f"the {when} study is {status_text(one).split(',')[0]}"
        for when, one in (("earlier", earlier), ("later", later))
        if not is_read(one)
    ]
    if unread:
        notes.append(f"Not a reading: {' and '.join(unread)}.")
    for when, one in (("earlier", earlier), ("later", later)):
        unseen = sum(each.status is SliceStatus.UNSEEN for each in one.case.readings)
        if unseen:
            slices = "1 slice" if unseen == 1 else f"{unseen} slices"
            notes.append(f"Scar may be missing: {slices} of the {when} study unseen.")
    if earlier.convention is not later.convention:
        rules = [report_text.CONVENTIONS[one.convention] for one in (earlier, later)]
        notes.append(f"The masses follow different conventions: {rules[0]}, then {rules[1]}.")
    weights = [one.case.segmenter for one in (earlier, later)]
    if all(one.sha256 for one in weights) and weights[0].sha256 != weights[1].sha256:
        notes.append(
            f"The studies were segmented by different weights: {weights[0].name}, then"
            f" {weights[1].name}."
        )
    if comparison.days_between is None:
        notes.append("A study has no date: which is the earlier one is taken from the choice.")
    elif comparison.days_between == 0:
        notes.append("Both studies are of the same day.")
    return notes


def method_texts(comparison: StudyComparison) -> list[str]:
    """Return how the figures were computed, for the small print."""
    convention = report_text.CONVENTIONS[comparison.later.convention]
    density = comparison.later.measured.density_g_per_ml
    return [
        f"Masses by {convention}, {density:g} g/ml, {PERCENT} intervals of the effect of prompts"
        " and threshold. Interval of the change by the method of variance estimates recovery (Zou"
        " and Donner 2008); smallest change beyond repeatability: 1.96 standard deviations of the"
        " difference of two masses. Errors of the program alone: another scan or another reader"
        " add theirs.",
        f"Slices are shown {comparison.linked.rule}.",
        *(
            f"{when}: {reading_method(one.case)}, reader {one.case.reader or 'unknown'};"
            f" {report_text.model_line('segmenter', one.case.segmenter)};"
            f" {report_text.model_line('detector', one.case.detector)}."
            f" Series {one.case.stack.stack_id}."
            for when, one in (("Earlier", comparison.earlier), ("Later", comparison.later))
        ),
    ]
