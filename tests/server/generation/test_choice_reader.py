"""One answer of a request, read output by output."""

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


def output(text: str, end: End | None = None, **changes: Any) -> EngineOutput:
    """Return what an engine hands over."""
    return EngineOutput(text, 1, end, 0.0, 0, **changes)


def texts(deltas: Sequence[ChoiceDelta]) -> list[str]:
    """Join each delta's text."""
    return ["".join(p for p in delta.content if isinstance(p, str)) for delta in deltas]


def test_the_space_at_the_begin_is_not_shown_and_any_other_is() -> None:
    choice = build_text_reader(0)
    parts = ["", " ", "\n A", " red", " ", " circle ", "\n"]
    deltas = [choice.read(output(part)) for part in parts]
    assert texts(deltas) == ["", "", "A", " red", " ", " circle ", "\n"]


def test_an_answer_of_nothing_but_space_is_empty() -> None:
    delta = build_text_reader(3).read(output(" \n ", "stop"))
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
def test_why_an_answer_ends(
    text: str, end: End, named_tool_choice: bool, reason: str, streamed: bool
) -> None:
    choice = ChoiceReader(0, ToolCallParser(), None, named_tool_choice=named_tool_choice)
    if streamed:
        for character in text[:-1]:
            assert choice.read(output(character)).finish_reason is None
        text = text[-1:]
    assert choice.read(output(text, end)).finish_reason == reason


def test_log_probabilities_leave_out_the_space_at_the_begin(checkpoint: Checkpoint) -> None:
    vocabulary = Vocabulary(checkpoint.path)
    choice = ChoiceReader(0, ToolCallParser(), VisibleTokensReader(vocabulary, 0))
    ids = [225, 421, 343]  # a space, " red", " circle"
    spelt = [vocabulary.token_bytes(token_id).decode() for token_id in ids]
    assert spelt == [" ", " red", " circle"]
    whole = MessageAccumulator()
    for token_id, text in zip(ids, spelt, strict=True):
        logprobs = [TokenLogprob(token_id, -1.0, [])]
        whole.add(choice.read(output(text, logprobs=logprobs)))
    whole.add(choice.read(output("", "stop")))
    assert whole.text == "red circle"
    assert [token.token for token in whole.logprobs] == ["red", " circle"]


def test_a_whole_answer_is_the_sum_of_its_deltas() -> None:
    choice = ChoiceReader(0, ToolCallParser(), None)
    whole = MessageAccumulator()
    for character in "Well. " + CALL + CALL:
        whole.add(choice.read(output(character)))
    whole.add(choice.read(output("", "stop")))
    assert (whole.text, whole.finish_reason) == ("Well. ", "tool_calls")
    assert [(call.name, call.arguments) for call in whole.calls] == [("f", '{"a": 1}')] * 2
    assert whole.calls[0].id != whole.calls[1].id
