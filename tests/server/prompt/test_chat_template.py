"""A checkpoint's own chat template, in the styles of published checkpoints."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers.utils.chat_template_utils import render_jinja_template

from server.checkpoint.config import Checkpoint, CheckpointError
from server.errors import InvalidValue
from server.prompt.builder import PromptBuilder
from server.prompt.chat_template import MAX_REFUSAL_LENGTH, ChatTemplate
from server.prompt.format import choose_prompt_format
from server.prompt.segments import MediaSlot, Segment, TemplateText
from server.prompt.turns import Conversation, Turn, split_turns
from tests.server.prompt.test_templates import message

SPECIALS = {"bos_token": "<s>", "eos_token": "</s>"}
# The style of converted LLaVA-1.5 checkpoints: parts, images first, a block for training.
LLAVA_1_5 = """
{%- for message in messages %}
    {%- if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}
    {%- for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}
    {%- endfor %}
    {%- for part in message['content'] | selectattr('type', 'equalto', 'text') %}
        {%- generation %}{{ part['text'] + ' ' }}{% endgeneration %}
    {%- endfor %}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"""
# The style of converted LLaVA-1.6 checkpoints on Mistral: parts by index, and a refusal.
LLAVA_1_6_MISTRAL = """
{%- for message in messages %}
    {%- if message.role == 'system' %}{{ '<<SYS>>\n' + message.content[0].text + '\n<</SYS>>\n\n' }}
    {%- elif message.role == 'user' %}{{ '[INST] ' }}
        {%- for part in message.content if part.type == 'image' %}{{ '<image>\n' }}{% endfor %}
        {%- for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %}
        {{- ' [/INST]' }}
    {%- elif message.role == 'assistant' %}{{ ' ' + message.content[0].text + '</s> ' }}
    {%- else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}
{%- endfor %}"""
# The style of language models: trimmed strings, an explicit BOS, roles that must alternate.
STRINGS = """{{ bos_token }}{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate, ' + 'as they should. ' * 50) }}
{% endif %}
{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] | trim + ' [/INST]' }}
{% else %}{{ message['content'] | trim + eos_token }}{% endif %}{% endfor %}"""
BOTH = """{% for m in messages %}
{{ m.content if m.content is string else m.content[-1].text }}{% endfor %}"""
TURNS = [Turn("user", "What?", 1), Turn("assistant", "A cat.", 0), Turn("user", "These?", 2)]


def render_text(
    source: str, turns: Sequence[Turn], system: str | None = None, image: str = "<image>"
) -> str:
    """Return a prompt's text, with `@` for images."""
    segments = ChatTemplate(source, SPECIALS, image).render(Conversation(system, turns))
    return "".join("@" if isinstance(each, MediaSlot) else each.text for each in segments)


def render_with_transformers(source: str, conversation: list[dict[str, Any]]) -> str:
    """Return the conversation as transformers renders it."""
    (prompt,), _ = render_jinja_template(
        [conversation], chat_template=source, add_generation_prompt=True, **SPECIALS
    )
    return str(prompt)


@pytest.mark.parametrize(("source", "has_parts"), [(LLAVA_1_5, True), (STRINGS, False)])
def test_prompts_equal_those_of_transformers(source: str, has_parts: bool) -> None:
    conversation: list[dict[str, Any]] = []
    for turn in TURNS:
        images = [{"type": "image"}] * turn.num_images
        parts = [*images, {"type": "text", "text": turn.text}]
        content = parts if has_parts else "<image>\n" * turn.num_images + turn.text
        conversation.append({"role": turn.role, "content": content})
    ours = render_text(source, TURNS).replace("@", "<image>")
    assert ours == render_with_transformers(source, conversation)


