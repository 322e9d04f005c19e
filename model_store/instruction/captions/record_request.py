"""A request to the teacher for one record: its question, and the record from its answer."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asking.question import ChatQuestion
from asking.wire import Answer
from model_store.instruction.captions.answers import parse_pairs
from model_store.instruction.captions.context import Context
from model_store.instruction.captions.prompts.detail import draw_request
from model_store.instruction.captions.prompts.prompt import Prompt
from model_store.instruction.records import Kind, Record, build_record


@dataclass(frozen=True, slots=True)
class RecordRequest:
    """A request for a record of `kind` about an image."""

    context: Context
    kind: Kind
    prompt: Prompt

    def build_key(self, attempt: int) -> str:
        """Return the question's key in the journal; `attempt` counts from 1."""
        return f"{self.kind}/{attempt}/{self.context.id}"

    def build_question(self, attempt: int) -> ChatQuestion:
        """Return the question: text only, made of captions and boxes only."""
        context, prompt = self.context, self.prompt
        notes = {"id": self.context.id, "kind": self.kind, "try": attempt}
        text = context.as_text() if prompt.has_boxes else context.captions_as_text()
        return ChatQuestion(
            self.build_key(attempt), text, prompt.system, history=prompt.examples, metadata=notes
        )

    def parse_answer(self, answer: Answer, seed: int) -> Record:
        """Return the answer's record. Random choices depend on seed, id and kind only.

        Raises `MalformedAnswer`.
        """
        pairs = parse_pairs(self.kind, answer)
        draw = random.Random(f"{seed}/{self.kind}/{self.context.id}")
        if self.kind == "detail":
            pairs = ((draw_request(draw), pairs[0][1]),)
        return build_record(self.context.id, self.context.image, pairs, draw)


def list_record_requests(
    contexts: Sequence[Context], prompts: Mapping[Kind, Prompt]
) -> list[RecordRequest]:
    """Return a request for every kind of every image, image by image."""
    return [
        RecordRequest(context, kind, prompt)
        for context in contexts
        for kind, prompt in prompts.items()
    ]
