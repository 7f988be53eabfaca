"""Put trained weights into the folder of shipped weights, with card and checksum."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from scarseg.models.network import joined
from scarseg.models.weights import sha256
from scarseg.training.runs import name_of

LICENCE = "CC-BY-NC-SA-4.0"


def register(folder: Path, name: str, kind: str, licence: str = LICENCE) -> dict[str, object]:
    """Enter NAME.safetensors of ``folder`` into its manifest as the default of its kind.

    Returns:
        the manifest's new entry.
    """
    manifest = folder / "manifest.json"
    entries = json.loads(manifest.read_text("utf-8"))["weights"] if manifest.exists() else []
    entry: dict[str, object] = {
        "name": name,
        "kind": kind,
        "file": f"{name}.safetensors",
        "sha256": sha256(folder / f"{name}.safetensors"),
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


def trained_in(place: Path) -> tuple[Path, dict[str, object]]:
    """Give the weights that a finished run left in its folder, with their card.

    ``place`` may also be a safetensors file; its card lies beside it, or is empty.
    """
    file = place / f"{name_of(place)}.safetensors" if place.is_dir() else place
    if not file.is_file():
        raise SystemExit(f"{file} does not exist: has the run ended?")
    card = file.with_suffix(".json")
    return file, json.loads(card.read_text("utf-8")) if card.is_file() else {}


def put(trained: Sequence[Path], target: Path) -> dict[str, object]:
    """Copy trained weights to ``target``, several as one file; give what their card says."""
    found = [trained_in(place) for place in trained]
    if len(found) == 1:
        file, card = found[0]
        if file.resolve() != target.resolve():
            shutil.copyfile(file, target)
        return card
    states = [{k: _half(v) for k, v in load_file(file).items()} for file, _ in found]
    save_file(joined(states), target)
    return {"members": [card for _, card in found]}


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
    card = put(options.trained, target)
    entry = register(options.folder, options.name, options.kind)
    card |= {"name": options.name, "kind": options.kind, "file": target.name}
    card |= {"licence": LICENCE, "sha256": entry["sha256"]}
    if options.evaluation:
        evaluated = json.loads(options.evaluation.read_text("utf-8"))
        card["evaluation"] = evaluated.get("segmenters", evaluated).get(options.name, evaluated)
    text = json.dumps(card, indent=2) + "\n"
    (options.folder / f"{options.name}.json").write_text(text, encoding="utf-8")
    print(json.dumps(entry, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
