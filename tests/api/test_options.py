"""Every option of a chat request acts, and none that does not is accepted."""

import itertools
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion
from tokenizers import Tokenizer

from model_store.store import find_model
from server.prompt.tokenizer import read_tokenizer
from tests.api.asking import QUESTION, ask, choice, chunks, refusal, streamed, text
from tests.api.pictures import body, user

HELLO = user("Hello")
# Beyond its own end the embedded model is unsure of what comes next.
WILD: dict[str, Any] = {"temperature": 2.0, "max_tokens": 40, "ignore_eos": True}
EOS = 1


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Return the embedded model's tokenizer."""
    return read_tokenizer(find_model("llava-tiny"))


@pytest.fixture
def plain(http: httpx.Client) -> str:
    """Return the greedy answer about the picture."""
    return text(http)


def contents(completion: dict[str, Any]) -> list[str]:
    """Return the texts of all choices, which must be in order."""
    choices = completion["choices"]
    assert [each["index"] for each in choices] == list(range(len(choices)))
    return [each["message"]["content"] for each in choices]


def test_several_answers_differ_and_a_seed_repeats_them(http: httpx.Client) -> None:
    first = contents(ask(http, HELLO, n=3, seed=5, **WILD))
    assert len(set(first)) == 3
    assert contents(ask(http, HELLO, n=3, seed=5, **WILD)) == first
    assert contents(ask(http, HELLO, n=3, seed=6, **WILD)) != first


def test_several_answers_in_a_stream(http: httpx.Client) -> None:
    whole = ask(http, HELLO, n=3, seed=5, **WILD)
    answers = streamed(http, HELLO, n=3, seed=5, **WILD)
    assert [answer.content for answer in answers] == contents(whole)
    assert {answer.finish_reason for answer in answers} == {"length"}
    assert whole["usage"]["completion_tokens"] == 3 * 40


def test_greedy_answers_are_all_the_same(http: httpx.Client, plain: str) -> None:
    completion = ask(http, n=2)
    assert contents(completion) == [plain] * 2
    assert [answer.content for answer in streamed(http, n=2)] == [plain] * 2
    (one,) = ask(http)["choices"]
    assert [each["finish_reason"] for each in completion["choices"]] == [one["finish_reason"]] * 2


def test_a_bias_forbids_a_token(http: httpx.Client, plain: str, tokenizer: Tokenizer) -> None:
    (first, *_) = choice(http, logprobs=True)["logprobs"]["content"]
    # The space at the begin is not shown.
    ids = [tokenizer.token_to_id(prefix + first["token"]) for prefix in ("", "Ġ")]
    bias = {str(token_id): -100 for token_id in ids if token_id is not None}
    assert plain.startswith(first["token"])
    assert not text(http, logit_bias=bias).startswith(first["token"])


def test_a_bias_forces_a_token(http: httpx.Client, tokenizer: Tokenizer) -> None:
    token_id = tokenizer.token_to_id("Ġred")
    forced = text(http, logit_bias={str(token_id): 100}, max_tokens=5)
    assert forced == "red red red red red"


@pytest.mark.parametrize(
    "penalty", [{"presence_penalty": 2}, {"frequency_penalty": 2}, {"repetition_penalty": 3.0}]
)
def test_penalties_thin_out_repetitions(http: httpx.Client, penalty: dict[str, float]) -> None:
    wishes = {"temperature": 0, "ignore_eos": True, "max_tokens": 60}
    plain, penalised = text(http, **wishes), text(http, **wishes, **penalty)
    assert len(set(penalised.split())) > len(set(plain.split()))


def test_a_negative_penalty_changes_answers(http: httpx.Client) -> None:
    wishes = {"temperature": 0, "ignore_eos": True, "max_tokens": 80}
    assert text(http, **wishes, frequency_penalty=-2) != text(http, **wishes)


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"min_p": 1}, {"top_p": 1e-6}])
def test_nothing_but_the_likeliest_is_greedy(
    http: httpx.Client, narrow: dict[str, float], plain: str
) -> None:
    assert text(http, temperature=2, **narrow) == plain


@pytest.mark.parametrize("wide", [{"top_k": 0}, {"top_k": -1}, {"min_p": 0}, {"top_p": 1}])
def test_limits_that_are_none(http: httpx.Client, wide: dict[str, float]) -> None:
    assert text(http, HELLO, seed=5, **WILD, **wide) == text(http, HELLO, seed=5, **WILD)


