"""A converted checkpoint computes what the release's own tensors compute."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration, LlavaNextForConditionalGeneration

from tests.model_store.convert import reference
from tests.model_store.convert.conversion import Converted, convert
from tests.model_store.released import Layout, WrittenRelease, write_released
from tests.model_store.released_config import LORA_ALPHA, LORA_RANK, Version

BEFORE, AFTER = [1, 300, 301, 302], [303, 304, 305]


def load(model_class: Any, path: Path) -> Any:
    """Load in float32; every weight must be found and none be left over."""
    model, info = model_class.from_pretrained(
        path, dtype=torch.float32, output_loading_info=True, attn_implementation="eager"
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    return model.eval()


def pixels(views: int, size: int) -> Tensor:
    return torch.randn(views, 3, size, size, generator=torch.Generator().manual_seed(9))


def embed_in_transformers(
    converted: Converted, model: Any, pixel_values: Tensor, sizes: Tensor
) -> Tensor:
    if converted.config["model_type"] == "llava":
        features = model.model.get_image_features(pixel_values)
    else:
        features = model.model.get_image_features(pixel_values, sizes)
    features = getattr(features, "pooler_output", features)
    image_embeds: Tensor = features[0] if features[0].dim() == 2 else features[0][0]
    return image_embeds


def assert_same_logits(
    released: WrittenRelease, language: dict[str, Tensor], image_embeds: Tensor, model: Any
) -> None:
    expected = reference.logits(released, language, BEFORE, image_embeds, AFTER)
    embed = model.get_input_embeddings()
    with torch.inference_mode():
        spliced = torch.cat([embed(torch.tensor(BEFORE)), image_embeds, embed(torch.tensor(AFTER))])
        found = model.lm_head(model.model.language_model(inputs_embeds=spliced[None])[0])[0]
    assert expected.std() > 0.5  # logits that say something
    torch.testing.assert_close(found[:, : expected.shape[1]], expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("version", "layout"),
    [
        ("v1.5", "whole"),
        ("v1.5", "projector"),
        ("v1.5", "lora"),
        ("sharegpt4v", "whole"),
        ("llava-med", "whole"),
        ("bakllava", "whole"),
        ("llama-3-xtuner", "whole"),
    ],
)
def test_v15_gives_the_same_features_and_logits(
    tmp_path: Path, version: Version, layout: Layout
) -> None:
    released = write_released(tmp_path / "r", version, layout)
    converted = convert(released, tmp_path / "out", dtype="float32")
    language = lora_merged(released) if layout == "lora" else released.base_tensors
    model = load(LlavaForConditionalGeneration, converted.path)
    pixel_values = pixels(1, 28)
    image_embeds = reference.project(
        reference.image_features(released, pixel_values, released.tower_tensors),
        released.own_tensors,
    )[0]
    with torch.inference_mode():
        found = embed_in_transformers(converted, model, pixel_values, torch.tensor([[28, 28]]))
    torch.testing.assert_close(found, image_embeds, atol=1e-4, rtol=1e-4)
    assert_same_logits(released, language, image_embeds, model)


@pytest.mark.parametrize("version", ["v1.6-vicuna", "v1.6-mistral", "v1.6-34b", "llama-3-next"])
def test_v16_gives_the_same_features_and_logits(tmp_path: Path, version: Version) -> None:
    """A 56 x 28 image: whole view, then two tiles side by side, a newline after each row."""
    released = write_released(tmp_path / "r", version)
    converted = convert(released, tmp_path / "out", dtype="float32")
    model = load(LlavaNextForConditionalGeneration, converted.path)
    pixel_values = pixels(3, 28)
    inside = {
        name.removeprefix("model.vision_tower.vision_tower."): tensor
        for name, tensor in released.own_tensors.items()
        if "vision_tower" in name
    }
    whole, left, right = reference.project(
        reference.image_features(released, pixel_values, inside), released.own_tensors
    ).unflatten(1, (2, 2))  # (views, rows, columns, hidden)
    newline = released.own_tensors["model.image_newline"].float()
    grid = torch.cat([left, right, newline.expand(2, 1, -1)], dim=1)
    image_embeds = torch.cat([whole.flatten(0, 1), grid.flatten(0, 1)])
    with torch.inference_mode():
        found = embed_in_transformers(
            converted, model, pixel_values[None], torch.tensor([[28, 56]])
        )
    torch.testing.assert_close(found, image_embeds, atol=1e-4, rtol=1e-4)
    assert_same_logits(released, released.base_tensors, image_embeds, model)


def test_the_linear_projector_of_v1_is_kept_as_one_layer(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", "v1")
    converted = convert(released, tmp_path / "out", dtype="float32")
    projector = {n: t for n, t in converted.tensors.items() if n.startswith("multi_modal")}
    assert sorted(projector) == [
        "multi_modal_projector.linear_1.bias",
        "multi_modal_projector.linear_1.weight",
    ]
    pixel_values = pixels(2, 56)
    features = reference.image_features(released, pixel_values, released.tower_tensors)
    converted_tower = {
        name.removeprefix("vision_tower."): tensor
        for name, tensor in converted.tensors.items()
        if name.startswith("vision_tower.")
    }
    found = torch.nn.functional.linear(
        reference.image_features(released, pixel_values, converted_tower),
        projector["multi_modal_projector.linear_1.weight"],
        projector["multi_modal_projector.linear_1.bias"],
    )
    torch.testing.assert_close(found, reference.project(features, released.own_tensors))
    image_embeds = converted.config["text_config"]["vocab_size"]
    language = {
        name.removeprefix("language_model."): tensor[: released.config["vocab_size"]]
        if tensor.shape[0] == image_embeds
        else tensor
        for name, tensor in converted.tensors.items()
        if name.startswith("language_model.")
    }
    torch.testing.assert_close(
        reference.logits(released, language, BEFORE, found[0], AFTER),
        reference.logits(released, released.base_tensors, BEFORE, found[0], AFTER),
    )


def lora_merged(released: WrittenRelease) -> dict[str, Tensor]:
    """peft's formula on the adapted modules: W + alpha / r * B @ A."""
    merged = dict(released.base_tensors)
    for name, a in released.own_tensors.items():
        if name.endswith(".lora_A.weight"):
            target = name.removeprefix("base_model.model.").replace(".lora_A", "")
            b = released.own_tensors[name.replace("lora_A", "lora_B")]
            # Stored in the base's dtype: that is what a merged checkpoint would hold.
            updated = merged[target].float() + LORA_ALPHA / LORA_RANK * (b @ a)
            assert (updated - merged[target].float()).abs().max() > 0.05
            merged[target] = updated.to(merged[target].dtype)
    return merged
