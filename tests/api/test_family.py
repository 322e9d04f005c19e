"""ViP-LLaVA and LLaVA-Llama-3 answer over HTTP as in transformers, prompts and all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from tests.api.pictures import image_part, text_part, user
from tests.api.running import running_server
from tests.server.family import SIZE, FamilyCheckpoint, write_llava_llama_3, write_vip_llava
from tests.server.greedy_answers import answer_with_words, list_word_ids
from tests.server.images.decode.test_image_processor import pad_to_square
from tests.server.images.vision.test_tower import normalize
from tests.server.pictures import make_photo

NUM_TOKENS = 12
IMAGE_TOKENS = (SIZE // 14) ** 2
ALONE, WIDE, TALL = make_photo(SIZE, SIZE, 1), make_photo(100, 60, 2), make_photo(31, 200, 3)
QUESTIONS: list[tuple[str, list[Image.Image]]] = [
    ("What color is it?", [ALONE]),
    ("What color is it?", [WIDE]),
    ("What do they show?", [TALL, WIDE]),
    ("Hello.", []),
]


def answer_in_transformers(
    written: FamilyCheckpoint, question: str, pictures: list[Image.Image]
) -> str:
    """Return the greedy answer to transformers' own prompt, with images padded as in training."""
    prompt = written.render([("user", question, len(pictures))])
    token_ids = torch.tensor([written.encode(prompt, [IMAGE_TOKENS] * len(pictures))])
    squares = [Image.fromarray(pad_to_square(np.asarray(picture))) for picture in pictures]
    views = [np.asarray(each.resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for each in squares]
    inputs = {"input_ids": token_ids, "attention_mask": torch.ones_like(token_ids)}
    if views:
        inputs["pixel_values"] = normalize(torch.from_numpy(np.stack(views)))
    return answer_with_words(written.model, inputs, NUM_TOKENS, written.tokenizer)


def ask(url: str, question: str, pictures: list[Image.Image], **options: Any) -> dict[str, Any]:
    """Return the server's first choice."""
    body = {
        "model": "m",
        "messages": [user(*map(image_part, pictures), text_part(question))],
        "temperature": 0,
        "max_tokens": NUM_TOKENS,
        **options,
    }
    response = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    assert response.status_code == 200, response.text
    choice: dict[str, Any] = response.json()["choices"][0]
    return choice


@pytest.mark.parametrize("write", [write_vip_llava, write_llava_llama_3])
def test_answers_equal_transformers(write: Callable[..., FamilyCheckpoint], tmp_path: Path) -> None:
    written = write(tmp_path / "m")
    expected = [answer_in_transformers(written, *question) for question in QUESTIONS]
    assert len(set(expected)) == len(QUESTIONS)
    end = written.tokenizer.token_to_id("<|eot_id|>")
    with running_server(
        *("--model", str(written.path)), *("--cpu-kv-cache-gib", "1"), "--enforce-eager=true"
    ) as server:
        words = list_word_ids(written.tokenizer)
        answers = [
            ask(server.url, *question, ignore_eos=True, allowed_token_ids=words)
            for question in QUESTIONS
        ]
        assert [each["message"]["content"] for each in answers] == expected
        if end is not None:
            ended = ask(server.url, "Hello.", [], logit_bias={str(end): 100})
            assert (ended["message"]["content"], ended["finish_reason"]) == ("", "stop")
