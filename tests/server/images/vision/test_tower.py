"""Tower and projector equal transformers', in float32."""

from dataclasses import replace
from typing import Literal

import pytest
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel, LlavaForConditionalGeneration

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from llava_spec.projector import ProjectorConfig
from server.checkpoint.config import Checkpoint
from server.checkpoint.vision import ImageConfig, VisionConfig
from server.images.vision.tower import MultiModalProjector, VisionModel, VisionTower
from server.images.vision.weights import load_vision_model
from tests.server.images.vision.small_model import (
    IMAGE,
    VISION,
    build_random_weights,
    build_small_model,
    build_views,
)

CPU = torch.device("cpu")


def normalize(pixels: torch.Tensor) -> torch.Tensor:
    """Return CLIP's pixel_values (views, 3, size, size) of uint8 views."""
    values = (pixels.double() / 255 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)
    return values.permute(0, 3, 1, 2).float()


def test_the_embedded_model_equals_transformers(checkpoint: Checkpoint) -> None:
    reference = LlavaForConditionalGeneration.from_pretrained(checkpoint.path, dtype=torch.float32)
    model = load_vision_model(replace(checkpoint, dtype="float32"), CPU)
    pixels = build_views(3, size=checkpoint.vision.image_size)
    with torch.inference_mode():
        hidden_states = reference.model.vision_tower(
            normalize(pixels), output_hidden_states=True
        ).hidden_states
        image_features = hidden_states[-2][:, 1:]
        torch.testing.assert_close(
            model.vision_tower(normalize(pixels)), image_features, rtol=1e-4, atol=1e-4
        )
        expected = reference.model.multi_modal_projector(image_features)
        image_embeds = model(pixels)
        torch.testing.assert_close(image_embeds, expected, rtol=1e-4, atol=1e-4)
        # vLLM and generate() take this path.
        whole = reference.model.get_image_features(normalize(pixels)).pooler_output
        torch.testing.assert_close(image_embeds, torch.stack(tuple(whole)), rtol=1e-4, atol=1e-4)
    assert image_embeds.shape == (3, checkpoint.vision.num_image_tokens, 256)


def build_clip_config(config: VisionConfig, num_hidden_layers: int) -> CLIPVisionConfig:
    """Return transformers' configuration of the same tower, uncut."""
    return CLIPVisionConfig(
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=config.num_heads,
        image_size=config.image_size,
        patch_size=config.patch_size,
        hidden_act=config.hidden_act,
        layer_norm_eps=config.layer_norm_eps,
    )


@pytest.mark.parametrize("feature_layer", [-1, -2, -5, 0, 1, 4])
@pytest.mark.parametrize("keep_class_token", [False, True])
@pytest.mark.parametrize("hidden_act", ["quick_gelu", "gelu"])
def test_every_feature_layer_and_strategy(
    feature_layer: int, keep_class_token: bool, hidden_act: str
) -> None:
    num_hidden_layers = 4
    config = replace(
        VISION,
        num_layers=feature_layer % (num_hidden_layers + 1),
        keep_class_token=keep_class_token,
        hidden_act=hidden_act,
        layer_norm_eps=1e-3,
    )
    reference = CLIPVisionModel(build_clip_config(config, num_hidden_layers)).eval()
    weights = build_random_weights(reference)
    reference.load_state_dict(weights)
    tower = VisionTower(config).eval()
    bare = {name.removeprefix("vision_model."): tensor for name, tensor in weights.items()}
    tower.load_state_dict({name: bare[name] for name in tower.state_dict()})
    pixel_values = normalize(build_views(2))
    with torch.inference_mode():
        hidden_states = reference(pixel_values, output_hidden_states=True).hidden_states
        expected = hidden_states[feature_layer][:, 0 if keep_class_token else 1 :]
        image_features = tower(pixel_values)
    assert image_features.shape == (2, config.num_image_tokens, config.hidden_size)
    torch.testing.assert_close(image_features, expected, rtol=1e-4, atol=1e-4)


def test_mean_and_std_are_the_checkpoints() -> None:
    own = ImageConfig(16, "pad", (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    usual, unusual = VisionModel(VISION, IMAGE).eval(), VisionModel(VISION, own).eval()
    weights = build_random_weights(usual)
    usual.load_state_dict(weights)
    unusual.load_state_dict(weights)
    pixels = build_views()
    values = (pixels.float() / 255 - torch.tensor(own.mean)) / torch.tensor(own.std)
    with torch.inference_mode():
        expected = usual.multi_modal_projector(usual.vision_tower(values.permute(0, 3, 1, 2)))
    torch.testing.assert_close(unusual(pixels), expected, rtol=1e-4, atol=1e-4)


def test_half_precision_follows_the_weights_and_stays_close() -> None:
    full, half = (
        build_small_model()(build_views(2)),
        build_small_model(torch.bfloat16)(build_views(2)),
    )
    assert half.dtype == torch.bfloat16
    error = (half.float() - full).norm() / full.norm()
    assert 0 < error < 0.03


def test_views_are_independent() -> None:
    model, pixels = build_small_model(), build_views(2)
    torch.testing.assert_close(model(pixels)[:1], model(pixels[:1]), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(model(pixels)[0], model(pixels)[1])


def test_no_gradients_are_kept() -> None:
    assert not build_small_model()(build_views()).requires_grad


def test_number_of_image_tokens() -> None:
    assert VISION.num_image_tokens == 16
    assert replace(VISION, keep_class_token=True).num_image_tokens == 17
    assert replace(VISION, image_size=336, patch_size=14).num_image_tokens == 576
    assert replace(VISION, image_size=224, patch_size=14).num_image_tokens == 256


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_projectors(depth: int) -> None:
    config = replace(VISION, projector=ProjectorConfig("mlp", depth))
    projector = MultiModalProjector(config)
    weights = build_random_weights(projector)
    projector.load_state_dict(weights)
    assert sorted(weights) == sorted(
        f"linear_{number}.{kind}" for number in range(1, depth + 1) for kind in ("weight", "bias")
    )
    hidden = image_features = torch.randn(2, 16, VISION.hidden_size)
    for number in range(1, depth + 1):
        if number > 1:
            hidden = torch.nn.functional.gelu(hidden)
        hidden = hidden @ weights[f"linear_{number}.weight"].T + weights[f"linear_{number}.bias"]
    assert hidden.shape[-1] == (VISION.text_hidden_size if depth else VISION.hidden_size)
    torch.testing.assert_close(projector(image_features), hidden, rtol=1e-4, atol=1e-4)


def test_a_projector_without_bias() -> None:
    projector = MultiModalProjector(replace(VISION, projector_bias=False))
    assert sorted(projector.state_dict()) == ["linear_1.weight", "linear_2.weight"]


@pytest.mark.parametrize("merge", ["flat", "spatial"])
def test_only_spatial_unpad_has_an_image_newline(merge: Literal["flat", "spatial"]) -> None:
    assert "image_newline" not in VisionModel(VISION, IMAGE).state_dict()
    assert (
        "image_newline" not in VisionModel(replace(VISION, patch_merge=merge), IMAGE).state_dict()
    )
    unpad = VisionModel(replace(VISION, patch_merge="spatial_unpad"), IMAGE)
    assert unpad.state_dict()["image_newline"].shape == (VISION.text_hidden_size,)
