"""`list`: the models of both stores and their state."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from model_store.commands.options import Json
from model_store.errors import InvalidManifest, NoManifest
from model_store.manifest import Manifest, list_files, read_manifest
from model_store.progress import format_bytes, show_byte_progress
from model_store.store import StoredModel, list_stored_models
from model_store.verification import Fault, verify, verify_sizes

State = Literal["verified", "not checked", "damaged", "no manifest", "invalid manifest"]


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One model in the list."""

    name: str
    folder: str
    source: str | None
    revision: str | None
    size: int
    conv_mode: str | None
    image_aspect_ratio: str | None
    state: State


def list_models(
    check: Annotated[
        bool, typer.Option("--verify", help="read all files; without it, only sizes are compared")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the models of the user's store and those that come with the server."""
    entries = [_build_entry(model, check) for model in list_stored_models()]
    if as_json:
        print(json.dumps([asdict(entry) for entry in entries], ensure_ascii=False, indent=2))
    else:
        Console().print(_build_table(entries))


def _build_entry(model: StoredModel, check: bool) -> ListEntry:
    try:
        manifest = read_manifest(model.folder)
    except NoManifest:
        return _build_entry_without_manifest(model, "no manifest")
    except InvalidManifest:
        return _build_entry_without_manifest(model, "invalid manifest")
    return ListEntry(
        name=model.name,
        folder=str(model.folder),
        source=manifest.source,
        revision=manifest.revision,
        size=manifest.size,
        conv_mode=manifest.conv_mode,
        image_aspect_ratio=manifest.image_aspect_ratio,
        state=_check_state(model, manifest, check),
    )


def _build_entry_without_manifest(model: StoredModel, state: State) -> ListEntry:
    size = sum((model.folder / path).stat().st_size for path in list_files(model.folder))
    return ListEntry(model.name, str(model.folder), None, None, size, None, None, state)


def _check_state(model: StoredModel, manifest: Manifest, check: bool) -> State:
    if (_verify_with_progress if check else verify_sizes)(model.folder, manifest):
        return "damaged"
    return "verified" if check else "not checked"


def _verify_with_progress(folder: Path, manifest: Manifest) -> list[Fault]:
    with show_byte_progress(manifest.name, manifest.size) as progress:
        return verify(folder, progress)


def _build_table(entries: list[ListEntry]) -> Table:
    table = Table()
    for column in ("name", "source", "size", "template", "aspect ratio", "state"):
        table.add_column(column, justify="right" if column == "size" else "left", overflow="fold")
    for entry in entries:
        table.add_row(
            entry.name,
            entry.source or "?",
            format_bytes(entry.size),
            entry.conv_mode or "-",
            entry.image_aspect_ratio or "-",
            entry.state,
        )
    return table