def test_stop_strings_anywhere(http: httpx.Client, plain: str) -> None:
    for begin in range(0, len(plain) - 3, 5):
        stop = plain[begin : begin + 3]
        expected = plain[: plain.index(stop)]
        whole = choice(http, stop=stop, logprobs=True)
        assert whole["message"]["content"] == expected
        assert whole["finish_reason"] == "stop"
        (answer,) = streamed(http, stop=stop, logprobs=True)
        assert (answer.content, answer.finish_reason) == (expected, "stop")
        assert answer.logprobs == ((whole["logprobs"] or {}).get("content", []))
        told = b"".join(bytes(token["bytes"]) for token in answer.logprobs)
        assert told.decode().startswith(expected)


def test_stop_strings_that_only_seem_to_come(http: httpx.Client, plain: str) -> None:
    for begin in range(0, len(plain) - 6, 9):
        stop = plain[begin : begin + 6] + "\x00"
        (answer,) = streamed(http, stop=[stop, "never"], logprobs=True)
        assert answer.content == plain
        assert b"".join(bytes(t["bytes"]) for t in answer.logprobs).decode() == plain


def test_stop_tokens(http: httpx.Client, plain: str, tokenizer: Tokenizer) -> None:
    token_id = tokenizer.token_to_id("Ġcircle")
    stopped = choice(http, stop_token_ids=[token_id])
    assert stopped["finish_reason"] == "stop"
    shown = stopped["message"]["content"]
    assert plain.startswith(shown)
    assert shown.removesuffix(" circle") == plain.partition(" circle")[0]


def test_ignoring_the_end(http: httpx.Client, plain: str) -> None:
    completion = ask(http, ignore_eos=True, max_tokens=100)
    assert completion["usage"]["completion_tokens"] == 100
    (longer,) = completion["choices"]
    assert longer["finish_reason"] == "length"
    assert longer["message"]["content"].startswith(plain)


def test_min_tokens_in_a_stream(http: httpx.Client) -> None:
    *_, last = chunks(http, min_tokens=70, max_tokens=80, stream_options={"include_usage": True})
    assert 70 <= last["usage"]["completion_tokens"] <= 80


@pytest.mark.parametrize("top", [0, 3, 20])
def test_logprobs_join_to_the_answer(http: httpx.Client, top: int) -> None:
    whole = choice(http, logprobs=True, top_logprobs=top)
    (answer,) = streamed(http, logprobs=True, top_logprobs=top)
    tokens = whole["logprobs"]["content"]
    assert answer.logprobs == tokens
    assert b"".join(bytes(t["bytes"]) for t in tokens).decode() == whole["message"]["content"]
    for token in tokens:
        best = token["top_logprobs"]
        assert len(best) == top
        values = [each["logprob"] for each in best]
        assert values == sorted(values, reverse=True)
        assert all(value <= 0 for value in [token["logprob"], *values])
        if top:  # the answer is greedy
            assert token["logprob"] == values[0]


def test_logprobs_of_sampled_answers(http: httpx.Client) -> None:
    completion = ask(http, HELLO, n=2, seed=1, logprobs=True, top_logprobs=2, **WILD)
    for each in completion["choices"]:
        told = b"".join(bytes(token["bytes"]) for token in each["logprobs"]["content"])
        assert told.decode(errors="replace").startswith(each["message"]["content"][:20])
        assert all(token["logprob"] <= 0 for token in each["logprobs"]["content"])


def test_without_logprobs_there_are_none(http: httpx.Client) -> None:
    assert choice(http, logprobs=False)["logprobs"] is None
    assert all(c["choices"][0]["logprobs"] is None for c in chunks(http, max_tokens=3))


def test_continuous_usage(http: httpx.Client) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    *others, last = chunks(http, stream_options=options)
    counts = [chunk["usage"]["completion_tokens"] for chunk in others]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == last["usage"]["completion_tokens"] == max(counts)
    assert {chunk["usage"]["prompt_tokens"] for chunk in [*others, last]} == {
        last["usage"]["prompt_tokens"]
    }
    assert last["choices"] == []