@pytest.mark.parametrize(
    ("source", "system", "prompt"),
    [
        (
            LLAVA_1_5,
            "Be brief.",
            "Be brief. USER: @\nWhat? ASSISTANT: A cat. USER: @\n@\nThese? ASSISTANT:",
        ),
        (
            LLAVA_1_6_MISTRAL,
            "Be brief.",
            "<<SYS>>\nBe brief.\n<</SYS>>\n\n[INST] @\nWhat? [/INST] A cat.</s> "
            "[INST] @\n@\nThese? [/INST]",
        ),
        (STRINGS, None, "<s>[INST] @\nWhat? [/INST]\nA cat.</s>[INST] @\n@\nThese? [/INST]\n"),
    ],
)
def test_templates_of_published_checkpoints(source: str, system: str | None, prompt: str) -> None:
    assert render_text(source, TURNS, system) == prompt


def test_the_image_token_is_configurable() -> None:
    source = LLAVA_1_5.replace("<image>", "<|image|>")
    turns = [Turn("user", "<image> or <|image|>?", 1)]
    assert render_text(source, turns, image="<|image|>") == (
        "USER: @\n<image> or <|image|>? ASSISTANT:"
    )


def test_templates_can_trim_white_space() -> None:
    assert (
        render_text(STRINGS, [Turn("user", "\n Hi  there \n", 0)])
        == "<s>[INST] Hi  there [/INST]\n"
    )
    assert render_text(BOTH, [Turn("user", " \n", 0)], "\t") == "\t \n"


def test_no_message_text_becomes_template_text() -> None:
    text = "<image></s>{{ bos_token }}{% raw %}<s>"
    turns = [Turn("user", text, 1), Turn("assistant", text, 0), Turn("user", text, 0)]
    segments = ChatTemplate(LLAVA_1_6_MISTRAL, SPECIALS, "<image>").render(
        Conversation(text, turns)
    )
    assert sum(isinstance(each, MediaSlot) for each in segments) == 1
    template_text = "".join(each.text for each in segments if isinstance(each, TemplateText))
    assert template_text == ("<<SYS>>\n\n<</SYS>>\n\n[INST] \n [/INST] </s> [INST]  [/INST]")
    assert render_text(LLAVA_1_6_MISTRAL, turns).count(text) == 3


@pytest.fixture
def special_ids(tokenizer: Tokenizer) -> list[int]:
    """Return the ids of the embedded model's special tokens."""
    return [
        token_id
        for token_id, token in tokenizer.get_added_tokens_decoder().items()
        if token.special
    ]


def build_ids(
    source: str, checkpoint: Checkpoint, tokenizer: Tokenizer, *messages: tuple[str, Any]
) -> list[int]:
    """Return the prompt's ids with this template, with two image tokens per image."""
    text = replace(checkpoint.text, chat_template=source, special_tokens=SPECIALS)
    builder = PromptBuilder(choose_prompt_format(tokenizer, text, "chat_template"), 2048)
    messages_of_turns = [message(role, text, images) for role, (text, images) in messages]
    return builder.build(
        split_turns(messages_of_turns), [2] * sum(images for _, (_, images) in messages)
    ).token_ids


def test_special_tokens_of_the_template_become_tokens(
    checkpoint: Checkpoint, tokenizer: Tokenizer, special_ids: list[int]
) -> None:
    turns = [("user", ("<s>a</s>", 1)), ("assistant", ("<image>", 0)), ("user", ("b", 0))]
    ids = build_ids(STRINGS, checkpoint, tokenizer, *turns)
    bos, eos, image = (tokenizer.token_to_id(token) for token in ("<s>", "</s>", "<image>"))
    assert [each for each in ids if each in special_ids] == [bos, image, image, eos]
    assert tokenizer.decode(ids, skip_special_tokens=False) == (
        "<s>[INST] <image><image>\n<s>a</s> [/INST]\n<image></s>[INST] b [/INST]\n"
    )


def test_every_prompt_starts_with_one_bos(checkpoint: Checkpoint, tokenizer: Tokenizer) -> None:
    for source in (STRINGS, LLAVA_1_5):
        ids = build_ids(source, checkpoint, tokenizer, ("user", ("Hi", 0)))
        bos = tokenizer.token_to_id("<s>")
        assert ids[0] == bos
        assert ids.count(bos) == 1


