"""Split of patients into training and validation: decided once, kept in a file, never moved."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scarseg.errors import InputError
from scarseg.io.files import write_file
from scarseg.training.cases import INNER, VALIDATION, TrainingCase

FORMAT = 1
PARTS = ("training", "validation", "held_out")
LEAST_TO_SHARE = 4
"""With fewer patients all of them train."""


@dataclass(frozen=True)
class Split:
    """Names of patients (``TrainingCase.patient``), each in one part only.

    Args:
        training: gradients come from these.
        validation: a run watches these: early stop, best checkpoint, tuning.
        held_out: kept for the figures that are reported; a run never reads them. EMIDEC's
            validation list is always here.
    """

    training: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = Counter(self.patients)
        twice = sorted(name for name, n in count.items() if n > 1)
        if twice:
            message = f"A split names patients more than once: {', '.join(twice)}."
            raise InputError("E_INPUT_UNREADABLE", message)

    @property
    def patients(self) -> tuple[str, ...]:
        """Names of all patients of the split."""
        return (*self.training, *self.validation, *self.held_out)

    def cases(self, cases: Iterable[TrainingCase], part: str = "training") -> list[TrainingCase]:
        """Pick the cases whose patient is in a part."""
        names = set(getattr(self, part))
        return [case for case in cases if case.patient in names]

    def save(self, path: Path) -> None:
        """Write the split as JSON, whole or not at all, over an earlier one.

        Raises:
            OutputError: E_WRITE.
        """
        document = {"version": FORMAT, **{name: list(getattr(self, name)) for name in PARTS}}
        write_file(path, (json.dumps(document, indent=1) + "\n").encode(), force=True)

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: E_INPUT_MISSING, E_INPUT_UNREADABLE (also a patient in two parts).
        """
        try:
            document: Any = json.loads(path.read_text(encoding="utf-8"))
            if document["version"] != FORMAT:
                raise ValueError("another version")
            parts = [document[name] for name in PARTS]
            if not all(isinstance(name, str) for part in parts for name in part):
                raise TypeError("names expected")
        except FileNotFoundError as error:
            raise InputError(
                "E_INPUT_MISSING", f"There is no split file {path}.", str(path)
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            message = f"{path} is not a split file of scarseg."
            raise InputError("E_INPUT_UNREADABLE", message, str(path)) from error
        return cls(*(tuple(part) for part in parts))


def make_split(
    cases: Sequence[TrainingCase],
    seed: int,
    share: float = 0.2,
    fixed_validation: Collection[str] = INNER,
    earlier: Split | None = None,
) -> Split:
    """Split patients into training and validation, those with and without scar evenly.

    Real LGE patients validate; where there are none, simulated ones do. Cine has no scar and
    always trains. EMIDEC's validation patients are held out, whatever else is asked for.

    Args:
        cases: whose patients are to be dealt.
        seed: the same cases and seed give the same split.
        share: of the patients that may validate; the fixed ones count. 0: only the fixed ones.
        fixed_validation: patients that validate in any case, EMIDEC's tuning patients if not
            told otherwise.
        earlier: a split to be kept: no patient of it moves, new ones are dealt so that the
            share is met.
    """
    earlier = earlier or Split()
    scar = _with_scar(cases)
    fresh = [name for name in scar if name not in set(earlier.patients)]
    held_out = [name for name in fresh if name in VALIDATION]
    validation = [name for name in fresh if name in fixed_validation and name not in held_out]
    free = [name for name in fresh if name not in {*held_out, *validation}]
    validating = {*earlier.validation, *validation}
    open_to_choice = _may_validate(cases) - {*held_out, *earlier.held_out}
    rng = np.random.default_rng(seed)
    strata = [[name for name in open_to_choice if scar[name] is kind] for kind in (True, False)]
    for stratum in strata:
        candidates = sorted(set(stratum) & set(free))
        wanted = round(share * len(stratum)) - len(validating & set(stratum))
        for pick in rng.permutation(len(candidates))[: max(0, wanted)]:
            validation.append(candidates[pick])
    candidates = sorted(open_to_choice & set(free))
    if share and not {*earlier.validation, *validation} and len(candidates) >= LEAST_TO_SHARE:
        validation.append(candidates[int(rng.integers(len(candidates)))])
    training = [name for name in free if name not in validation]
    return Split(
        (*earlier.training, *sorted(training)),
        (*earlier.validation, *sorted(validation)),
        (*earlier.held_out, *sorted(held_out)),
    )


def keep_split(
    path: Path,
    cases: Sequence[TrainingCase],
    seed: int,
    share: float = 0.2,
    fixed_validation: Collection[str] = INNER,
) -> Split:
    """Read the split file if there is one, add patients it does not know, and write it.

    Raises:
        InputError: E_INPUT_UNREADABLE; OutputError: E_WRITE.
    """
    earlier = Split.load(path) if path.exists() else None
    split = make_split(cases, seed, share, fixed_validation, earlier)
    if split != earlier:
        split.save(path)
    return split


def folds(names: Sequence[str], n: int, seed: int = 0) -> list[list[str]]:
    """Split patients into ``n`` folds, those of each kind (first letter: P and N) evenly."""
    rng = np.random.default_rng(seed)
    dealt: list[list[str]] = [[] for _ in range(n)]
    for kind in sorted({name[:1] for name in names}, reverse=True):
        some = [name for name in sorted(names) if name.startswith(kind)]
        for k, pick in enumerate(rng.permutation(len(some))):
            dealt[k % n].append(some[pick])
    return dealt


def _with_scar(cases: Iterable[TrainingCase]) -> dict[str, bool]:
    """Return, for every patient in order of name, whether one of the stacks shows scar."""
    scar: dict[str, bool] = {}
    for case in sorted(cases, key=lambda case: case.patient):
        scar[case.patient] = scar.get(case.patient, False) or case.has_scar
    return scar


def _may_validate(cases: Iterable[TrainingCase]) -> set[str]:
    by_kind: dict[str, set[str]] = {"lge": set(), "simulated": set()}
    for case in cases:
        by_kind.setdefault(case.kind, set()).add(case.patient)
    return by_kind["lge"] or by_kind["simulated"]
