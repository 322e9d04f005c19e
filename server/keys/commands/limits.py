"""The options that set a key's limits."""

from typing import Annotated, Any

import typer

from server.keys.key import ALL_MODELS

PerMinute = Annotated[int | None, typer.Option(min=1, help="limit per minute")]
Concurrent = Annotated[int | None, typer.Option(min=1, help="limit at the same time")]
Models = Annotated[
    str | None, typer.Option(help=f"models it may use, comma-separated; {ALL_MODELS}: all")
]
Priority = Annotated[
    int | None,
    typer.Option(min=-100, max=100, help="those of higher priority are served first; default: 0"),
]
Weight = Annotated[
    float | None,
    typer.Option(min=0.001, max=1000, help="share of the capacity under load; default: 1"),
]


def build_limits(models: str | None, **limits: Any) -> dict[str, Any]:
    """Return the fields of the limits that are set."""
    names = [name.strip() for name in (models or "").split(",") if name.strip()]
    if models is not None and not names:
        raise typer.BadParameter("it must name a model; * allows all", param_hint="--models")
    fields = {**limits, "models": names or None}
    return {name: value for name, value in fields.items() if value is not None}
