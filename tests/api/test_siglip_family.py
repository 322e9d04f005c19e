"""LLaVA-OneVision and Interleave answer over HTTP as in transformers, prompts and all."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.api.pictures import image_part, text_part, user
from tests.api.running import running_server
from tests.api.test_family import NUM_TOKENS, ask
from tests.server.greedy_answers import answer_with_words, list_word_ids
from tests.server.pictures import make_photo
from tests.server.siglip_family import SiglipCheckpoint, write_interleave, write_onevision

WIDE, TALL, LARGE = make_photo(200, 90, 1), make_photo(31, 200, 2), make_photo(371, 369, 3)
QUESTIONS: list[tuple[str, list[Image.Image]]] = [
    ("What color is it?", [WIDE]),
    ("What color is it?", [LARGE]),
    ("What do they show?", [TALL, WIDE]),
    ("Hello.", []),
]


def answer_in_transformers(
    written: SiglipCheckpoint, question: str, pictures: list[Image.Image]
) -> str:
    """Return the greedy answer to what transformers' processor makes of the question."""
    inputs = written.prepare([("user", question, pictures)])
    return answer_with_words(written.model, inputs, NUM_TOKENS, written.tokenizer)


@pytest.mark.parametrize("write", [write_onevision, write_interleave])
def test_answers_equal_transformers(write: Callable[..., SiglipCheckpoint], tmp_path: Path) -> None:
    written = write(tmp_path / "m")
    expected = [answer_in_transformers(written, *question) for question in QUESTIONS]
    assert len(set(expected)) == len(QUESTIONS)
    with running_server(
        *("--model", str(written.path)), *("--cpu-kv-cache-gib", "1"), "--enforce-eager=true"
    ) as server:
        words = list_word_ids(written.tokenizer)
        answers = [
            ask(server.url, *question, ignore_eos=True, allowed_token_ids=words)
            for question in QUESTIONS
        ]
        assert [each["message"]["content"] for each in answers] == expected
        body = {"model": "m", "messages": [user(image_part(LARGE), text_part("Hi"))]}
        count = httpx.post(f"{server.url}/tokenize", json=body, timeout=60).json()["count"]
        assert count == written.prepare([("user", "Hi", [LARGE])])["input_ids"].shape[1]
