"""The decoder's pretraining and the paper's two stages, all with a loss on the answers alone."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn
from transformers import LlavaForConditionalGeneration

from training.data.dataset import SceneDataset, normalise
from training.loop.batches import (
    BatchSampler,
    sample_caption_batch,
    sample_instruction_batch,
    sample_language_batch,
)
from training.loop.compute import split_batch
from training.loop.context import TrainContext
from training.loop.evaluate import build_eval_batches, evaluate
from training.loop.stage import Stage
from training.loop.stage_config import StageConfig
from training.loop.trainer import run_stage
from training.model.architecture import HIDDEN_SIZE
from training.model.batch import Batch
from training.model.oracle_features import OracleFeatures
from training.model.packed_decoder import PackedDecoder
from training.model.scene_classifier import extract_patch_features

_NUM_EVAL_SCENES = 96
_EVAL_SEED = 20
_GUIDANCE_WEIGHT = 0.2

# (data set, scene indices) -> image embeddings. (n, 64, 256)
EmbedScenes = Callable[[SceneDataset, Sequence[int]], torch.Tensor]


def train_language(context: TrainContext, config: StageConfig) -> None:
    """Train the decoder without a vision tower, in place of the paper's Vicuna.

    `OracleFeatures` stand in for the image embeddings.
    """
    oracle = OracleFeatures(context.model, context.encode)
    trainable = nn.ModuleList([context.model.model.language_model, context.model.lm_head])
    _train(context, "language", config, sample_language_batch, oracle.embed, trainable)


def train_alignment(context: TrainContext, config: StageConfig) -> None:
    """Stage 1, feature alignment: train the projector alone, on image-caption pairs."""
    model = context.model
    model.model.vision_tower.requires_grad_(False)
    frozen = [model.model.language_model, model.lm_head]
    for module in frozen:
        module.requires_grad_(False)
    embed, projector = partial(encode_images, model), model.model.multi_modal_projector
    _train(context, "alignment", config, sample_caption_batch, embed, projector)
    for module in frozen:
        module.requires_grad_(True)


def train_instruction(context: TrainContext, config: StageConfig) -> None:
    """Stage 2, end to end: train projector and decoder on instructions; the tower is frozen."""
    model = context.model
    model.model.vision_tower.requires_grad_(False)
    trainable = nn.ModuleList(
        [model.model.language_model, model.lm_head, model.model.multi_modal_projector]
    )
    embed = partial(encode_images, model)
    # A batch without an image has no gradient for the projector.
    _train(
        context,
        "instruction",
        config,
        sample_instruction_batch,
        embed,
        trainable,
        find_unused_parameters=True,
    )


def encode_images(
    model: LlavaForConditionalGeneration, dataset: SceneDataset, indices: Sequence[int]
) -> torch.Tensor:
    """Image embeddings by the frozen vision tower and the projector. (n, 64, 256)"""
    if not indices:
        return torch.empty(0, HIDDEN_SIZE, device=model.device)
    with torch.no_grad():
        pixel_values = normalise(dataset.pixels[list(indices)], model.device).to(model.dtype)
        features = extract_patch_features(model.model.vision_tower, pixel_values)
    embeds: torch.Tensor = model.model.multi_modal_projector(features)
    return embeds


def _train(
    context: TrainContext,
    name: str,
    config: StageConfig,
    sample_batch: BatchSampler,
    embed: EmbedScenes,
    trainable: nn.Module,
    *,
    find_unused_parameters: bool = False,
) -> None:
    """Train the `trainable` modules with the decoder's loss."""
    decoder = PackedDecoder(context.model, config.should_compile)
    batch_size = split_batch(config.batch_size)
    held_out, train_set = context.held_out_set, context.train_set
    eval_batches = build_eval_batches(context.encode, held_out.scenes, _NUM_EVAL_SCENES, _EVAL_SEED)

    def make_batch(index: int) -> Batch:
        return sample_batch(context.encode, train_set.scenes, batch_size, config.seed + index)

    def compute_loss(batch: Batch) -> torch.Tensor:
        return decoder.compute_loss(batch, embed(train_set, batch.images), _GUIDANCE_WEIGHT)

    def report() -> str:
        embed_held_out = partial(embed, held_out)
        return str(
            evaluate(PackedDecoder(context.model), embed_held_out, eval_batches, context.device)
        )

    stage = Stage(name, config, trainable, make_batch, compute_loss, report, find_unused_parameters)
    run_stage(stage, context.work_dir, context.device)
