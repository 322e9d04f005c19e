"""`convert`: the command line's side of a conversion."""

from pathlib import Path
from typing import Annotated

import typer

from model_store.store import find_model, locate_user_store


def convert(
    path: Annotated[str, typer.Argument(help="the release: its folder, or its name in the store")],
    vision_tower: Annotated[
        str | None,
        typer.Option(
            help="folder or name of the CLIP model that the release's mm_vision_tower names; "
            "if left out, the one pulled under that name; comes before a tower in the release"
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="folder or name of the model under a projector-only, LoRA or delta release"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="folder to write, which must not exist; default: the release's name, in the store"
        ),
    ] = None,
    conv_mode: Annotated[
        str | None,
        typer.Option(
            help="conversation template, if not the one inferred; docs/templates.md lists them"
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="float16, bfloat16 or float32; the release's own if left out"),
    ] = None,
) -> None:
    """Turn a released LLaVA checkpoint into the layout that the server loads."""
    # Imported here, so that the other commands start without torch.
    from model_store.convert.conversion import plan_conversion, write_conversion

    release = find_model(path)
    out = out or locate_user_store() / release.name
    conversion = plan_conversion(
        release, _find_folder(vision_tower), _find_folder(base), conv_mode, dtype
    )
    typer.echo(f"release:      {path}, {conversion.release.layout}, {conversion.dtype}")
    typer.echo(f"vision tower: {conversion.vision_tower}")
    typer.echo(f"template:     {conversion.conv_mode.name} ({conversion.conv_mode.reason})")
    write_conversion(conversion, out)
    typer.echo(f"written:      {out}")


def _find_folder(name: str | None) -> Path | None:
    return find_model(name) if name else None
