"""One record that is wanted of the teacher: how it is asked for, and what becomes of the answer."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from asking.question import ChatQuestion
from asking.wire import Answer
from model_store.instruction.captions.answers import read_pairs
from model_store.instruction.captions.context import Context
from model_store.instruction.captions.prompts.complex_reasoning import COMPLEX
from model_store.instruction.captions.prompts.conversation import CONVERSATION
from model_store.instruction.captions.prompts.detail import DETAIL, draw_request
from model_store.instruction.captions.prompts.prompt import Prompt
from model_store.instruction.records import Kind, Record, build_record

PROMPTS: Final[Mapping[Kind, Prompt]] = {
    "conversation": CONVERSATION,
    "detail": DETAIL,
    "complex": COMPLEX,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A record of `kind` about an image."""

    context: Context
    kind: Kind

    def key(self, attempt: int) -> str:
        """Names the question in the journal; `attempt` counts from 1."""
        return f"{self.kind}/{attempt}/{self.context.id}"

    def ask(self, attempt: int) -> ChatQuestion:
        """The question: text alone, of captions and boxes alone."""
        prompt = PROMPTS[self.kind]
        notes = {"id": self.context.id, "kind": self.kind, "try": attempt}
        text = self.context.as_text()
        return ChatQuestion(
            self.key(attempt), text, prompt.system, history=prompt.examples, metadata=notes
        )

    def record(self, answer: Answer, seed: int) -> Record:
        """The record that an answer makes; what is drawn depends on seed, id and kind alone.

        Raises `Malformed`.
        """
        pairs = read_pairs(self.kind, answer)
        draw = random.Random(f"{seed}/{self.kind}/{self.context.id}")
        if self.kind == "detail":
            pairs = ((draw_request(draw), pairs[0][1]),)
        return build_record(self.context.id, self.context.image, pairs, draw)


def all_wanted(contexts: Sequence[Context], kinds: Sequence[Kind]) -> list[Wanted]:
    """Every kind of every image, image by image."""
    return [Wanted(context, kind) for context in contexts for kind in kinds]
