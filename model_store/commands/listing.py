"""`list`: what is in the stores, and whether it is whole."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from model_store.commands.options import Json
from model_store.errors import InvalidManifest, NoManifest
from model_store.manifest import Manifest, files_below, read_manifest
from model_store.progress import byte_bar, readable
from model_store.store import StoredModel, stored_models
from model_store.verification import Fault, verify, verify_quickly

State = Literal["verified", "not checked", "damaged", "no manifest", "invalid manifest"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list."""

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
        bool, typer.Option("--verify", help="read all files; else only sizes are compared")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the models of the user's store and those that come with the server."""
    entries = [_entry(model, check) for model in stored_models()]
    if as_json:
        print(json.dumps([asdict(entry) for entry in entries], ensure_ascii=False, indent=2))
    else:
        Console().print(_table(entries))


def _entry(model: StoredModel, check: bool) -> Entry:
    try:
        manifest = read_manifest(model.folder)
    except NoManifest:
        return _unknown(model, "no manifest")
    except InvalidManifest:
        return _unknown(model, "invalid manifest")
    return Entry(
        name=model.name,
        folder=str(model.folder),
        source=manifest.source,
        revision=manifest.revision,
        size=manifest.size,
        conv_mode=manifest.conv_mode,
        image_aspect_ratio=manifest.image_aspect_ratio,
        state=_state(model, manifest, check),
    )


def _unknown(model: StoredModel, state: State) -> Entry:
    size = sum((model.folder / path).stat().st_size for path in files_below(model.folder))
    return Entry(model.name, str(model.folder), None, None, size, None, None, state)


def _state(model: StoredModel, manifest: Manifest, check: bool) -> State:
    if (_read if check else verify_quickly)(model.folder, manifest):
        return "damaged"
    return "verified" if check else "not checked"


def _read(folder: Path, manifest: Manifest) -> list[Fault]:
    with byte_bar(manifest.name, manifest.size) as progress:
        return verify(folder, progress)


def _table(entries: list[Entry]) -> Table:
    table = Table()
    for column in ("name", "source", "size", "template", "aspect ratio", "state"):
        table.add_column(column, justify="right" if column == "size" else "left", overflow="fold")
    for entry in entries:
        table.add_row(
            entry.name,
            entry.source or "?",
            readable(entry.size),
            entry.conv_mode or "-",
            entry.image_aspect_ratio or "-",
            entry.state,
        )
    return table
