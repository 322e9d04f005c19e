"""The decoder's pretraining and the paper's two stages, all with one loss on what is said."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn
from transformers import LlavaForConditionalGeneration

from training.data.dataset import SceneSet, normalise
from training.loop.batches import BatchSampler, captions, instructions, language
from training.loop.compute import mixed_precision
from training.loop.evaluate import measure, sample_exam
from training.loop.training_loop import Loss, Schedule, fit
from training.model.architecture import HIDDEN
from training.model.oracle_features import OracleFeatures
from training.model.packed_decoder import Embed, PackedDecoder
from training.model.packing import PieceEncoder
from training.model.scene_classifier import patch_features

_EXAMINED = 96
# The image embeddings of some scenes of a set.
EmbedSet = Callable[[SceneSet, Sequence[int]], torch.Tensor]
# The weight of telling attention where to look.
_GUIDANCE = 0.2


@dataclass(frozen=True, slots=True)
class TrainContext:
    """What every stage needs: the model, which is on `device`, its tokenizer, and scenes.

    Those of `train` are learnt from, those of `held_out` asked about on the way.
    """

    model: LlavaForConditionalGeneration
    encode: PieceEncoder
    train: SceneSet
    held_out: SceneSet
    work: Path
    device: torch.device


def train_language(school: TrainContext, schedule: Schedule) -> None:
    """What Vicuna brings in the paper: the decoder learns to talk, without eyes.

    Where the images go stand the words for what the scenes hold (`OracleFeatures`).
    """
    oracle = OracleFeatures(school.model, school.encode)
    speaker = PackedDecoder(school.model, schedule)
    _teach("language", school, schedule, language, speaker, oracle.embed, speaker)


def align(school: TrainContext, schedule: Schedule) -> None:
    """Stage 1, feature alignment: the projector alone learns, from images and their captions."""
    projector = school.model.model.multi_modal_projector
    school.model.model.vision_tower.requires_grad_(False)
    frozen = [school.model.model.language_model, school.model.lm_head]
    for module in frozen:
        module.requires_grad_(False)
    _teach_from_images("alignment", school, schedule, captions, projector)
    for module in frozen:
        module.requires_grad_(True)


def instruct(school: TrainContext, schedule: Schedule) -> None:
    """Stage 2, end to end: projector and decoder learn from instructions, the tower is frozen."""
    model = school.model
    model.model.vision_tower.requires_grad_(False)
    learner = nn.ModuleList(
        [model.model.language_model, model.lm_head, model.model.multi_modal_projector]
    )
    _teach_from_images("instruction", school, schedule, instructions, learner)


def project(
    model: LlavaForConditionalGeneration, scenes: SceneSet, indices: Sequence[int]
) -> torch.Tensor:
    """Image embeddings by the frozen tower and the projector. (n, 64, 256)"""
    if not indices:
        return torch.empty(0, HIDDEN, device=model.device)
    with torch.no_grad():
        pixel_values = normalise(scenes.pixels[list(indices)], model.device).to(model.dtype)
        features = patch_features(model.model.vision_tower, pixel_values)
    embeds: torch.Tensor = model.model.multi_modal_projector(features)
    return embeds


def _teach_from_images(
    name: str, school: TrainContext, schedule: Schedule, lesson: BatchSampler, learner: nn.Module
) -> None:
    speaker = PackedDecoder(school.model, schedule)

    def embed(scenes: SceneSet, chosen: Sequence[int]) -> torch.Tensor:
        return project(school.model, scenes, chosen)

    _teach(name, school, schedule, lesson, speaker, embed, learner)


def _teach(
    name: str,
    school: TrainContext,
    schedule: Schedule,
    lesson: BatchSampler,
    speaker: PackedDecoder,
    embed: EmbedSet,
    learner: nn.Module,
) -> None:
    exam = sample_exam(school.encode, school.held_out.scenes, _EXAMINED, seed=20)

    def report() -> str:
        see: Embed = partial(embed, school.held_out)
        return str(measure(PackedDecoder(school.model), see, exam, school.device))

    loss_at = _loss(school, schedule, lesson, speaker, partial(embed, school.train))
    fit(name, learner, loss_at, schedule, school.work, report)


def _loss(
    school: TrainContext,
    schedule: Schedule,
    lesson: BatchSampler,
    speaker: PackedDecoder,
    embed: Embed,
) -> Loss:
    def loss_at(step: int) -> torch.Tensor:
        batch = lesson(school.encode, school.train.scenes, schedule.batch, schedule.seed + step)
        with mixed_precision(school.device):
            return speaker.loss(batch.to(school.device), embed(batch.images), _GUIDANCE)

    return loss_at
