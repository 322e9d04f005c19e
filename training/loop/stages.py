"""The decoder's pretraining and the paper's two stages, all with a loss on the answers alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from training.loop.compute import autocast
from training.loop.context import TrainContext
from training.loop.evaluate import build_eval_batches, evaluate
from training.loop.stage_config import StageConfig
from training.loop.training_loop import ComputeLoss, run_training_loop
from training.model.architecture import HIDDEN_SIZE
from training.model.oracle_features import OracleFeatures
from training.model.packed_decoder import PackedDecoder
from training.model.scene_classifier import extract_patch_features

_NUM_EVAL_SCENES = 96
_EVAL_SEED = 20
_GUIDANCE_WEIGHT = 0.2

# (data set, scene indices) -> image embeddings. (n, 64, 256)
EmbedScenes = Callable[[SceneDataset, Sequence[int]], torch.Tensor]


@dataclass(frozen=True, slots=True)
class _Stage:
    """A stage that trains the `trainable` modules with the decoder's loss."""

    name: str
    config: StageConfig
    sample_batch: BatchSampler
    decoder: PackedDecoder
    embed: EmbedScenes
    trainable: nn.Module


def train_language(context: TrainContext, config: StageConfig) -> None:
    """Train the decoder without a vision tower, in place of the paper's Vicuna.

    `OracleFeatures` stand in for the image embeddings.
    """
    oracle = OracleFeatures(context.model, context.encode)
    decoder = PackedDecoder(context.model, config.should_compile)
    stage = _Stage("language", config, sample_language_batch, decoder, oracle.embed, decoder)
    _run_stage(context, stage)


def train_alignment(context: TrainContext, config: StageConfig) -> None:
    """Stage 1, feature alignment: train the projector alone, on image-caption pairs."""
    model = context.model
    model.model.vision_tower.requires_grad_(False)
    frozen = [model.model.language_model, model.lm_head]
    for module in frozen:
        module.requires_grad_(False)
    projector = model.model.multi_modal_projector
    _run_image_stage(context, "alignment", config, sample_caption_batch, projector)
    for module in frozen:
        module.requires_grad_(True)


def train_instruction(context: TrainContext, config: StageConfig) -> None:
    """Stage 2, end to end: train projector and decoder on instructions; the tower is frozen."""
    model = context.model
    model.model.vision_tower.requires_grad_(False)
    trainable = nn.ModuleList(
        [model.model.language_model, model.lm_head, model.model.multi_modal_projector]
    )
    _run_image_stage(context, "instruction", config, sample_instruction_batch, trainable)


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


def _run_image_stage(
    context: TrainContext,
    name: str,
    config: StageConfig,
    sample_batch: BatchSampler,
    trainable: nn.Module,
) -> None:
    decoder = PackedDecoder(context.model, config.should_compile)
    embed = partial(encode_images, context.model)
    _run_stage(context, _Stage(name, config, sample_batch, decoder, embed, trainable))


def _run_stage(context: TrainContext, stage: _Stage) -> None:
    held_out = context.held_out_set
    batches = build_eval_batches(context.encode, held_out.scenes, _NUM_EVAL_SCENES, _EVAL_SEED)

    def report() -> str:
        embed = partial(stage.embed, held_out)
        return str(evaluate(PackedDecoder(context.model), embed, batches, context.device))

    run_training_loop(
        stage.name,
        stage.trainable,
        _build_loss_function(context, stage),
        stage.config,
        context.work_dir,
        report,
    )


def _build_loss_function(context: TrainContext, stage: _Stage) -> ComputeLoss:
    config, dataset = stage.config, context.train_set

    def compute_loss(step: int) -> torch.Tensor:
        seed = config.seed + step
        batch = stage.sample_batch(context.encode, dataset.scenes, config.batch_size, seed)
        with autocast(context.device):
            embeds = stage.embed(dataset, batch.images)
            return stage.decoder.compute_loss(batch.to(context.device), embeds, _GUIDANCE_WEIGHT)

    return compute_loss
