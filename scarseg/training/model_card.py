"""The card beside exported weights: data, terms, recipe, figures, in JSON and in words."""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

import scarseg
from scarseg.models.compact_sam import join_members
from scarseg.models.weights import sha256 as sha256_of_weights
from scarseg.training.cases import TrainingCase
from scarseg.training.runs import weights_name, write_file

SHARE_ALIKE = "CC-BY-NC-SA-4.0"
"""Terms of EMIDEC and ACDC, and of everything trained on them."""
YOURS = "yours"
_EMIDEC, _ACDC = re.compile(r"[NP]\d{3}"), re.compile(r"patient\d{3}")
_KINDS = {
    "lge": "LGE",
    "cine": "cine turned into LGE contrast",
    "simulated": "simulated",
}


@dataclass(frozen=True)
class ModelCard:
    """Model card of exported weights; no patient is named in it.

    Args:
        kind: segmenter or detector.
        data: kind of case -> stacks, slices and patients that were learned from.
        split: part -> number of patients.
        sources: public data sets recognised among the data.
        recipe: settings of the run, seed included.
        command: as it was typed, paths cut to their last name.
        run: steps, minutes, how it ended.
        figures: of the exported weights on the run's own validation patients.
        init, init_licence: what the run began with.
    """

    name: str
    kind: str
    data: Mapping[str, Mapping[str, int]]
    split: Mapping[str, int]
    sources: tuple[str, ...]
    recipe: Mapping[str, Any]
    command: str
    run: Mapping[str, Any]
    figures: Mapping[str, Any]
    init: str = ""
    init_licence: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def licence(self) -> str:
        """Licence of the weights: that of their data and of their initial weights."""
        if self.sources or self.init_licence == SHARE_ALIKE:
            return SHARE_ALIKE
        return self.init_licence or YOURS


def count_data(cases: Sequence[TrainingCase]) -> dict[str, dict[str, int]]:
    """Count what is learned from, by kind."""
    counted = {}
    for kind in sorted({case.kind for case in cases}):
        some = [case for case in cases if case.kind == kind]
        counted[kind] = {
            "patients": len({case.patient for case in some}),
            "stacks": len(some),
            "slices": sum(len(case.slices_read) for case in some),
        }
    return counted


def public_sources(cases: Sequence[TrainingCase]) -> tuple[str, ...]:
    """Recognise EMIDEC (P001, N006 ...) and ACDC (patient001 ...) by their patients' names."""
    found = []
    if any(case.kind == "lge" and _EMIDEC.fullmatch(case.patient) for case in cases):
        found.append("EMIDEC")
    if any(case.kind == "cine" and _ACDC.fullmatch(case.patient) for case in cases):
        found.append("ACDC")
    return tuple(found)


def export(
    folder: Path, weights: bytes, card: ModelCard, suffix: str = ".safetensors"
) -> list[Path]:
    """Write weights with checksum and card into a run's folder, named after it.

    Returns:
        the files: weights, card in JSON, card in words, checksum as ``sha256sum -c`` reads it.

    Raises:
        OutputError: E_WRITE.
    """
    name = weights_name(folder)
    digest = sha256(weights).hexdigest()
    document = card_document(card, digest, f"{name}{suffix}", len(weights))
    files = {
        f"{name}{suffix}": weights,
        f"{name}.json": (json.dumps(document, indent=2) + "\n").encode(),
        f"{name}.md": card_markdown(document).encode(),
        f"{name}.sha256": f"{digest}  {name}{suffix}\n".encode(),
    }
    for file, data in files.items():
        write_file(folder / file, data)
    return [folder / file for file in files]


