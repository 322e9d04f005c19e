"""Sampling options: limits, stop strings, seeds, several answers, logprobs."""

import json
import math
from collections.abc import Callable
from typing import Any

from tests.api.pictures import user
from tests.clients.assertions import assert_same_answer
from tests.clients.scenarios import PROMPTS, parametrize_scenarios

Chat = Callable[..., dict[str, Any]]
HELLO = user(PROMPTS["hello"])


@parametrize_scenarios("stop")
def test_stops_at_a_word(result: Any, chat: Chat) -> None:
    complete = chat(HELLO)
    assert_same_answer(result, chat(HELLO, stop=PROMPTS["stop"]))
    assert result["text"] == complete["text"].partition(PROMPTS["stop"])[0] != complete["text"]
    assert result.get("finish", "stop") == "stop"


@parametrize_scenarios("length", "length_in_completion_tokens")
def test_says_that_the_limit_was_reached(result: Any) -> None:
    assert result.get("finish", "length") == "length"
    assert result["completion_tokens"] in (3, 16)
    assert result["text"]


@parametrize_scenarios("seed")
def test_a_seed_repeats(result: Any) -> None:
    first, same_seed, other_seed = result
    assert first == same_seed != other_seed


@parametrize_scenarios("several")
def test_gives_several_answers(result: Any, chat: Chat) -> None:
    expected = chat(HELLO)
    assert result["texts"] == [expected["text"]] * 2
    assert result.get("indices", [0, 1]) == [0, 1]
    assert result["prompt_tokens"] == expected["prompt_tokens"]
    assert result["completion_tokens"] == 2 * expected["completion_tokens"]


@parametrize_scenarios("several_streamed")
def test_streams_several_answers(result: Any, chat: Chat) -> None:
    assert result == {"texts": [chat(HELLO)["text"]] * 2, "indices": [0, 1]}


@parametrize_scenarios("logprobs")
def test_returns_logprobs(result: Any, chat: Chat) -> None:
    expected = chat(HELLO)
    assert_same_answer(result, expected)
    assert "".join(result["tokens"]) == expected["text"]
    assert b"".join(map(bytes, result["bytes"])).decode() == expected["text"]
    assert all(-0.7 < logprob <= 0 for logprob in result["logprobs"])
    for token, logprob, top in zip(
        result["tokens"], result["logprobs"], result["top"], strict=True
    ):
        assert len(top) == 3
        assert top[0][0] == token
        assert math.isclose(top[0][1], logprob, abs_tol=1e-6)
        assert [value for _, value in top] == sorted((value for _, value in top), reverse=True)


@parametrize_scenarios("json_object")
def test_writes_an_object(result: Any) -> None:
    """The model was not trained on JSON: the grammar starts the object, and it may not end."""
    assert result["text"].lstrip().startswith("{")
    if result.get("finish") == "length" or result["completion_tokens"] == PROMPTS["max_tokens"]:
        return
    assert isinstance(json.loads(result["text"]), dict)
