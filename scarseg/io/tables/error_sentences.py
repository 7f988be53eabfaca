"""Sentences of the error codes of a row, without a path, a header's text or a name.

The message of an error may hold any of these, so that a table without identities has the sentence
of its code instead.
"""

from __future__ import annotations

ERROR_SENTENCES = {
    "E_ARCHIVE": "The archive is damaged or cannot be trusted.",
    "E_CRASH": "The process that worked on this series died.",
    "E_DECODE": "The pixels cannot be decoded.",
    "E_DEVICE": "The device asked for is not there.",
    "E_DUPLICATE": "Two different images have one UID.",
    "E_EXISTS": "An output exists already.",
    "E_GEOMETRY": "Position or orientation of a slice is missing or impossible.",
    "E_HEADER": "UIDs or the size of an image are missing.",
    "E_IMAGE_KINDS": "Magnitude and real images are in one stack, and nothing tells them apart.",
    "E_INPUT_EMPTY": "The input is empty.",
    "E_INPUT_MISSING": "The input is not there.",
    "E_INPUT_UNREADABLE": "A file cannot be read.",
    "E_INTERNAL": "A bug in the program; see the log.",
    "E_LIMIT": "The input is larger than the program reads.",
    "E_MASK": "The file is no label map.",
    "E_MASK_AMBIGUOUS": "The mask fits several stacks, or two masks fit one.",
    "E_MASK_GEOMETRY": "The mask does not lie on the grid of its stack.",
    "E_MASK_GRID": "The mask lies on another grid.",
    "E_MASK_SEGMENTS": "The segments of the mask do not say what they are.",
    "E_MASK_STUDY": "The mask belongs to another study.",
    "E_MASK_UNMATCHED": "The mask fits no stack.",
    "E_MEMORY": "The series did not fit into memory.",
    "E_MODEL_OUTPUT": "A model gave no usable answer.",
    "E_NIFTI": "The file is no NIfTI label map.",
    "E_NO_LGE": "No stack looks like LGE short axis.",
    "E_NO_MR": "There is no MR image.",
    "E_PROMPTS": "A prompt makes no sense on this stack.",
    "E_RESCALE": "Rescale slope or intercept cannot be trusted.",
    "E_SOURCE_CHANGED": "A file changed after it was listed.",
    "E_SPACING": "The pixel spacing is missing or impossible.",
    "E_THICKNESS": "The slice thickness is missing or impossible.",
    "E_TRUNCATED": "A file ends too early.",
    "E_WRITE": "An output cannot be written.",
}


def error_sentence(code: str) -> str:
    """Return the sentence of a code; empty for one that no row carries."""
    return ERROR_SENTENCES.get(code, "")
