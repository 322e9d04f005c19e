"""Choices, read output by output."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import EngineOutput, TokenLogprob
from server.generation.accumulator import MessageAccumulator
from server.generation.choice_delta import ChoiceDelta
from server.generation.choice_reader import ChoiceReader, build_text_reader
from server.generation.logprobs import VisibleTokensReader
from server.generation.tool_call_parser import ToolCallParser
from server.tools.format import format_tool_call

CALL = format_tool_call("f", '{"a": 1}')
End = Literal["stop", "length"]


def build_output(text: str, end: End | None = None, **changes: Any) -> EngineOutput:
    """Return an engine output."""
    return EngineOutput(text, 1, end, 0.0, 0, **changes)


def texts(deltas: Sequence[ChoiceDelta]) -> list[str]:
    """Return each delta's text."""
    return [delta.text for delta in deltas]


def test_only_leading_white_space_is_stripped() -> None:
    reader = build_text_reader(0)
    parts = ["", " ", "\n A", " red", " ", " circle ", "\n"]
    deltas = [reader.read(build_output(part)) for part in parts]
    assert texts(deltas) == ["", "", "A", " red", " ", " circle ", "\n"]


def test_an_answer_of_white_space_is_empty() -> None:
    delta = build_text_reader(3).read(build_output(" \n ", "stop"))
    assert delta == ChoiceDelta(3, [], (), "stop")


@pytest.mark.parametrize(
    ("text", "end", "named_tool_choice", "reason"),
    [
        ("Well.", "stop", False, "stop"),
        ("Well.", "length", False, "length"),
        (CALL, "stop", False, "tool_calls"),
        ("Well." + CALL, "stop", False, "tool_calls"),
        (CALL, "stop", True, "stop"),
        (CALL[:-20], "length", False, "length"),
        (CALL[:-20], "length", True, "length"),
        (CALL[:15], "length", False, "length"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_finish_reasons(
    text: str, end: End, named_tool_choice: bool, reason: str, streamed: bool
) -> None:
    reader = ChoiceReader(0, ToolCallParser(), None, named_tool_choice=named_tool_choice)
    if streamed:
        for character in text[:-1]:
            assert reader.read(build_output(character)).finish_reason is None
        text = text[-1:]
    assert reader.read(build_output(text, end)).finish_reason == reason


def test_log_probabilities_do_not_include_leading_white_space(checkpoint: Checkpoint) -> None:
    vocabulary = Vocabulary(checkpoint.path)
    reader = ChoiceReader(0, ToolCallParser(), VisibleTokensReader(vocabulary, 0))
    ids = [225, 421, 343]  # a space, " red", " circle"
    texts_of_tokens = [vocabulary.token_bytes(token_id).decode() for token_id in ids]
    assert texts_of_tokens == [" ", " red", " circle"]
    message = MessageAccumulator()
    for token_id, text in zip(ids, texts_of_tokens, strict=True):
        logprobs = [TokenLogprob(token_id, -1.0, [])]
        message.add(reader.read(build_output(text, logprobs=logprobs)))
    message.add(reader.read(build_output("", "stop")))
    assert message.text == "red circle"
    assert [token.token for token in message.logprobs] == ["red", " circle"]


def test_a_message_accumulates_deltas() -> None:
    reader = ChoiceReader(0, ToolCallParser(), None)
    message = MessageAccumulator()
    for character in "Well. " + CALL + CALL:
        message.add(reader.read(build_output(character)))
    message.add(reader.read(build_output("", "stop")))
    assert (message.text, message.finish_reason) == ("Well. ", "tool_calls")
    assert [(call.name, call.arguments) for call in message.calls] == [("f", '{"a": 1}')] * 2
    assert message.calls[0].id != message.calls[1].id
