"""Log probabilities of a response: kept as tokens and inserted into the JSON of its events.

Only the first item can have log probabilities.
"""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import PrivateAttr

from server.generation.choice_delta import DecodedToken
from server.generation.logprobs_json import format_tokens
from server.protocol.responses.events import Event, ItemEvent, PartEvent, ResponseEvent, TextDone
from server.protocol.responses.events import TextDelta as EmptyTextDelta
from server.protocol.responses.response import ResponseObject

# As pydantic writes it.
NO_LOGPROBS: Final = '"logprobs":[]'


class TextLogprobs:
    """The tokens of a text, each formatted once."""

    def __init__(self, tokens: Sequence[DecodedToken] = ()) -> None:
        self._tokens = list(tokens)
        self._formatted: list[str] = []

    def add(self, tokens: Sequence[DecodedToken]) -> None:
        """Append tokens."""
        self._tokens += tokens

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self._tokens)

    async def insert(self, text: str) -> str:
        """Return JSON with the tokens in its first text, which has no log probabilities yet.

        Only a key can match, since quotation marks within strings are escaped, and the output comes
        before any key of this name that a client may have chosen.
        """
        self._formatted += await format_tokens(self._tokens[len(self._formatted) :])
        if not self._formatted:
            return text
        return text.replace(NO_LOGPROBS, f'"logprobs":[{",".join(self._formatted)}]', 1)


class TextDelta(EmptyTextDelta):
    """Text to append, with its tokens."""

    _tokens: Sequence[DecodedToken] = PrivateAttr(())

    def attach(self, tokens: Sequence[DecodedToken]) -> "TextDelta":
        """Set the tokens; return the event."""
        self._tokens = tokens
        return self

    @property
    def tokens(self) -> TextLogprobs:
        """The tokens, not yet formatted."""
        return TextLogprobs(self._tokens)


class FormattedResponse(ResponseObject):
    """A response with its JSON."""

    _json: str = PrivateAttr("")

    def model_dump_json(self, **_: Any) -> str:
        """Return the JSON."""
        return self._json


async def format_response(response: ResponseObject, logprobs: TextLogprobs) -> ResponseObject:
    """Return the response; if it has log probabilities, with JSON that contains them."""
    if not logprobs:
        return response
    formatted = FormattedResponse.model_construct(**dict(response))
    formatted._json = await logprobs.insert(response.model_dump_json(by_alias=True))
    return formatted


async def dump_event(event: Event, logprobs: TextLogprobs) -> str:
    """Return an event as JSON; `logprobs` are those of the first item so far."""
    # Escaped to ASCII, since some clients treat U+2028 as a line break.
    text = event.model_dump_json(by_alias=True, ensure_ascii=True)
    if isinstance(event, TextDelta):
        return await event.tokens.insert(text)
    return await logprobs.insert(text) if _has_first_item(event) else text


def _has_first_item(event: Event) -> bool:
    """Whether an event contains the complete first item or its complete text."""
    if isinstance(event, ResponseEvent):
        return bool(event.response.output)
    if not isinstance(event, TextDone | PartEvent | ItemEvent):
        return False
    return event.output_index == 0 and event.type.endswith(".done")