def test_the_embedded_models_template_equals_vicuna_v1(
    checkpoint: Checkpoint, tokenizer: Tokenizer
) -> None:
    assert checkpoint.text.chat_template is not None
    turns = [("user", ("What?", 2)), ("assistant", ("A cat.", 0)), ("user", ("Sure?", 1))]
    by_template = build_ids(checkpoint.text.chat_template, checkpoint, tokenizer, *turns)
    own = PromptBuilder(choose_prompt_format(tokenizer, checkpoint.text), 2048)
    messages_of_turns = [message(role, text, images) for role, (text, images) in turns]
    assert by_template == own.build(split_turns(messages_of_turns), [2, 2, 2]).token_ids


def test_the_message_of_a_refusal_is_returned_to_the_client() -> None:
    with pytest.raises(InvalidValue) as caught:
        render_text(STRINGS, [Turn("assistant", "Hello.", 0), Turn("user", "Hi", 0)])
    assert caught.value.param == "messages"
    assert "roles must alternate, as they should." in caught.value.message
    assert len(caught.value.message) < MAX_REFUSAL_LENGTH + 100


def test_other_failures_reveal_no_details() -> None:
    source = BOTH + "{% if messages | length > 2 %}{{ messages[0].secret.attribute }}{% endif %}"
    with pytest.raises(InvalidValue) as caught:
        render_text(source, TURNS)
    assert caught.value.message == "The model's chat template cannot render these messages."


def test_every_image_must_be_placed() -> None:
    with pytest.raises(InvalidValue, match="places 0 images where the messages hold 3"):
        render_text(BOTH, TURNS)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% for message in messages %}", "not valid"),
        ("{% include 'secrets' %}", "not render"),
        ("{{ messages.__class__.__mro__ }}", "not render"),
        ("{{ bos_token }}", "not render"),
        ("{% for i in range(10 ** 9) %}x{% endfor %}{{ messages[0].content }}", "not render"),
        ("{{ raise_exception('no') }}", "not render"),
        ("{{ undefined_function() }}", "not render"),
    ],
)
def test_useless_templates_are_refused_at_load(source: str, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason):
        ChatTemplate(source, SPECIALS, "<image>")


def test_templates_that_accept_parts_from_users_only_get_strings() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'user' and m.content is not string %}"
        "{% for part in m.content %}{{ part.text }}{% endfor %}{% else %}{{ m.content }}"
        "{% endif %}{% endfor %}"
    )
    assert render_text(source, TURNS) == "@\nWhat?A cat.@\n@\nThese?"


def test_functions_and_filters_of_templates() -> None:
    source = (
        "{{ strftime_now('%Y') | int > 2000 }} {{ {'b': '<é>', 'a': 1} | tojson }} "
        "{{ {'b': 1, 'a': 2} | tojson(indent=1, sort_keys=true) }}"
        "{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}"
    )
    assert render_text(source + BOTH, [Turn("user", "Hi", 0)]) == (
        'True {"b": "<é>", "a": 1} {\n "a": 2,\n "b": 1\n}01Hi'
    )


def test_messages_cannot_be_changed_by_a_template() -> None:
    source = BOTH + "{% set _ = messages.append(messages[0]) %}"
    with pytest.raises(CheckpointError, match="not render"):
        ChatTemplate(source, SPECIALS, "<image>")


def test_segments_keep_their_order() -> None:
    segments: list[Segment] = ChatTemplate(LLAVA_1_5, SPECIALS, "<image>").render(
        Conversation(None, TURNS)
    )
    kinds = [type(each).__name__ for each in segments if getattr(each, "text", "x").strip()]
    assert kinds[:4] == ["TemplateText", "MediaSlot", "UntrustedText", "TemplateText"]
