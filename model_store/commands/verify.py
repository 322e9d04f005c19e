"""`verify`: hashes every file of a model and lists the wrong ones."""

import sys

import typer

from model_store.commands.options import Name
from model_store.manifest import read_manifest
from model_store.progress import format_bytes, show_byte_progress
from model_store.store import find_model
from model_store.verification import verify


def verify_model(name: Name) -> None:
    """Compare a model's files with its manifest. The exit code is 1 if any differs."""
    folder = find_model(name)
    manifest = read_manifest(folder)
    with show_byte_progress(name, manifest.size) as progress:
        faults = verify(folder, progress)
    for fault in faults:
        print(f"{name}: {fault}", file=sys.stderr)
    if faults:
        raise typer.Exit(1)
    size = format_bytes(manifest.size)
    print(f"{name}: all {len(manifest.files)} files ({size}) match the manifest")
