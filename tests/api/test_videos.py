"""LLaVA-NeXT-Video and LLaVA-OneVision answer about videos over HTTP as in transformers."""

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from server.images.decode.image_processor import Pixels
from tests.api.pictures import image_part, text_part, user
from tests.api.running import RunningServer, running_server
from tests.server.family import SIZE, write_next_video
from tests.server.greedy_answers import answer_with_words, list_word_ids
from tests.server.images.decode.video.clips import encode_clip
from tests.server.pictures import make_photo
from tests.server.siglip_family import SIZE as SIGLIP_SIZE
from tests.server.siglip_family import SiglipCheckpoint, write_onevision
from tests.server.terminal.process import run_chat
from tests.server.video_inputs import prepare_next_video, prepare_onevision

ROOT = Path(__file__).parents[2]
NUM_TOKENS = 12
OPTIONS = ("--cpu-kv-cache-gib", "1", "--enforce-eager=true")
PHOTO = make_photo(200, 90, 1)


def make_frames(count: int, size: int, seed: int) -> list[Pixels]:
    """Return frames of the tower's own size, which no processor resizes."""
    return [np.asarray(make_photo(size, size, 100 * seed + index)) for index in range(count)]


def to_tensor(frames: list[Pixels]) -> Tensor:
    """Return (frames, 3, size, size)."""
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def video_part(video: bytes) -> dict[str, Any]:
    """Return a content part with a video."""
    url = "data:video/x-matroska;base64," + base64.b64encode(video).decode()
    return {"type": "video_url", "video_url": {"url": url}}


def ask(server: RunningServer, *parts: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return the answer to one user message."""
    body = {
        "model": "m",
        "messages": [user(*parts)],
        "temperature": 0,
        "max_tokens": NUM_TOKENS,
        "ignore_eos": True,
        **options,
    }
    response = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def read_text(answer: dict[str, Any]) -> str:
    """Return an answer's text."""
    text: str = answer["choices"][0]["message"]["content"]
    return text


def test_next_video_answers_as_in_transformers(tmp_path: Path) -> None:
    written = write_next_video(tmp_path / "m")
    short, other = make_frames(4, SIZE, 1), make_frames(4, SIZE, 3)
    questions = [[short], [make_frames(7, SIZE, 2)], [short, other], [other, short], []]
    expected = [
        answer_with_words(
            written.model,
            prepare_next_video(written, "What happens?", [to_tensor(each) for each in question]),
            NUM_TOKENS,
            written.tokenizer,
        )
        for question in questions
    ]
    assert len(set(expected)) == len(questions)
    with running_server("--model", str(written.path), *OPTIONS) as server:
        answers = [
            ask(
                server,
                *(video_part(encode_clip(clip)) for clip in question),
                text_part("What happens?"),
                allowed_token_ids=list_word_ids(written.tokenizer),
            )
            for question in questions
        ]
    assert [read_text(each) for each in answers] == expected
    details = answers[1]["usage"]["prompt_tokens_details"]
    assert (details["image_tokens"], details["video_tokens"]) == (0, 7 * (SIZE // 14 // 2) ** 2)


def run_guide(server: RunningServer, folder: Path) -> dict[str, Any]:
    """Run the commands of docs/video.md against a server; return the answer of curl's."""
    guide = (ROOT / "docs" / "video.md").read_text().replace("http://127.0.0.1:8000", server.url)
    make_clip, ask_with_curl, ask_in_terminal = re.findall(
        r"^```sh\n(.*?)^```$", guide, re.M | re.S
    )
    assert ask_in_terminal == 'llava-server chat clip.mp4 "What moves, and where to?"\n'
    (folder / ".venv").symlink_to(ROOT / ".venv")
    command = ask_with_curl.replace("llava-onevision-qwen2-0.5b-ov-hf", "m")
    run = subprocess.run(
        ["sh", "-e", "-c", make_clip + command],
        cwd=folder, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def answer_about(
    written: SiglipCheckpoint, images: list[Image.Image], clips: list[list[Pixels]]
) -> str:
    """Return LLaVA-OneVision's greedy answer in transformers."""
    inputs = prepare_onevision(
        written, "What happens?", images, [to_tensor(each) for each in clips]
    )
    return answer_with_words(written.model, inputs, NUM_TOKENS, written.tokenizer)


def test_onevision_answers_as_in_transformers(tmp_path: Path) -> None:
    written = write_onevision(tmp_path / "m")
    clip, long = make_frames(5, SIGLIP_SIZE, 1), make_frames(31, SIGLIP_SIZE, 2)
    longest = make_frames(60, SIGLIP_SIZE, 3)  # 241 tokens: the engine takes 200 in a step
    sampled = [long[index] for index in np.linspace(0, 30, 16).astype(int)]
    expected = [
        answer_about(written, [], [clip]),
        answer_about(written, [PHOTO], [clip]),
        answer_about(written, [], [sampled]),
        answer_about(written, [PHOTO], []),
        answer_about(written, [], [longest]),
    ]
    assert len(set(expected)) == len(expected)
    options = {"allowed_token_ids": list_word_ids(written.tokenizer)}
    video = video_part(encode_clip(clip))
    text, photo = text_part("What happens?"), image_part(PHOTO)
    with running_server(
        *("--model", str(written.path), "--max-num-batched-tokens", "200"),
        *("--max-num-seqs", "8", *OPTIONS),
    ) as server:
        answers = [
            ask(server, video, text, **options),
            ask(server, photo, video, text, **options),
            ask(
                server,
                *(video_part(encode_clip(long)), text),
                media_io_kwargs={"video": {"num_frames": 16}},
                **options,
            ),
            ask(server, photo, text, **options),
            ask(
                server,
                *(video_part(encode_clip(longest)), text),
                media_io_kwargs={"video": {"num_frames": -1}},
                **options,
            ),
        ]
        guided = run_guide(server, tmp_path)
        chatted = run_chat(
            *(tmp_path / "clip.mp4", "What happens?", "--json", "--max-tokens", "3"),
            *("--url", server.url),
        )
    assert [read_text(each) for each in answers] == expected
    assert guided["usage"]["prompt_tokens_details"]["video_tokens"] > 0
    assert chatted.code == 0, chatted.err
    details = json.loads(chatted.out)["usage"]["prompt_tokens_details"]
    assert details == guided["usage"]["prompt_tokens_details"] | {"cached_tokens": ANY}
