"""Chooses the teacher's prompt of each kind: our own, or those of a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from model_store.instruction.captions.prompts.complex_reasoning import COMPLEX
from model_store.instruction.captions.prompts.conversation import CONVERSATION
from model_store.instruction.captions.prompts.conversation_boxes import CONVERSATION_WITH_BOXES
from model_store.instruction.captions.prompts.detail import DETAIL
from model_store.instruction.captions.prompts.folder import read_prompts
from model_store.instruction.captions.prompts.prompt import Prompt
from model_store.instruction.records import Kind

PROMPTS: Final[Mapping[Kind, Prompt]] = {
    "conversation": CONVERSATION,
    "detail": DETAIL,
    "complex": COMPLEX,
}


def choose_prompts(
    kinds: Sequence[Kind], folder: Path | None, *, conversation_boxes: bool
) -> dict[Kind, Prompt]:
    """Return the prompts of these kinds. `conversation_boxes` gives a conversation boxes, too.

    Raises `InputError` for a folder that lacks one.
    """
    if folder is not None:
        return read_prompts(folder, kinds, conversation_boxes=conversation_boxes)
    prompts = dict(PROMPTS)
    if conversation_boxes:
        prompts["conversation"] = CONVERSATION_WITH_BOXES
    return {kind: prompts[kind] for kind in kinds}
