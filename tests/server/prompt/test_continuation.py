"""Prompts that end within the assistant's message, or after the messages."""

from typing import Any

import pytest

from server.errors import InvalidValue
from server.prompt.chat_template import ChatTemplate
from server.prompt.segments import MediaSlot, Segment
from server.prompt.templates import TEMPLATES, build_conversation_template
from server.prompt.turns import Conversation, split_turns
from server.protocol.chat.messages import Message
from server.protocol.chat.template_fields import PromptEnding, TemplateFields
from tests.server.prompt.test_chat_template import (
    LLAVA_1_5,
    LLAVA_1_6_MISTRAL,
    SPECIALS,
    STRINGS,
)

SAID = " The circle is "
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
# What a prompt ends with after a user's "Hi" and an assistant's "It is", continued.
CONTINUED = {
    "vicuna_v1": "USER: Hi ASSISTANT: It is",
    "llava_v1": "USER: Hi ASSISTANT: It is",
    "llava_v0": "###Human: Hi###Assistant: It is",
    **dict.fromkeys(("v0", "default"), "###Human: Hi###Assistant: It is"),
    "llava_llama_2": "Hi [/INST] It is",
    "llama_2": "Hi [/INST] It is",
    "mistral_instruct": "[INST] Hi [/INST] It is",
    "chatml_direct": "Hi<|im_end|><|im_start|>assistant\nIt is",
    "mpt": "Hi<|im_end|><|im_start|>assistant\nIt is",
    "llava_llama_3": "Hi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nIt is",
    "llama_3": "Hi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nIt is",
    "qwen_1_5": "Hi<|im_end|>\n<|im_start|>assistant\nIt is",
    "v0_mmtag": "###Human: Hi###Assistant: It is",
    "v1_mmtag": "USER: Hi ASSISTANT: It is",
    "plain": "Hi\nIt is",
}


def split(*turns: tuple[str, Any], **fields: Any) -> Conversation:
    """Return the conversation of messages, with fields of the request."""
    messages = [Message.model_validate({"role": role, "content": text}) for role, text in turns]
    return split_turns(messages, TemplateFields(**fields))


def join(segments: Any) -> str:
    """Return the text of segments, with `@` for images."""
    parts: list[Segment] = list(segments)
    return "".join("@" if isinstance(each, MediaSlot) else each.text for each in parts)


def render(conv_mode: str, conversation: Conversation) -> str:
    """Render a conversation with one of LLaVA's templates."""
    template = build_conversation_template(conv_mode, image_start_end=True)
    return join(template.render(conversation.system, conversation.turns, conversation.ending))


def test_every_template_is_tested() -> None:
    assert set(CONTINUED) == set(TEMPLATES)


@pytest.mark.parametrize("conv_mode", CONTINUED)
@pytest.mark.parametrize(
    "fields", [{}, {"continue_final_message": True, "add_generation_prompt": False}], ids=str
)
def test_a_last_message_of_the_assistant_is_continued(
    conv_mode: str, fields: dict[str, Any]
) -> None:
    prompt = render(conv_mode, split(("user", "Hi"), ("assistant", "It is"), **fields))
    assert prompt.endswith(CONTINUED[conv_mode])


@pytest.mark.parametrize("conv_mode", CONTINUED)
def test_continuing_nothing_begins_an_answer(conv_mode: str) -> None:
    contents: list[Any] = [None, [], "", " "]
    for content in contents:
        conversation = split(("user", "Hi"), ("assistant", content))
        assert render(conv_mode, conversation) == render(conv_mode, split(("user", "Hi")))


@pytest.mark.parametrize("conv_mode", CONTINUED)
def test_white_space_of_the_client_is_kept(conv_mode: str) -> None:
    assert render(conv_mode, split(("user", "Hi"), ("assistant", SAID))).endswith(SAID)


@pytest.mark.parametrize(
    ("fields", "ending"),
    [
        ({"add_generation_prompt": True}, "USER: Hi ASSISTANT: It is</s>ASSISTANT:"),
        ({"continue_final_message": False}, "USER: Hi ASSISTANT: It is</s>ASSISTANT:"),
        ({"add_generation_prompt": False}, "USER: Hi ASSISTANT: It is</s>"),
    ],
)
def test_fields_choose_the_ending(fields: dict[str, Any], ending: str) -> None:
    prompt = render("vicuna_v1", split(("user", "Hi"), ("assistant", "It is"), **fields))
    assert prompt.endswith(ending)


def test_only_the_assistant_is_continued() -> None:
    with pytest.raises(InvalidValue, match="continue_final_message"):
        split(("user", "Hi"), continue_final_message=True)


def test_calls_cannot_be_continued() -> None:
    said = Message.model_validate({"role": "assistant", "content": "a", "tool_calls": [CALL]})
    with pytest.raises(InvalidValue, match="results must follow"):
        split_turns([Message(role="user", content="Hi"), said])


@pytest.mark.parametrize(
    ("source", "ending"),
    [
        (LLAVA_1_5, "USER: Hi ASSISTANT: The circle is"),
        (LLAVA_1_6_MISTRAL, "[INST] Hi [/INST] The circle is"),
        (STRINGS, "[INST] Hi [/INST]\nThe circle is"),
    ],
)
def test_jinja_templates_end_within_the_message(source: str, ending: str) -> None:
    template = ChatTemplate(source, SPECIALS, "<image>")
    conversation = split(("user", "Hi"), ("assistant", "The circle is"))
    assert conversation.ending is PromptEnding.CONTINUATION
    assert join(template.render(conversation)).endswith(ending)


def test_a_jinja_template_is_told_to_begin_no_answer() -> None:
    template = ChatTemplate(LLAVA_1_5, SPECIALS, "<image>")
    conversation = split(("user", "Hi"), add_generation_prompt=False)
    assert join(template.render(conversation)).endswith("USER: Hi ")
