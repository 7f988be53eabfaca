"""Put trained weights into the folder of shipped weights, with card and checksum."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from scarseg.models.weights import sha256

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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", type=Path, help="safetensors file, fp16")
    parser.add_argument("--name", required=True)
    parser.add_argument("--kind", choices=("segmenter", "detector"), required=True)
    parser.add_argument("--evaluation", type=Path, help="JSON written by evaluate")
    parser.add_argument("--recipe", type=Path, help="recipe.json of the run")
    parser.add_argument("--folder", type=Path, default=Path("weights"))
    options = parser.parse_args(arguments)
    target = options.folder / f"{options.name}.safetensors"
    if options.trained.resolve() != target.resolve():
        shutil.copyfile(options.trained, target)
    card: dict[str, object] = {"name": options.name, "kind": options.kind, "licence": LICENCE}
    if options.recipe:
        card["recipe"] = json.loads(options.recipe.read_text("utf-8"))
    if options.evaluation:
        card["validation"] = json.loads(options.evaluation.read_text("utf-8"))["summary"]
    if options.recipe or options.evaluation:
        text = json.dumps(card, indent=2) + "\n"
        (options.folder / f"{options.name}.json").write_text(text, encoding="utf-8")
    print(json.dumps(register(options.folder, options.name, options.kind), indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
