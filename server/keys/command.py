"""`llava-server keys`: make, list, rotate and revoke API keys."""

import sys
from typing import Final

import typer

from server.keys.commands.listing import list_keys
from server.keys.commands.new import new_key
from server.keys.commands.revoke import revoke_key
from server.keys.commands.rotate import rotate_key
from server.keys.errors import KeysFileError

PROG: Final = "llava-server keys"

app = typer.Typer(
    help="The API keys of a server with --keys-file. docs/keys.md says more.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("new")(new_key)
app.command("list")(list_keys)
app.command("rotate")(rotate_key)
app.command("revoke")(revoke_key)


def main(argv: list[str], prog: str = PROG) -> int:
    """Run a command; return its exit code. A known error prints one line, without traceback."""
    try:
        app(args=argv, prog_name=prog)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (KeysFileError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
