"""`pull`: downloads a model from the hub into the user's store."""

import os
import sys
from typing import Annotated

import typer

from model_store.manifest import read_config
from model_store.progress import format_bytes
from model_store.pull import pull
from model_store.released import format_convert_command, is_released


def pull_model(
    repo: Annotated[str, typer.Argument(help="the hub's id of the model: org/name")],
    revision: Annotated[str, typer.Option(help="a branch, tag or commit")] = "main",
    allow_pickle: Annotated[
        bool,
        typer.Option(
            "--allow-pickle",
            help="accept pickled weights: loading them can run their author's code",
        ),
    ] = False,
) -> None:
    """Download a model into the store, verify it, and pin its revision.

    Run it again to resume a download, or to repair a damaged model.
    """
    try:
        pulled = pull(repo, revision, allow_pickle=allow_pickle)
    except KeyboardInterrupt:
        print("interrupted; pull again to resume", file=sys.stderr, flush=True)
        os._exit(130)  # a normal exit would wait for downloads that hang
    manifest = pulled.manifest
    status = "pulled" if pulled.downloaded else "already there, nothing was pulled"
    print(
        f"{repo} at {manifest.revision}: {status}; {format_bytes(manifest.size)} in {pulled.folder}"
    )
    if is_released(read_config(pulled.folder)):
        print("It has LLaVA's released layout; to serve it, convert it first:")
        print(f"  {format_convert_command(pulled.folder)}")