def card_document(card: ModelCard, digest: str, file: str, size: int) -> dict[str, Any]:
    """Return a card as a JSON document."""
    return {
        "name": card.name,
        "kind": card.kind,
        "file": file,
        "sha256": digest,
        "bytes": size,
        "licence": card.licence,
        "made": datetime.now(UTC).date().isoformat(),
        "command": card.command,
        "data": card.data,
        "sources": list(card.sources),
        "patients": card.split,
        "began_with": card.init,
        "recipe": card.recipe,
        "run": card.run,
        "validation": card.figures,
        "notes": list(card.notes),
        "versions": {
            "scarseg": scarseg.__version__,
            "python": platform.python_version(),
            **{one: version(one) for one in ("torch", "numpy", "ultralytics")},
        },
    }


def card_markdown(document: Mapping[str, Any]) -> str:
    """Write the card as a page of Markdown."""
    kind = document["kind"]
    about = {
        "segmenter": "Segments scar on short-axis LGE slices of the left ventricle, from boxes,"
        " points or no prompt at all.",
        "detector": "Proposes the left ventricle and the scars of a short-axis LGE slice as boxes.",
    }[kind]
    lines = [
        f"# {document['name']}",
        "",
        f"{about} For research use only; not a medical device.",
        "",
        f"- **Use**: `scarseg batch INPUT -o scar.csv --{kind} {document['file']}`",
        f"- **Licence**: {_terms(document)}",
        f"- **Data**: {_data(document['data'])}.",
        f"- **Patients**: {_parts(document['patients'])}.",
        f"- **Began with**: {document['began_with'] or 'chance'}.",
        f"- **Recipe**: `{document['command']}`",
        f"- **Run**: {_run(document['run'])}",
        f"- **sha256**: `{document['sha256']}`",
        "",
        "## Figures",
        "",
        *_figures(document["validation"]),
        "",
        "`scarseg evaluate DATA` prints figures of patients that played no part in the run.",
    ]
    if document["notes"]:
        lines += ["", "## Notes", "", *(f"- {note}" for note in document["notes"])]
    return "\n".join(lines) + "\n"


def _terms(document: Mapping[str, Any]) -> str:
    if document["licence"] == SHARE_ALIKE:
        why = (
            " and ".join(document["sources"])
            or f"the weights it began with ({document['began_with']})"
        )
        return f"CC BY-NC-SA 4.0, not for commercial use: the terms of {why}."
    if document["licence"] == YOURS:
        return "yours, as the data are."
    return f"{document['licence']}, the terms of the weights it began with."


def _data(counted: Mapping[str, Mapping[str, int]]) -> str:
    parts = [
        f"{n['patients']} patients ({n['stacks']} stacks, {n['slices']} slices) {_KINDS[kind]}"
        for kind, n in counted.items()
    ]
    return "; ".join(parts) or "none"


def _parts(split: Mapping[str, int]) -> str:
    names = {
        "training": "to learn from",
        "validation": "to choose the checkpoint by",
        "held_out": "kept apart, never looked at",
    }
    parts = [f"{split[part]} {text}" for part, text in names.items() if split.get(part)]
    return ", ".join(parts) or "none"


def _run(run: Mapping[str, Any]) -> str:
    endings = {
        "finished": "its budget was spent",
        "early": "nothing had improved for a while",
    }
    ending = endings.get(str(run["ending"]), str(run["ending"]))
    chosen = (
        f"; the weights are those of step {run['exported_step']}" if run["exported_step"] else ""
    )
    length = f"{run['steps']} steps in {run['minutes']:.1f} minutes on {run['device']}"
    return f"{length}, until {ending}{chosen}."


def _figures(figures: Mapping[str, Any]) -> list[str]:
    if not figures:
        return ["None: no patient was kept for validation."]
    plain = {k: v for k, v in figures.items() if not isinstance(v, Mapping)}
    lines = []
    if plain:
        lines += [
            "Quick figures of the run, on the patients its checkpoint was chosen by: they flatter.",
            "",
            *_table(plain),
        ]
    for part, values in figures.items():
        if isinstance(values, Mapping):
            lines += ["", f"### {part.replace('_', ' ')}", "", *_table(values)]
    return lines


