"""transformers' inputs for questions about videos and images, of small random checkpoints."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoVideoProcessor
from transformers.utils.chat_template_utils import render_jinja_template

from tests.server.family import NEXT_VIDEO_TEMPLATE, FamilyCheckpoint
from tests.server.siglip_family import TEMPLATE, SiglipCheckpoint


def prepare_next_video(written: FamilyCheckpoint, question: str, videos: Sequence[Tensor]) -> Any:
    """Return the inputs of LLaVA-NeXT-Video for frames (frames, 3, size, size) of each video."""
    tokens_per_frame = (written.model.config.vision_config.image_size // 14 // 2) ** 2
    video_id = written.model.config.video_token_index
    counts = iter([len(each) * tokens_per_frame for each in videos])
    prompt = _render(NEXT_VIDEO_TEMPLATE, question, [], videos)
    ids: list[int] = []
    for token in written.tokenizer.encode(prompt).ids:
        ids += [token] * (next(counts) if token == video_id else 1)
    inputs: dict[str, Any] = {"input_ids": torch.tensor([ids])}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if videos:
        processor = AutoVideoProcessor.from_pretrained(written.path)
        inputs |= processor(list(videos), return_tensors="pt")
    return inputs


def prepare_onevision(
    written: SiglipCheckpoint, question: str, images: list[Image.Image], videos: Sequence[Tensor]
) -> Any:
    """Return the inputs of LLaVA-OneVision, by its own processor."""
    prompt = _render(TEMPLATE, question, images, videos)
    media = {name: each for name, each in (("images", images), ("videos", list(videos))) if each}
    return written.processor(text=[prompt], return_tensors="pt", **media)


def _render(
    template: str, question: str, images: Sequence[Image.Image], videos: Sequence[Tensor]
) -> str:
    content = [
        *({"type": "image"} for _ in images),
        *({"type": "video"} for _ in videos),
        {"type": "text", "text": question},
    ]
    (prompt,), _ = render_jinja_template(
        [[{"role": "user", "content": content}]],
        chat_template=template,
        add_generation_prompt=True,
    )
    return str(prompt)
