"""The options that only `captions` has."""

from pathlib import Path
from typing import Annotated, ClassVar, Final

import typer

from asking.option_groups import Role
from asking.options import SampledEndpointOptions

_DATA: Final = "Data"
_TEACHER: Final = "The teacher"

Input = Annotated[
    Path,
    typer.Option(
        "--input",
        exists=True,
        dir_okay=False,
        help="JSON Lines of id, image, captions, instances",
        rich_help_panel=_DATA,
    ),
]
Out = Annotated[Path, typer.Option(help="folder for the records", rich_help_panel=_DATA)]
Kinds = Annotated[
    str, typer.Option(help="which kinds of records, separated by commas", rich_help_panel=_DATA)
]
Prompts = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="folder of the teacher's prompts in the released layout: KIND/system_message.txt, "
        "NNN_caps.txt, NNN_conv.txt",
        rich_help_panel=_DATA,
    ),
]
ConversationBoxes = Annotated[
    bool,
    typer.Option(
        "--conversation-boxes",
        help="give boxes to the teacher for conversations, too",
        rich_help_panel=_DATA,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        help="decides the requests for details and where the image is named",
        rich_help_panel=_DATA,
    ),
]
Restart = Annotated[
    bool,
    typer.Option("--restart", help="delete what --out has and start over", rich_help_panel=_DATA),
]

Tries = Annotated[
    int,
    typer.Option(
        min=1,
        help="how often a record is asked for, at most, while its answers are malformed",
        rich_help_panel=_TEACHER,
    ),
]


class TeacherOptions(SampledEndpointOptions):
    """The teacher's endpoint, and the sampling of its answers."""

    role: ClassVar = Role(
        _TEACHER,
        "INSTRUCTION",
        {
            "base_url": "its endpoint, such as https://api.openai.com/v1; text only, it never sees"
            " the image"
        },
    )
