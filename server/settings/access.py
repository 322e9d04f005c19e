"""Who may ask, and what requests may hold."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode

from server.settings.types import split_commas


class AccessSettings(BaseSettings):
    """Who may ask, and what requests may hold."""

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split_commas)] = Field(
        (),
        description="keys that clients must send as bearer tokens, with commas between them; rather"
        " set LLAVA_API_KEYS, since command lines are there for all to see; default: none needed",
    )
    protect_all: bool = Field(
        False,
        description="ask for a key on every path but /health and /ready: also on the page, /docs"
        " and /metrics",
    )
    unknown_parameters: Literal["refuse", "ignore"] = Field(
        "refuse",
        description="whether a request with fields that this server does not know is refused, or"
        " answered with their names in the header x-llava-ignored-parameters",
    )
    trust_request_chat_template: bool = Field(
        False, description="let requests bring a chat_template, which is rendered in a sandbox"
    )
