"""vLLM's fields act as in vLLM, and the assistant's last message is continued."""

from typing import Any

import httpx
import pytest

from tests.api.asking import QUESTION, ask, choice, chunks, streamed, text
from tests.api.pictures import body, user

HELLO = user("Hello")
REPORTED: dict[str, Any] = {"return_token_ids": True, "max_tokens": 4}


def complete(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    """Return a text completion."""
    response = http.post("/v1/completions", json={"model": "llava-tiny", "prompt": "A"} | fields)
    assert response.status_code == 200, response.text
    completion: dict[str, Any] = response.json()
    return completion


def tokenize(http: httpx.Client, **fields: Any) -> list[int]:
    """Return the ids of a prompt."""
    response = http.post("/tokenize", json=fields)
    assert response.status_code == 200, response.text
    ids: list[int] = response.json()["tokens"]
    return ids


def test_the_rest_of_an_answer_continues_its_begin(http: httpx.Client) -> None:
    whole = text(http)
    begin = whole[: whole.index(" ", len(whole) // 2)]
    said = {"role": "assistant", "content": begin}
    flags = {"continue_final_message": True, "add_generation_prompt": False}
    assert begin + text(http, QUESTION, said) == whole
    assert begin + text(http, QUESTION, said, **flags) == whole
    (answer,) = streamed(http, QUESTION, said)
    assert begin + answer.content == whole


def test_the_model_may_go_unnamed(http: httpx.Client) -> None:
    request = body(HELLO, max_tokens=-1)
    del request["model"]
    response = http.post("/v1/chat/completions", json=request)
    assert response.json()["model"] == "llava-tiny"
    assert response.json()["choices"][0]["finish_reason"] == "stop"


def test_tokenize_shows_each_ending(http: httpx.Client) -> None:
    messages = [HELLO, {"role": "assistant", "content": "It is"}]
    open_ids = tokenize(http, messages=messages)
    closed = tokenize(http, messages=messages, add_generation_prompt=False)
    assert closed[: len(open_ids)] == open_ids
    assert len(closed) == len(open_ids) + 1


def test_token_ids_are_returned(http: httpx.Client) -> None:
    completion = ask(http, HELLO, **REPORTED)
    assert completion["prompt_token_ids"] == tokenize(http, messages=[HELLO])
    ids = completion["choices"][0]["token_ids"]
    assert len(ids) == completion["usage"]["completion_tokens"]
    first, *others = chunks(http, HELLO, **REPORTED)
    assert first["prompt_token_ids"] == completion["prompt_token_ids"]
    assert [i for each in others for i in each["choices"][0].get("token_ids", ())] == ids
    assert not any("prompt_token_ids" in each for each in others)


def test_token_ids_of_text_completions(http: httpx.Client) -> None:
    (only,) = complete(http, prompt_logprobs=1, ignore_eos=True, **REPORTED)["choices"]
    assert len(only["token_ids"]) == 4
    assert only["prompt_token_ids"] == tokenize(http, prompt="A")
    first, *rest = only["prompt_logprobs"]
    assert first is None
    assert [str(i) for i in only["prompt_token_ids"][1:]] == [next(iter(each)) for each in rest]


def test_token_names_are_ids(http: httpx.Client) -> None:
    completion = ask(
        http, HELLO, logprobs=True, top_logprobs=1, return_tokens_as_token_ids=True, **REPORTED
    )
    (only,) = completion["choices"]
    names = [each["token"] for each in only["logprobs"]["content"]]
    assert names == [f"token_id:{i}" for i in only["token_ids"]][-len(names) :]


def test_prompt_logprobs(http: httpx.Client) -> None:
    completion = ask(http, prompt_logprobs=2, max_tokens=1, return_token_ids=True)
    ids = completion["prompt_token_ids"]
    first, *rest = completion["prompt_logprobs"]
    assert first is None
    for token_id, position in zip(ids[1:], rest, strict=True):
        assert set(position[str(token_id)]) == {"logprob", "rank", "decoded_token"}
        assert {each["rank"] for each in position.values()} >= {1, 2}


def test_words_are_banned_and_tokens_allowed(http: httpx.Client) -> None:
    banned = text(http).split()[0]
    assert banned not in text(http, bad_words=[banned])
    allowed = [40, 41]
    assert set(choice(http, HELLO, allowed_token_ids=allowed, **REPORTED)["token_ids"]) <= {
        *allowed
    }


def test_stop_strings_and_special_tokens_may_be_shown(http: httpx.Client) -> None:
    stop = text(http)[3:5]
    assert text(http, stop=stop, include_stop_str_in_output=True).endswith(stop)
    shown = choice(http, skip_special_tokens=False, include_stop_str_in_output=True, logprobs=True)
    content = shown["message"]["content"]
    assert content.endswith("</s>")
    assert "".join(each["token"] for each in shown["logprobs"]["content"]) == content


def test_the_last_tokens_of_a_prompt_are_kept(http: httpx.Client) -> None:
    long = user("word " * 3000 + "Hello")
    ids = ask(http, long, truncate_prompt_tokens=9, **REPORTED)["prompt_token_ids"]
    assert ids == tokenize(http, messages=[long])[-9:]
    (only,) = complete(http, prompt="A red circle", truncate_prompt_tokens=2, **REPORTED)["choices"]
    assert only["prompt_token_ids"] == tokenize(http, prompt="A red circle")[-2:]


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"guided_choice": ["red", "blue"]}, {"red", "blue"}),
        ({"guided_regex": "(yes|no)!"}, {"yes!", "no!"}),
        ({"guided_json": {"enum": ["a"]}}, {'"a"'}),
        ({"guided_grammar": 'start: "x" "y"'}, {"xy"}),
    ],
    ids=["choice", "regex", "json", "grammar"],
)
def test_guided_fields_constrain(
    http: httpx.Client, fields: dict[str, Any], answers: set[str]
) -> None:
    assert text(http, HELLO, **fields) in answers
    assert complete(http, **fields)["choices"][0]["text"].strip() in answers


def test_empty_answers_in_the_history(http: httpx.Client) -> None:
    contents: list[Any] = [None, "", [], "absent"]
    for content in contents:
        said = {"role": "assistant"} | ({} if content == "absent" else {"content": content})
        assert text(http, HELLO, said, HELLO)
