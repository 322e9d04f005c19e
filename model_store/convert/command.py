"""`convert`: the command line's side of a conversion."""

from pathlib import Path
from typing import Annotated

import typer

from model_store.convert.conversation import CONV_MODES
from model_store.convert.conversion import DTYPES, plan, write


def convert(
    path: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="the release's folder")
    ],
    out: Annotated[Path, typer.Option(help="folder to write; it must not exist")],
    vision_tower: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="folder of the CLIP model that the release's mm_vision_tower names",
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="folder of the language model under a projector-only or LoRA release",
        ),
    ] = None,
    conv_mode: Annotated[
        str | None,
        typer.Option(
            help=f"conversation template, if not the one inferred: {', '.join(CONV_MODES)}"
        ),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help=f"{', '.join(DTYPES)}; the release's own if left out")
    ] = None,
) -> None:
    """Turn a released LLaVA checkpoint into the layout that the server loads."""
    conversion = plan(path, vision_tower, base, conv_mode, dtype)
    typer.echo(f"release:      {path}, {conversion.release.layout}, {conversion.dtype}")
    typer.echo(f"vision tower: {conversion.vision_tower}")
    typer.echo(f"template:     {conversion.conv_mode.name} ({conversion.conv_mode.reason})")
    write(conversion, out)
    typer.echo(f"written:      {out}")
