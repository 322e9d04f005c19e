"""Log probabilities of text completions, echoed prompts and scoring."""

import httpx

from tests.api.pictures import body as chat_body
from tests.api.pictures import user
from tests.api.text_completions import (
    PROMPT,
    assert_near,
    complete,
    tokenize,
)


def test_log_probabilities_are_of_all_tokens(http: httpx.Client) -> None:
    answer = complete(http, max_tokens=40, logprobs=3)
    [choice] = answer["choices"]
    logprobs = choice["logprobs"]
    *visible, end = logprobs["tokens"]
    assert end == "</s>"
    assert "".join(visible) == choice["text"]
    assert {len(values) for values in logprobs.values()} == {answer["usage"]["completion_tokens"]}
    for token, offset in zip(visible, logprobs["text_offset"], strict=False):
        assert choice["text"][offset:].startswith(token)
    assert logprobs["text_offset"][-1] == len(choice["text"])
    for token, logprob, top in zip(
        logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
    ):
        assert len(top) == 3
        assert top[token] == logprob == max(top.values())  # greedy


def test_log_probabilities_equal_those_of_chat(http: httpx.Client) -> None:
    question = user("Hello")
    request = chat_body(question, max_tokens=10, temperature=0, logprobs=True, top_logprobs=2)
    chat = http.post("/v1/chat/completions", json=request).json()["choices"][0]
    ids = http.post("/tokenize", json={"messages": [question]}).json()["tokens"]
    logprobs = complete(http, ids, max_tokens=10, logprobs=2)["choices"][0]["logprobs"]
    chat_logprobs = chat["logprobs"]["content"]
    # Chat strips the leading space and reports no EOS.
    assert (
        logprobs["tokens"][: len(chat_logprobs)][1:]
        == [token["token"] for token in chat_logprobs][1:]
    )
    assert logprobs["tokens"][0] == " " + chat_logprobs[0]["token"]
    expected = [token["logprob"] for token in chat_logprobs]
    assert_near(logprobs["token_logprobs"][: len(chat_logprobs)], expected)


def test_echo_prepends_the_prompt(http: httpx.Client) -> None:
    logprobs = complete(http, echo=True)["choices"][0]
    assert logprobs["text"] == PROMPT + complete(http)["choices"][0]["text"]
    assert logprobs["logprobs"] is None


def test_scores_equal_the_log_probabilities_of_generation(http: httpx.Client) -> None:
    generated = complete(http, max_tokens=8, logprobs=1)["choices"][0]
    text = PROMPT + generated["text"]
    ids = tokenize(http, PROMPT) + tokenize(http, generated["text"], add_special_tokens=False)
    scored = complete(http, ids, max_tokens=0, echo=True, logprobs=1)
    [choice] = scored["choices"]
    logprobs = choice["logprobs"]
    assert choice["text"] == text
    assert choice["finish_reason"] == "length"
    assert scored["usage"]["completion_tokens"] == 0
    assert logprobs["tokens"][-8:] == generated["logprobs"]["tokens"]
    assert_near(logprobs["token_logprobs"][-8:], generated["logprobs"]["token_logprobs"])
    assert logprobs["token_logprobs"][0] is logprobs["top_logprobs"][0] is None
    assert None not in logprobs["token_logprobs"][1:]
    assert (logprobs["tokens"][0], logprobs["text_offset"][:2]) == ("<s>", [0, 0])
    assert "".join(logprobs["tokens"][1:]) == text


def test_lm_eval_finds_its_continuation(http: httpx.Client) -> None:
    """lm-eval requests one token and reads the entries between the context and the last one."""
    contexts = ["A red", "A red circle and a blue"]
    encoded = [tokenize(http, context) for context in contexts]
    ends = [tokenize(http, " square", add_special_tokens=False)] * 2
    prompts = [context + end for context, end in zip(encoded, ends, strict=True)]
    answer = complete(http, prompts, max_tokens=1, echo=True, logprobs=1, seed=1234)
    for context, choice in zip(encoded, answer["choices"], strict=True):
        logprobs = choice["logprobs"]
        assert "".join(logprobs["tokens"][len(context) : -1]) == " square"
        assert all(max(top.values()) <= 0 for top in logprobs["top_logprobs"][len(context) : -1])


def test_parts_of_a_character_are_reported_as_bytes(http: httpx.Client) -> None:
    text = "é 日😀!"
    choice = complete(http, text, max_tokens=0, echo=True, logprobs=0)["choices"][0]
    logprobs = choice["logprobs"]
    assert choice["text"] == text
    parts = [token for token in logprobs["tokens"] if token.startswith("bytes:")]
    assert "bytes:\\xf0" in parts
    assert logprobs["tokens"][-1] == "!"
    assert logprobs["text_offset"][-1] == text.index("!")
    assert logprobs["text_offset"] == sorted(logprobs["text_offset"])


def test_names_of_special_tokens_are_text(http: httpx.Client) -> None:
    text = "a </s> <image> b"
    answer = complete(http, text, max_tokens=0, echo=True, logprobs=0)["choices"][0]
    assert answer["text"] == text
    assert not {"</s>", "<image>"} & set(answer["logprobs"]["tokens"])
