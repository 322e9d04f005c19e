"""Prompts that cannot fit are refused by their characters, before they are tokenised."""

import json
from typing import Any

import pytest
from tokenizers import Tokenizer

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.errors import ContextLengthExceeded, InvalidValue
from server.prompt import tokenizer as prompt_tokenizer
from server.prompt.builder import MAX_TOKENIZED_CHARACTERS, PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.text_limit import measure_longest_token
from server.prompt.text_tokenizer import TextTokenizer
from server.prompt.tokenizer import MAX_LOCKED_LENGTH, read_tokenizer
from server.prompt.turns import join_turns, split_turns
from server.protocol.chat.messages import Message
from server.protocol.completions.request import CompletionRequest
from server.telemetry.metrics import Metrics

MAX_MODEL_LEN = 64
BPE: dict[str, Any] = {
    "added_tokens": [{"content": "<image>"}],
    "model": {"type": "BPE", "vocab": {"a": 0, "abcd": 1}, "byte_fallback": True},
}
UNIGRAM = {"type": "Unigram", "vocab": [["a", -1.0], ["abcdefgh", -2.0]], "byte_fallback": True}
NFC = {"type": "Sequence", "normalizers": [{"type": "Prepend"}, {"type": "NFC"}]}


class RefusesWork:
    """A tokenizer that must not be used."""

    def encode(self, *_: Any, **__: Any) -> Any:
        """Fail."""
        raise AssertionError

    encode_batch_fast = encode


@pytest.fixture
def builder(checkpoint: Checkpoint) -> PromptBuilder:
    """Return a builder with a short context."""
    prompt_format = choose_prompt_format(read_tokenizer(checkpoint.path), checkpoint.text)
    return PromptBuilder(prompt_format, MAX_MODEL_LEN)


@pytest.fixture
def limit(tokenizer: Tokenizer) -> int:
    """Return the most characters of a prompt."""
    return MAX_MODEL_LEN * max(map(len, tokenizer.get_vocab()))


@pytest.fixture
def idle_builder(builder: PromptBuilder, monkeypatch: pytest.MonkeyPatch) -> PromptBuilder:
    """Return a builder whose tokenizer must not be used."""
    monkeypatch.setattr(builder._format.tokenizer, "_tokenizer", RefusesWork())
    return builder


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, len("<image>")),
        ({"model": UNIGRAM}, 8),
        ({"model": {**UNIGRAM, "byte_fallback": False}}, 1024),
        ({"model": {**BPE["model"], "byte_fallback": False, "fuse_unk": True}}, 7),
        (
            {
                "model": {
                    **BPE["model"],
                    "byte_fallback": False,
                    "fuse_unk": True,
                    "unk_token": "<unk>",
                }
            },
            1024,
        ),
        ({"normalizer": NFC}, 4 * 7),
        (
            {"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}},
            7,
        ),
        (
            {"normalizer": {"type": "Replace", "pattern": {"Regex": " +"}, "content": "▁"}},
            4 * 7,
        ),
    ],
)
def test_longest_token(changes: dict[str, Any], expected: int) -> None:
    assert measure_longest_token({**BPE, **changes}) == expected


def test_the_limit_is_a_true_bound(builder: PromptBuilder, tokenizer: Tokenizer) -> None:
    """Text of the longest tokens has at least as many tokens as the limit says."""
    longest = max(tokenizer.get_vocab(), key=len)
    text = longest.replace("Ġ", " ") * 3
    chars_per_token = builder._format.tokenizer.max_chars_per_token
    assert len(builder.tokenize(text, special_tokens=False)) * chars_per_token >= len(text)


@pytest.mark.parametrize("parts", [1, 100])
def test_refuses_a_long_conversation(idle_builder: PromptBuilder, limit: int, parts: int) -> None:
    messages = [Message(role="user", content="x" * (limit // parts + 1))] * parts
    with pytest.raises(ContextLengthExceeded) as raised:
        idle_builder.build(split_turns(messages), [])
    assert raised.value.param == "messages"
    assert f"{MAX_MODEL_LEN} tokens holds at most {limit}." in raised.value.message


async def test_refuses_a_long_text(
    idle_builder: PromptBuilder, limit: int, checkpoint: Checkpoint, metrics: Metrics
) -> None:
    tokenizer = TextTokenizer(idle_builder, Vocabulary(checkpoint.path), metrics)
    request = CompletionRequest(model="m", prompt=["a", "x" * (limit + 1)])
    with pytest.raises(ContextLengthExceeded) as raised:
        await tokenizer.tokenize_prompts(request)
    assert raised.value.param == "prompt[1]"
    with pytest.raises(InvalidValue) as refused:
        await tokenizer.tokenize("x" * (MAX_TOKENIZED_CHARACTERS + 1))
    assert refused.value.param == "prompt"


async def test_tokenize_takes_more_than_the_context(
    builder: PromptBuilder, limit: int, checkpoint: Checkpoint, metrics: Metrics
) -> None:
    tokenizer = TextTokenizer(builder, Vocabulary(checkpoint.path), metrics)
    assert len(await tokenizer.tokenize("x " * limit)) > MAX_MODEL_LEN
    prompt = builder.build(
        split_turns([Message(role="user", content="x " * limit)]), [], enforce_limit=False
    )
    assert len(prompt.token_ids) > MAX_MODEL_LEN


@pytest.mark.parametrize("text", ["A red circle. ", "日本語 😀 é ", "\n\t x  ", "<image></s>"])
def test_long_texts_have_the_same_ids_without_the_lock(
    builder: PromptBuilder, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text *= 2 * MAX_LOCKED_LENGTH // len(text)
    ids = builder.tokenize(text)
    decoded = builder.detokenize(ids)
    monkeypatch.setattr(prompt_tokenizer, "MAX_LOCKED_LENGTH", 10**9)
    assert builder.tokenize(text) == ids
    assert builder.detokenize(ids) == decoded


def test_joins_many_messages_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each text is read once: joining two turns at a time is quadratic."""
    reads = 0
    property_of_text = Message.text

    def read(message: Message) -> str:
        nonlocal reads
        reads += 1
        text = property_of_text.fget  # type: ignore[attr-defined]
        return str(text(message))

    monkeypatch.setattr(Message, "text", property(read))
    messages = [Message(role="user", content=f"line {index}") for index in range(4000)]
    conversation = split_turns(messages)
    assert len(conversation.turns) == 1
    assert conversation.turns[0].text == "\n".join(f"line {index}" for index in range(4000))
    assert reads == len(messages)
    assert join_turns(conversation.turns) == list(conversation.turns)


def test_counts_the_arguments_of_calls() -> None:
    call = {"id": "c", "function": {"name": "find", "arguments": json.dumps({"q": "x" * 100})}}
    messages = [
        Message.model_validate({"role": "assistant", "tool_calls": [call]}),
        Message(role="user", content="go on"),
    ]
    assert split_turns(messages).num_characters > 100
