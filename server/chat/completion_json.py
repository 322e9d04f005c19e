"""A chat completion into which log probabilities are put as JSON text."""

from itertools import chain, zip_longest
from typing import Any, Final

from pydantic import PrivateAttr

from server.protocol.chat.response import ChatCompletion

# As pydantic writes it.
NO_LOGPROBS: Final = '"logprobs":null'


class CompletionWithLogprobs(ChatCompletion):
    """A completion whose log probabilities are JSON text already, one for each choice."""

    _logprobs: list[str] = PrivateAttr(default_factory=list)

    def set_logprobs(self, logprobs: list[str]) -> None:
        self._logprobs = logprobs

    def model_dump_json(self, **options: Any) -> str:
        """Put in the log probabilities where the choices have none.

        In JSON only a key can match: quotation marks within strings are escaped.
        """
        parts = super().model_dump_json(**options).split(NO_LOGPROBS)
        inserted = (f'"logprobs":{each}' for each in self._logprobs)
        return "".join(chain(*zip_longest(parts, inserted, fillvalue="")))
