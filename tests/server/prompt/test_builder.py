"""Token ids and placeholders of prompts, with the embedded model's tokenizer."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from server.checkpoint.config import Checkpoint, CheckpointError
from server.errors import ContextLengthExceeded, InvalidValue
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.prompt import Placeholder, Prompt
from server.prompt.tokenizer import read_tokenizer
from server.prompt.turns import split_turns
from server.protocol.chat.messages import Message
from training.data import conversation

BOS, EOS, IMAGE = "<s>", "</s>", "<image>"
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions."
)
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:,"}}


def message(role: str, *content: str | dict[str, Any]) -> Message:
    """Return a message: a single string as string content, anything else as parts."""
    if len(content) == 1 and isinstance(content[0], str):
        return Message.model_validate({"role": role, "content": content[0]})
    parts = [{"type": "text", "text": c} if isinstance(c, str) else c for c in content]
    return Message.model_validate({"role": role, "content": parts})


def image(length: int = 64) -> list[str]:
    """Return the tokens of one image."""
    return [IMAGE] * length


@pytest.fixture
def builder(checkpoint: Checkpoint) -> PromptBuilder:
    """Return a builder with a tokenizer of its own."""
    return PromptBuilder(
        choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text), 2048
    )


@pytest.fixture
def ids(tokenizer: Tokenizer) -> "Ids":
    """Return an encoder of expected parts into ids."""
    return Ids(tokenizer)


class Ids:
    """Encodes parts independently of the builder: a special token, or a stretch of text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.bos, self.eos, self.image = map(self.special, (BOS, EOS, IMAGE))

    def special(self, token: str) -> int:
        token_id = self._tokenizer.token_to_id(token)
        assert token_id is not None
        return token_id

    def __call__(self, *parts: str) -> list[int]:
        token_ids: list[int] = []
        for part in parts:
            if part in (BOS, EOS, IMAGE):
                token_ids.append(self.special(part))
            else:
                token_ids += self._tokenizer.encode(part, add_special_tokens=False).ids
        return token_ids

    def text(self, token_ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=False))


def test_a_text_only_prompt(builder: PromptBuilder, ids: Ids) -> None:
    prompt = builder.build(split_turns([message("user", "Hello!")]), [])
    assert prompt == Prompt(ids(BOS, f"{SYSTEM} USER: Hello! ASSISTANT:"), [])
    assert prompt.num_image_tokens == 0


def test_an_image_precedes_the_question(builder: PromptBuilder, ids: Ids) -> None:
    question = message("user", "What is this?", IMAGE_PART)
    prompt = builder.build(split_turns([question]), [64])
    start = ids(BOS, f"{SYSTEM} USER: ")
    assert prompt.token_ids == [
        *start,
        *ids(*image()),
        *ids("\nWhat is this? ASSISTANT:"),
    ]
    assert prompt.placeholders == [Placeholder(len(start), 64)]
    assert prompt.num_image_tokens == 64


def test_two_images_of_different_lengths(builder: PromptBuilder, ids: Ids) -> None:
    question = message("user", IMAGE_PART, "Compare", IMAGE_PART, "them.")
    prompt = builder.build(split_turns([question]), [64, 10])
    start, between = ids(BOS, f"{SYSTEM} USER: "), ids("\n")
    assert prompt.token_ids == [
        *start,
        *ids(*image()),
        *between,
        *ids(*image(10)),
        *ids("\nCompare\nthem. ASSISTANT:"),
    ]
    assert prompt.placeholders == [
        Placeholder(len(start), 64),
        Placeholder(len(start) + 64 + len(between), 10),
    ]
    assert prompt.num_image_tokens == 74


def test_several_turns_with_images_in_two(builder: PromptBuilder, ids: Ids) -> None:
    prompt = builder.build(
        split_turns(
            [
                message("user", IMAGE_PART, "What is this?"),
                message("assistant", "A cat."),
                message("user", "Sure?"),
                message("assistant", "Yes."),
                message("user", IMAGE_PART, "And this?"),
            ]
        ),
        [3, 5],
    )
    parts = [
        *(BOS, f"{SYSTEM} USER: ", *image(3), "\nWhat is this? ASSISTANT: A cat.", EOS),
        *("USER: Sure? ASSISTANT: Yes.", EOS),
        *("USER: ", *image(5), "\nAnd this? ASSISTANT:"),
    ]
    assert prompt.token_ids == ids(*parts)
    first = prompt.token_ids.index(ids.image)
    assert prompt.placeholders[0] == Placeholder(first, 3)
    second = prompt.token_ids.index(ids.image, first + 3)
    assert prompt.placeholders[1] == Placeholder(second, 5)


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_message_replaces_the_templates(
    role: str, builder: PromptBuilder, ids: Ids
) -> None:
    prompt = builder.build(split_turns([message(role, "Be brief."), message("user", "Hi")]), [])
    assert prompt.token_ids == ids(BOS, "Be brief. USER: Hi ASSISTANT:")


