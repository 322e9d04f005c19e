"""Released checkpoints, converted on the command line and served: the answers are the release's."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from server.checkpoint.config import Checkpoint, read_checkpoint
from server.prompt.builder import PromptBuilder
from server.prompt.format import choose_prompt_format
from server.prompt.tokenizer import read_tokenizer
from server.prompt.turns import split_turns
from server.protocol.chat.messages import Message
from tests.api.pictures import image_part, text_part, user
from tests.api.running import running_server
from tests.model_store.convert import reference
from tests.model_store.released import WrittenRelease, write_released
from tests.model_store.released_config import Version
from tests.server.images.decode.test_image_processor import pad_to_square
from tests.server.images.vision.test_tower import normalize
from tests.server.pictures import make_photo
from tests.server.released import anyres_views, best_resolution, merge_image_tokens

NUM_TOKENS = 12
QUESTION = "What color is it?"


def converted(released: WrittenRelease, out: Path) -> Path:
    """Run the command as an operator would, in float32 so that no rounding hides a difference."""
    command = [sys.executable, "-m", "model_store", "convert", str(released.path)]
    options = ["--vision-tower", str(released.tower), "--out", str(out), "--dtype", "float32"]
    run = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return out


def views_of(picture: Image.Image, released: WrittenRelease, size: int) -> Tensor:
    """Return what the released preprocessing makes of a picture, normalised."""
    aspect_ratio = released.config.get("image_aspect_ratio", "square")
    if aspect_ratio == "anyres":
        pixels = anyres_views(picture, size, released.config["image_grid_pinpoints"])
    else:
        if aspect_ratio == "pad":
            picture = Image.fromarray(pad_to_square(np.asarray(picture)))
        assert picture.width == picture.height
        pixels = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))[None]
    return normalize(torch.from_numpy(pixels.copy()))


def rows_of(picture: Image.Image, released: WrittenRelease, size: int) -> Tensor:
    """Return the image's rows in the prompt, from the release's own tensors."""
    inside = {
        name.removeprefix("model.vision_tower.vision_tower."): tensor
        for name, tensor in released.own_tensors.items()
        if "vision_tower" in name
    }
    views = views_of(picture, released, size)
    features = reference.image_features(released, views, inside or released.tower_tensors)
    projected = reference.project(features, released.own_tensors)  # (views, patches, hidden)
    if len(projected) == 1:
        return projected[0]
    across, _ = best_resolution(picture.size, released.config["image_grid_pinpoints"])
    newline = released.own_tensors["model.image_newline"].double().numpy()
    base, *tiles = projected.double().numpy()
    side = round(len(base) ** 0.5)
    rows = merge_image_tokens(base, np.stack(tiles), newline, picture.size, across // size, side)
    return torch.from_numpy(np.stack(rows)).float()


def greedy(released: WrittenRelease, checkpoint: Checkpoint, picture: Image.Image) -> str:
    """Return the answer that the released tensors give."""
    rows = rows_of(picture, released, checkpoint.image.size)
    tokenizer = read_tokenizer(checkpoint.path)
    builder = PromptBuilder(choose_prompt_format(tokenizer, checkpoint.text), 2048)
    message = Message.model_validate(user(image_part(picture), text_part(QUESTION)))
    prompt = builder.build(split_turns([message]), [len(rows)])
    (place,) = prompt.placeholders
    model = reference.language_model(released, released.base_tensors)
    ids = torch.tensor(prompt.token_ids)
    ids[place.offset : place.offset + place.length] = 0
    embeds = model.get_input_embeddings()(ids)
    embeds[place.offset : place.offset + place.length] = rows
    options: dict[str, Any] = {"max_new_tokens": NUM_TOKENS, "eos_token_id": None}
    with torch.inference_mode():
        answer = model.generate(inputs_embeds=embeds[None], do_sample=False, **options)[0]
    text: str = tokenizer.decode(answer.tolist(), skip_special_tokens=True)
    assert "\ufffd" not in text
    return text


@pytest.mark.parametrize(
    ("version", "pictures"),
    [
        ("v1", [make_photo(100, 100, 1), make_photo(90, 90, 2)]),
        ("v1.5", [make_photo(100, 60, 1), make_photo(30, 80, 2)]),
        ("v1.6-vicuna", [make_photo(100, 60, 1), make_photo(30, 80, 2)]),
    ],
)
def test_a_converted_release_answers_as_its_own_tensors_do(
    tmp_path: Path, version: Version, pictures: list[Image.Image]
) -> None:
    released = write_released(tmp_path / "released", version)
    folder = converted(released, tmp_path / "models" / "converted")
    checkpoint = read_checkpoint(folder)
    expected = [greedy(released, checkpoint, picture) for picture in pictures]
    assert len(set(expected)) == len(pictures)
    with running_server(
        *("--model", str(folder)), *("--cpu-kv-cache-gib", "1"), "--enforce-eager=true"
    ) as server:
        for picture, answer in zip(pictures, expected, strict=True):
            body = {
                "model": "converted",
                "messages": [user(image_part(picture), text_part(QUESTION))],
                "temperature": 0,
                "max_tokens": NUM_TOKENS,
                "ignore_eos": True,
            }
            response = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
            assert response.status_code == 200, response.text
            assert response.json()["choices"][0]["message"]["content"].strip() == answer.strip()


def test_a_release_that_is_not_converted_is_refused_with_the_command(tmp_path: Path) -> None:
    released = write_released(tmp_path, "v1.5")
    command = [sys.executable, "-m", "server", "--model", str(released.path), "--port", "0"]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ}, check=False
    )
    assert run.returncode == 2
    assert f"llava-server convert {released.path}" in run.stderr
