"""Access: API keys, and what requests may contain."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode

from server.settings.types import split_some


class AccessSettings(BaseSettings):
    """Access: API keys, and what requests may contain."""

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split_some)] = Field(
        (),
        description="keys that clients must send as bearer tokens, comma-separated; better"
        " set as LLAVA_API_KEYS, since other users can read command lines; default: none needed",
    )
    keys_file: Path | None = Field(
        None,
        description="file of API keys with names, limits and expiry, which `llava-server keys`"
        " writes; it is read again whenever it changes; default: none",
    )
    share_caches: bool = Field(
        False,
        description="share cached images, downloads, prompts and grammars between API keys: faster,"
        " but response times then show a client what others have asked",
    )
    protect_all: bool = Field(
        False,
        description="require a key on every path except /health, /startup and /ready: also on the"
        " page, /docs and /metrics",
    )
    unknown_parameters: Literal["refuse", "ignore"] = Field(
        "refuse",
        description="whether a request with fields that this server does not know is refused, or"
        " answered with their names in the header x-llava-ignored-parameters",
    )
    trust_request_chat_template: bool = Field(
        False, description="accept a chat_template in requests, and render it in a sandbox"
    )

    @property
    def needs_key(self) -> bool:
        """Whether requests need an API key."""
        return bool(self.api_keys) or self.keys_file is not None