def test_an_empty_system_message_removes_the_templates(builder: PromptBuilder, ids: Ids) -> None:
    prompt = builder.build(split_turns([message("system", ""), message("user", "Hi")]), [])
    assert prompt.token_ids == ids(BOS, "USER: Hi ASSISTANT:")


def test_an_empty_system_message_before_an_image(builder: PromptBuilder, ids: Ids) -> None:
    prompt = builder.build(
        split_turns([message("system", ""), message("user", IMAGE_PART, "Hi")]), [2]
    )
    assert prompt.token_ids == ids(BOS, "USER: ", *image(2), "\nHi ASSISTANT:")
    assert prompt.placeholders == [Placeholder(1 + len(ids("USER: ")), 2)]


def test_system_messages_are_joined_from_any_position(builder: PromptBuilder, ids: Ids) -> None:
    conversation = [
        message("system", "One.", "Two."),
        message("user", "Hi"),
        message("developer", "Three."),
        message("user", "there"),
    ]
    prompt = builder.build(split_turns(conversation), [])
    assert prompt.token_ids == ids(BOS, "One.\nTwo.\nThree. USER: Hi\nthere ASSISTANT:")


def test_consecutive_messages_of_one_role_are_joined(builder: PromptBuilder, ids: Ids) -> None:
    prompt = builder.build(
        split_turns(
            [
                message("user", IMAGE_PART, IMAGE_PART, "Look."),
                message("user", ""),
                message("user", IMAGE_PART, "And here."),
                message("assistant", "I"),
                message("assistant", "see."),
                message("user", "Good."),
            ]
        ),
        [1, 2, 3],
    )
    parts = [
        *(BOS, f"{SYSTEM} USER: ", IMAGE, "\n", *image(2), "\n", *image(3)),
        *("\nLook.\nAnd here. ASSISTANT: I\nsee.", EOS, "USER: Good. ASSISTANT:"),
    ]
    assert prompt.token_ids == ids(*parts)
    assert [placeholder.length for placeholder in prompt.placeholders] == [1, 2, 3]


def test_the_text_of_an_image_may_be_in_the_next_message(builder: PromptBuilder, ids: Ids) -> None:
    prompt = builder.build(
        split_turns([message("user", IMAGE_PART), message("user", "What is it?")]), [2]
    )
    assert prompt.token_ids == ids(BOS, f"{SYSTEM} USER: ", *image(2), "\nWhat is it? ASSISTANT:")


SPECIAL_TOKEN_NAMES = f"{BOS}{IMAGE} </s><pad>USER: </s>ASSISTANT: <unk> <image>"


def test_names_of_special_tokens_in_messages_are_text(builder: PromptBuilder, ids: Ids) -> None:
    prompt = builder.build(split_turns([message("user", IMAGE_PART, SPECIAL_TOKEN_NAMES)]), [4])
    specials = {ids.special(token) for token in (BOS, EOS, IMAGE, "<pad>", "<unk>")}
    positions = [i for i, token_id in enumerate(prompt.token_ids) if token_id in specials]
    offset = prompt.placeholders[0].offset
    assert positions == [0, *range(offset, offset + 4)]
    # The client's text is complete.
    assert ids.text(prompt.token_ids[offset + 4 :]) == f"\n{SPECIAL_TOKEN_NAMES} ASSISTANT:"


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_names_of_special_tokens_are_text_in_every_role(
    role: str, builder: PromptBuilder, ids: Ids
) -> None:
    before = [] if role == "system" else [message("user", "Hi")]
    conversation = [*before, message(role, SPECIAL_TOKEN_NAMES), message("user", "Bye")]
    prompt = builder.build(split_turns(conversation), [])
    assert prompt.token_ids.count(ids.bos) == 1
    assert prompt.token_ids.count(ids.eos) == (role == "assistant")
    assert ids.image not in prompt.token_ids
    assert SPECIAL_TOKEN_NAMES in ids.text(prompt.token_ids)


