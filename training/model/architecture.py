"""The embedded model's architecture: CLIP vision tower, two-layer projector, Llama decoder."""

import torch
from torch import nn
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlamaModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from training.data.drawing import GRID, IMAGE_SIZE, PATCH_SIZE
from training.model.tokenizer import BOS_ID, EOS_ID, IMAGE_ID, PAD_ID, VOCABULARY_SIZE

NUM_IMAGE_TOKENS = GRID * GRID
VISION_HIDDEN_SIZE = 192
HIDDEN_SIZE = 256
HEAD_DIM = 64
VISION_FEATURE_LAYER = -2


def build_config() -> LlavaConfig:
    """LLaVA-1.5's structure at a hundredth of its width; has LLaVA's own keys besides HF's."""
    return LlavaConfig(
        vision_config=_vision_config(),
        text_config=_text_config(),
        image_token_index=IMAGE_ID,
        image_seq_length=NUM_IMAGE_TOKENS,
        projector_hidden_act="gelu",
        vision_feature_select_strategy="default",
        vision_feature_layer=VISION_FEATURE_LAYER,
        tie_word_embeddings=False,
        pad_token_id=PAD_ID,
        image_aspect_ratio="pad",
        mm_projector_type="mlp2x_gelu",
        conv_mode="vicuna_v1",
    )


def build_model(seed: int) -> LlavaForConditionalGeneration:
    """Build an untrained model in float32."""
    torch.manual_seed(seed)
    # On a CPU, eager attention is the fastest for a few hundred tokens.
    config = build_config()
    model = LlavaForConditionalGeneration._from_config(config, attn_implementation="eager").float()
    _initialise_decoder(model.model.language_model)
    return model


def _initialise_decoder(decoder: LlamaModel) -> None:
    """Initialise at a scale that suits the width: HF's 0.02 suits a width of thousands.

    With 0.02, attention's initial mean drowns each token's own small embedding, and the model
    learns look-ups late or never.
    """
    num_branches = 2 * len(decoder.layers)
    for name, weight in decoder.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            nn.init.normal_(weight, std=(num_branches * weight.shape[1]) ** -0.5)
        elif name.endswith("proj.weight"):
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
        elif name == "embed_tokens.weight":
            nn.init.normal_(weight, std=0.7)


def _vision_config() -> CLIPVisionConfig:
    """Six layers; LLaVA reads the output of the fifth."""
    return CLIPVisionConfig(
        hidden_size=VISION_HIDDEN_SIZE,
        intermediate_size=4 * VISION_HIDDEN_SIZE,
        num_hidden_layers=6,
        num_attention_heads=3,
        image_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        projection_dim=VISION_HIDDEN_SIZE,
    )


def _text_config() -> LlamaConfig:
    return LlamaConfig(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=HIDDEN_SIZE,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=HIDDEN_SIZE // HEAD_DIM,
        num_key_value_heads=HIDDEN_SIZE // HEAD_DIM,
        head_dim=HEAD_DIM,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        pad_token_id=PAD_ID,
    )
