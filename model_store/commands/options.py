"""Arguments that several commands share."""

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="a name in the store, or a checkpoint's path")]
Json = Annotated[bool, typer.Option("--json", help="print JSON instead")]
