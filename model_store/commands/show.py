"""`show`: prints a manifest."""

import json

from model_store.commands.options import Json, Name
from model_store.manifest import Manifest, read_manifest
from model_store.progress import format_bytes
from model_store.store import find_model


def show(name: Name, as_json: Json = False) -> None:
    """Print a model's manifest: where it came from, and each file's size and hash."""
    folder = find_model(name)
    manifest = read_manifest(folder)
    if as_json:
        content = {"folder": str(folder), **manifest.model_dump(mode="json")}
        print(json.dumps(content, ensure_ascii=False, indent=2))
        return
    print(f"{manifest.name} in {folder}")
    for label, value in _list_properties(manifest):
        print(f"{label:14}{value or '-'}")
    for file in manifest.files:
        print(f"{file.sha256}  {file.size:>12}  {file.path}")


def _list_properties(manifest: Manifest) -> list[tuple[str, str | None]]:
    context = manifest.max_position_embeddings
    return [
        ("source", manifest.source),
        ("revision", manifest.revision),
        ("created", manifest.created.isoformat(sep=" ")),
        ("template", manifest.conv_mode),
        ("aspect ratio", manifest.image_aspect_ratio),
        ("context", f"{context} tokens" if context else None),
        ("size", format_bytes(manifest.size)),
    ]
