"""Chat and text completions with log probabilities inserted as JSON text."""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any, Final

from pydantic import BaseModel, PrivateAttr

from server.generation.prompt_details import PromptDetails
from server.protocol.chat.response import ChatCompletion
from server.protocol.completions.response import TextCompletion

# As pydantic writes it.
NO_LOGPROBS: Final = '"logprobs":null'


class _WithLogprobs(BaseModel):
    _choices: Sequence[str] = PrivateAttr(())
    _members: str = PrivateAttr("")

    def insert(self, choices: Sequence[str], members: str = "") -> None:
        """`choices`: the text after each `"logprobs":`. `members`: more members of the body."""
        self._choices = choices
        self._members = members

    def model_dump_json(self, **options: Any) -> str:
        """Insert the log probabilities in place of the choices' null.

        Only a key can match: within JSON strings, quotation marks are escaped.
        """
        parts = super().model_dump_json(**options).removesuffix("}").split(NO_LOGPROBS)
        inserted = (f'"logprobs":{each}' for each in self._choices)
        text = chain(*zip_longest(parts, inserted, fillvalue=""))
        return "".join((*text, self._members, "}"))


class ChatCompletionWithLogprobs(_WithLogprobs, ChatCompletion):
    """A chat completion whose log probabilities are already JSON text."""


class TextCompletionWithLogprobs(_WithLogprobs, TextCompletion):
    """A text completion whose log probabilities are already JSON text."""


def format_prompt_logprobs(prompt: PromptDetails) -> str:
    """Return the JSON member `prompt_logprobs`, empty unless requested."""
    return "" if prompt.logprobs is None else f', "prompt_logprobs": {prompt.logprobs}'
