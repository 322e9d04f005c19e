"""Conversations: an image or none, some questions, each with the whole history."""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from benchmarks.fleet.images import ImageCatalog
from benchmarks.fleet.parameters import Parameters
from benchmarks.fleet.request import Request

# A conversation ends before it exceeds the context: --max-model-len 4096.
MAX_TURNS: Final = 14


class Header(StrEnum):
    """The value of `x-llava-affinity` when a request reaches the router."""

    NONE = "no header"
    RANDOM = "random"  # the balancer's, another for each request: clients send none
    ECHOED = "echoed"  # the server's value for the image, from the second turn on
    OWN = "client's own"  # a value for each conversation, from the first turn on
    IMAGE = "gateway's"  # a value for each image, from the first turn on


@dataclass(frozen=True, slots=True)
class Conversation:
    """A client's questions, with one answer length for each turn."""

    number: int
    image: int | None
    answers: tuple[int, ...]


class ConversationSource:
    """Draws conversations, and builds the requests of their turns."""

    def __init__(self, parameters: Parameters, header: Header, generator: random.Random) -> None:
        self._parameters = parameters
        self._header = header
        self._generator = generator
        self._images = ImageCatalog(parameters)

    def draw(self, number: int) -> Conversation:
        """Draw an image, the number of turns and the answers' lengths."""
        has_image = self._generator.random() < self._parameters.image_share
        image = self._images.draw(self._generator) if has_image else None
        answers = tuple(self._draw_answer() for _ in range(self._draw_turns()))
        return Conversation(number, image, answers)

    def build_request(self, conversation: Conversation, turn: int) -> Request:
        """Build the request of a turn, from 0; its prompt has all turns before."""
        p = self._parameters
        prefix = 0 if conversation.image is None else p.system_tokens + p.image_tokens
        begin = prefix or p.system_tokens
        asked = (turn + 1) * p.question_tokens + sum(conversation.answers[:turn])
        return Request(
            conversation=conversation.number,
            image=conversation.image,
            prefix_tokens=prefix,
            prompt_tokens=begin + asked,
            answer_tokens=conversation.answers[turn],
            affinity=self._choose_affinity(conversation, turn),
        )

    def _draw_answer(self) -> int:
        low, high = self._parameters.answer_min_tokens, self._parameters.answer_max_tokens
        return low + int(self._generator.random() * (high - low + 1))

    def _draw_turns(self) -> int:
        """Draw from a geometric distribution."""
        turns = 1
        more = 1 - 1 / self._parameters.turns_mean
        while turns < MAX_TURNS and self._generator.random() < more:
            turns += 1
        return turns

    def _choose_affinity(self, conversation: Conversation, turn: int) -> str | None:
        own = f"conversation {conversation.number}"
        named = own if conversation.image is None else f"image {conversation.image}"
        match self._header:
            case Header.NONE:
                return None
            case Header.RANDOM:
                return f"{own}, turn {turn}"
            case Header.OWN:
                return own
            case Header.IMAGE:
                return named
            case Header.ECHOED:
                return named if turn else None


def compute_mean_turns(parameters: Parameters) -> float:
    """Return the mean number of turns, with none beyond `MAX_TURNS`."""
    more = 1 - 1 / parameters.turns_mean
    return (1 - more**MAX_TURNS) * parameters.turns_mean
