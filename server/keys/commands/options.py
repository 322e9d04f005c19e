"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated, Final

import typer
from click import get_app_dir

from server.keys.name import check_name

DEFAULT_FILE: Final = Path(get_app_dir("llava-server")) / "keys.toml"


def _check_name(name: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


KeysFile = Annotated[
    Path,
    typer.Option(
        "--keys-file",
        envvar="LLAVA_KEYS_FILE",
        help="the keys file; the server reads it with the same option",
        dir_okay=False,
    ),
]
NewName = Annotated[
    str,
    typer.Argument(help="whose key it is: a name for logs and metrics", callback=_check_name),
]
Name = Annotated[str, typer.Argument(help="the name of a key")]
Json = Annotated[bool, typer.Option("--json", help="print JSON instead")]