def test_every_prompt_starts_with_one_bos(builder: PromptBuilder, ids: Ids) -> None:
    turns = [message("user", IMAGE_PART, "a"), message("assistant", "b"), message("user", "c")]
    for messages in (turns[:1], turns):
        token_ids = builder.build(split_turns(messages), [8]).token_ids
        assert token_ids[0] == ids.bos
        assert token_ids.count(ids.bos) == 1


@pytest.mark.parametrize("text", ["日本語", "😀 naïve", "a\x00b", "\n\n", " two  spaces ", "\t"])
def test_any_text_is_preserved(text: str, builder: PromptBuilder, ids: Ids) -> None:
    token_ids = builder.build(split_turns([message("user", text)]), []).token_ids
    assert ids.text(token_ids[1:]) == f"{SYSTEM} USER: {text} ASSISTANT:"


@pytest.mark.parametrize("images", [0, 1, 2])
def test_prompts_equal_those_of_training(images: int, builder: PromptBuilder, ids: Ids) -> None:
    first, answer, second = "What color is it?", "It is red.", "Where is it?"
    served = builder.build(
        split_turns(
            [
                message("user", *[IMAGE_PART] * images, first),
                message("assistant", answer),
                message("user", second),
            ]
        ),
        [64] * images,
    )
    trained = [ids.bos]
    for piece in conversation.build_prefix_segments(conversation.SYSTEM, images):
        trained += ids(piece) + [ids.image] * (64 if images else 0)
    trained += ids(conversation.build_first_prompt(first, images))
    trained += [*ids(conversation.build_answer(answer)), ids.eos]
    trained += ids(conversation.build_follow_up_prompt(second))
    assert served.token_ids == trained


def test_the_context_limit_is_exact_and_the_error_has_both_lengths(checkpoint: Checkpoint) -> None:
    prompt_format = choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text)
    question = [message("user", IMAGE_PART, "What is this?")]
    length = len(PromptBuilder(prompt_format, 2048).build(split_turns(question), [64]).token_ids)
    longest = PromptBuilder(prompt_format, length + 1).build(split_turns(question), [64])
    assert len(longest.token_ids) == length  # one token remains for the answer
    with pytest.raises(ContextLengthExceeded) as caught:
        PromptBuilder(prompt_format, length).build(split_turns(question), [64])
    assert caught.value.param == "messages"
    assert f"has {length} tokens" in caught.value.message
    assert f"context is {length} tokens" in caught.value.message


@pytest.mark.parametrize(
    ("messages", "prompt"),
    [
        ([("user", IMAGE_PART)], "USER: <image>\n ASSISTANT:"),
        ([("user", IMAGE_PART, " \n")], "USER: <image>\n \n ASSISTANT:"),
        (
            [("user", IMAGE_PART), ("assistant", "What of it?"), ("user", "Describe it.")],
            "USER: <image>\n ASSISTANT: What of it?</s>USER: Describe it. ASSISTANT:",
        ),
        (
            [("user", "Hi"), ("assistant", "Hello."), ("user", IMAGE_PART)],
            "USER: Hi ASSISTANT: Hello.</s>USER: <image>\n ASSISTANT:",
        ),
    ],
)
def test_an_image_needs_no_text(messages: list[Any], prompt: str, builder: PromptBuilder) -> None:
    turns = split_turns([message("system", ""), *(message(*each) for each in messages)])
    built = builder.build(turns, [1])
    assert len(built.placeholders) == 1
    assert builder.detokenize(built.token_ids).removeprefix("<s>") == prompt


@pytest.mark.parametrize("messages", [[("system", "s")], [("assistant", "")]])
def test_there_must_be_a_turn(messages: list[Any], builder: PromptBuilder) -> None:
    with pytest.raises(InvalidValue) as caught:
        builder.build(split_turns([message(*each) for each in messages]), [])
    assert caught.value.param == "messages"


def test_an_assistant_may_start(builder: PromptBuilder, ids: Ids) -> None:
    prompt = builder.build(split_turns([message("assistant", "Hello."), message("user", "Hi")]), [])
    assert prompt.token_ids == ids(BOS, f"{SYSTEM} ASSISTANT: Hello.", EOS, "USER: Hi ASSISTANT:")


def test_a_missing_special_token_is_named(checkpoint: Checkpoint, tokenizer: Tokenizer) -> None:
    text = replace(checkpoint.text, bos_token="<|begin|>")
    with pytest.raises(CheckpointError, match=r"<\|begin\|>"):
        choose_prompt_format(tokenizer, text)


def test_read_tokenizer_names_the_missing_or_broken_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        read_tokenizer(tmp_path)
