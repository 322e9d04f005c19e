"""The options that only `captions` has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from asking.endpoint import EndpointConfig
from asking.options import MODEL_HELP, REQUEST_HELP, AskingOptions

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


@dataclass(frozen=True, slots=True)
class TeacherOptions:
    """The teacher's endpoint, and the sampling of its answers."""

    base_url: Annotated[
        str,
        typer.Option(
            envvar="INSTRUCTION_BASE_URL",
            help="its endpoint, such as https://api.openai.com/v1; text only, it never sees the"
            " image",
            rich_help_panel=_TEACHER,
        ),
    ] = ""
    api_key: Annotated[
        str, typer.Option(envvar="INSTRUCTION_API_KEY", help="its key", rich_help_panel=_TEACHER)
    ] = ""
    model: Annotated[
        str, typer.Option(envvar="INSTRUCTION_MODEL", help=MODEL_HELP, rich_help_panel=_TEACHER)
    ] = ""
    temperature: Annotated[
        float, typer.Option(min=0, help="of its answers; 0 is greedy", rich_help_panel=_TEACHER)
    ] = 0.7
    max_tokens: Annotated[
        int, typer.Option(min=1, help="tokens an answer may have", rich_help_panel=_TEACHER)
    ] = 2048
    request: Annotated[str, typer.Option(help=REQUEST_HELP, rich_help_panel=_TEACHER)] = ""

    def build_config(self, asking: AskingOptions) -> EndpointConfig:
        """Build the endpoint's configuration. Raises `typer.BadParameter`."""
        fields = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        return asking.build_endpoint_config(
            "", self.base_url, self.api_key, self.model, self.request, fields
        )