def test_usage_has_its_details(http: httpx.Client) -> None:
    usage = ask(http)["usage"]
    assert usage["prompt_tokens_details"].keys() == {
        "cached_tokens",
        "image_tokens",
        "video_tokens",
        "audio_tokens",
    }
    assert set(usage["completion_tokens_details"].values()) == {0}
    assert ask(http)["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"n": 0}, "n"),
    ({"n": 129}, "n"),
    ({"presence_penalty": 2.1}, "presence_penalty"),
    ({"frequency_penalty": -2.1}, "frequency_penalty"),
    ({"repetition_penalty": 0}, "repetition_penalty"),
    ({"top_k": -2}, "top_k"),
    ({"min_p": 1.1}, "min_p"),
    ({"logit_bias": {"859": 1}}, "logit_bias"),
    ({"logit_bias": {"5": 101}}, "logit_bias['5']"),
    ({"logit_bias": {"x": 1}}, "logit_bias['x']"),
    ({"stop_token_ids": [859]}, "stop_token_ids"),
    ({"stop_token_ids": [-1]}, "stop_token_ids[0]"),
    ({"logprobs": 1}, "logprobs"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ({"min_tokens": 5, "max_tokens": 4}, "min_tokens"),
    ({"min_tokens": 5, "response_format": {"type": "json_object"}}, "min_tokens"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"best_of": 2}, "best_of"),
    ({"use_beam_search": True}, "use_beam_search"),
    ({"guided_json": "a"}, "guided_json"),
    ({"guided_regex": "["}, "guided_regex"),
    ({"guided_regex": "a", "guided_choice": ["a"]}, "guided_regex"),
    ({"prompt_logprobs": 21}, "prompt_logprobs"),
    ({"prompt_logprobs": 1, "stream": True}, "prompt_logprobs"),
    ({"bad_words": ["a"] * 129}, "bad_words"),
    ({"bad_words": [f"word {n}" for n in range(128)]}, "bad_words"),
    ({"allowed_token_ids": [859]}, "allowed_token_ids"),
    ({"allowed_token_ids": []}, "allowed_token_ids"),
    ({"bad_words": ["a"], "guided_regex": "a"}, "bad_words"),
    ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
    ({"truncate_prompt_tokens": 20}, "truncate_prompt_tokens"),
    ({"continue_final_message": True}, "messages"),
    ({"reasoning_effort": "low"}, "reasoning_effort"),
    ({"modalities": ["audio"]}, "modalities"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"chat_template": "x"}, "chat_template"),
    ({"web_search_options": {}}, "web_search_options"),
]


@pytest.mark.parametrize(("wishes", "param"), REFUSED, ids=[str(w) for w, _ in REFUSED])
def test_what_is_not_honoured_is_named(
    http: httpx.Client, wishes: dict[str, Any], param: str
) -> None:
    error = refusal(http, **wishes)
    assert error["param"] == param
    assert error["code"] in ("invalid_value", "unsupported_parameter")


def test_openais_client_understands_it_all(client: openai.OpenAI) -> None:
    request = body(
        QUESTION,
        n=2,
        temperature=0.5,
        seed=3,
        logprobs=True,
        top_logprobs=2,
        presence_penalty=0.1,
        frequency_penalty=0.1,
        logit_bias={"5": -1},
        extra_body={"top_k": 5, "min_p": 0.01, "repetition_penalty": 1.1},
    )
    completion: ChatCompletion = client.chat.completions.create(**request)
    assert len(completion.choices) == 2
    for each in completion.choices:
        assert each.logprobs is not None
        assert each.logprobs.content
        assert len(each.logprobs.content[0].top_logprobs) == 2


def test_combinations_of_options(http: httpx.Client) -> None:
    """None of them disturbs another one."""
    options: list[dict[str, Any]] = [
        {"n": 2},
        {"logprobs": True, "top_logprobs": 1},
        {"stop": ["circle"]},
        {"response_format": {"type": "json_object"}},
        {"ignore_eos": True},
        {"repetition_penalty": 1.2},
    ]
    for first, second in itertools.combinations(options, 2):
        completion = ask(http, max_tokens=12, **first, **second)
        whole = [each["message"]["content"] for each in completion["choices"]]
        assert [a.content for a in streamed(http, max_tokens=12, **first, **second)] == whole