def _table(values: Mapping[str, Any]) -> list[str]:
    rows = [f"| {name.replace('_', ' ')} | {_number(value)} |" for name, value in values.items()]
    return ["| figure | value |", "|---|---|", *rows]


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) and value != int(value) else f"{value:g}"


LICENCE = "CC-BY-NC-SA-4.0"


def register_weights(
    folder: Path, name: str, kind: str, licence: str = LICENCE
) -> dict[str, object]:
    """Enter NAME.safetensors of ``folder`` into its manifest as the default of its kind.

    Returns:
        the manifest's new entry.
    """
    manifest = folder / "manifest.json"
    entries = _read_json(manifest).get("weights", []) if manifest.exists() else []
    entry: dict[str, object] = {
        "name": name,
        "kind": kind,
        "file": f"{name}.safetensors",
        "sha256": sha256_of_weights(folder / f"{name}.safetensors"),
        "card": f"{name}.json",
        "licence": licence,
        "default": True,
    }
    for other in entries:
        other["default"] = other["default"] and other["kind"] != kind
    entries = [e for e in entries if e["name"] != name]
    entries = sorted([*entries, entry], key=lambda e: (str(e["kind"]), str(e["name"])))
    manifest.write_text(json.dumps({"weights": entries}, indent=2) + "\n", encoding="utf-8")
    return entry


def find_trained(place: Path) -> tuple[Path, dict[str, object]]:
    """Return the weights that a finished run wrote into its folder, and their card.

    ``place`` may also be a safetensors file; its card lies beside it, or is empty.
    """
    file = place / f"{weights_name(place)}.safetensors" if place.is_dir() else place
    if not file.is_file():
        raise SystemExit(f"{file} does not exist: has the run ended?")
    card = file.with_suffix(".json")
    return file, _read_json(card) if card.is_file() else {}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SystemExit(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise SystemExit(f"{path} holds no JSON object.")
    return document


def copy_weights(trained: Sequence[Path], target: Path) -> dict[str, object]:
    """Copy trained weights to ``target``, several as one file; return their card."""
    found = [find_trained(place) for place in trained]
    if len(found) == 1:
        file, card = found[0]
        if file.resolve() != target.resolve():
            shutil.copyfile(file, target)
        return card
    states = [{k: _half(v) for k, v in load_file(file).items()} for file, _ in found]
    common = set.intersection(*(set(_metadata(file).items()) for file, _ in found))
    save_file(join_members(states), target, dict(common))
    return {"members": [card for _, card in found]}


def _metadata(file: Path) -> dict[str, str]:
    with safe_open(file, framework="pt") as weights:
        metadata: dict[str, str] = weights.metadata() or {}
    return metadata


def _half(value: Tensor) -> Tensor:
    return value.half() if value.is_floating_point() else value


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "trained",
        type=Path,
        nargs="+",
        help="folder of a finished run, or its safetensors; several segmenters answer together",
    )
    parser.add_argument("--name", required=True)
    parser.add_argument("--kind", choices=("segmenter", "detector"), required=True)
    parser.add_argument("--evaluation", type=Path, help="summary.json written by evaluate")
    parser.add_argument("--folder", type=Path, default=Path("weights"))
    options = parser.parse_args(arguments)
    target = options.folder / f"{options.name}.safetensors"
    card = copy_weights(options.trained, target)
    entry = register_weights(options.folder, options.name, options.kind)
    card |= {"name": options.name, "kind": options.kind, "file": target.name}
    card |= {"licence": LICENCE, "sha256": entry["sha256"]}
    if options.evaluation:
        evaluated = _read_json(options.evaluation)
        card["evaluation"] = evaluated.get("segmenters", evaluated).get(options.name, evaluated)
    text = json.dumps(card, indent=2) + "\n"
    (options.folder / f"{options.name}.json").write_text(text, encoding="utf-8")
    print(json.dumps(entry, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
