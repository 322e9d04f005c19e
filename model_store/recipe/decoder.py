"""Stages 2 to 4: the decoder learns its language from labels, then meets the vision tower."""

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from model_store.recipe.architecture import HIDDEN
from model_store.recipe.dataset import SceneSet, normalise
from model_store.recipe.dialogues import mixed
from model_store.recipe.evaluate import examine, measure
from model_store.recipe.fitting import Loss, Schedule, fit
from model_store.recipe.parallel import own_seed, share
from model_store.recipe.scenes import COLORS, PLACES, SHAPES, Scene
from model_store.recipe.sequences import Batch, Encoder, collate, pack
from model_store.recipe.speaker import Embed, Speaker
from model_store.recipe.tokenizer import VOCABULARY_SIZE
from model_store.recipe.tower import patch_features

_EXAMINED = 96


class Oracle:
    """Image embeddings made from labels: each patch says the words for what it shows.

    They are sums of the decoder's own word embeddings, so that a question's noun and the patch it
    asks for look alike from the start.
    """

    def __init__(self, model: LlavaForConditionalGeneration, encode: Encoder) -> None:
        self._embedding: nn.Embedding = model.model.language_model.embed_tokens
        shapes = ["nothing", *(f"shape {shape}" for shape in SHAPES)]
        names = (shapes, ["", *COLORS], ["", *PLACES])
        self._words = [_count_words(encode, rows) for rows in names]

    def embed(self, scenes: SceneSet, indices: Sequence[int]) -> torch.Tensor:
        """(n, 64, 256)"""
        labels = scenes.labels_of(indices)  # (n, 64, 3)
        tables = [words @ self._embedding.weight for words in self._words]
        parts = [table[labels[..., index]] for index, table in enumerate(tables)]
        return torch.stack(parts).sum(0)


def _count_words(encode: Encoder, rows: Sequence[str]) -> torch.Tensor:
    """How often each row's text holds each token. (rows, vocabulary)"""
    counts = torch.zeros(len(rows), VOCABULARY_SIZE)
    for row, text in enumerate(rows):
        for token in encode(f" {text}") if text else ():
            counts[row, token] += 1
    return counts


def project(
    model: LlavaForConditionalGeneration, scenes: SceneSet, indices: Sequence[int]
) -> torch.Tensor:
    """Image embeddings by the frozen tower and the projector. (n, 64, 256)"""
    if not indices:
        return torch.empty(0, HIDDEN)
    with torch.no_grad():
        pixel_values = normalise(scenes.pixels[list(indices)]).to(model.dtype)
        features = patch_features(model.model.vision_tower, pixel_values)
    embeds: torch.Tensor = model.model.multi_modal_projector(features)
    return embeds


def train_language(
    model: LlavaForConditionalGeneration,
    oracle: Oracle,
    encode: Encoder,
    sets: tuple[SceneSet, SceneSet],
    plans: Sequence[tuple[Schedule, float]],
    work: Path,
) -> None:
    """Stage 2: the decoder learns every kind of question from labels, without the tower.

    `plans` are schedules, each with the weight of guiding attention in look-ups.
    """
    train, held_out = sets
    exam = examine(encode, held_out.scenes, _EXAMINED, seed=20)

    def report() -> str:
        embed = partial(oracle.embed, held_out)
        return str(measure(Speaker(model), embed, exam, True))

    for number, (schedule, guidance) in enumerate(plans, start=1):
        speaker = Speaker(model, schedule)
        embed = partial(oracle.embed, train)
        seed = (1 + number) * 1_000_000
        loss_at = _sampled_loss(speaker, embed, encode, train, schedule.batch, guidance, seed)
        fit(f"language-{number}", speaker, loss_at, schedule, work, report)


def _sampled_loss(
    speaker: Speaker,
    embed: Embed,
    encode: Encoder,
    scenes: SceneSet,
    batch_size: int,
    guidance: float,
    seed: int,
) -> Loss:
    def loss_at(step: int) -> torch.Tensor:
        batch = _sample_batch(encode, scenes.scenes, batch_size, seed + step)
        with torch.autocast("cpu", torch.bfloat16):
            embeds, labels = embed(batch.images), scenes.labels_of(batch.images)
            return speaker.loss(batch, embeds, labels, guidance)

    return loss_at


def align_projector(
    model: LlavaForConditionalGeneration,
    oracle: Oracle,
    sets: tuple[SceneSet, SceneSet],
    schedule: Schedule,
    work: Path,
) -> None:
    """Stage 3: the projector learns to say what the oracle says of the same image."""
    train, held_out = sets

    def error(scenes: SceneSet, chosen: Sequence[int]) -> torch.Tensor:
        """Of the oracle's variance, the share that the projector misses."""
        with torch.no_grad():
            wanted = oracle.embed(scenes, chosen)
        with torch.autocast("cpu", torch.bfloat16):
            embeds = project(model, scenes, chosen)
        return functional.mse_loss(embeds.float(), wanted) / wanted.var()

    def loss_at(step: int) -> torch.Tensor:
        seed = (3, step + own_seed())
        chosen = np.random.default_rng(seed).integers(len(train), size=share(schedule.batch))
        return error(train, chosen.tolist())

    def report() -> str:
        with torch.no_grad():
            return f"held out {error(held_out, range(256)).item():.4f}"

    fit("alignment", model.model.multi_modal_projector, loss_at, schedule, work, report)


def train_jointly(
    model: LlavaForConditionalGeneration,
    encode: Encoder,
    sets: tuple[SceneSet, SceneSet],
    plans: Sequence[tuple[Schedule, float]],
    work: Path,
) -> None:
    """Stage 4: projector and decoder learn together from pictures, the tower stays frozen.

    `plans` as in stage 2.
    """
    train, held_out = sets
    exam = examine(encode, held_out.scenes, _EXAMINED, seed=20)

    def report() -> str:
        embed = partial(project, model, held_out)
        return str(measure(Speaker(model), embed, exam, True))

    for number, (schedule, guidance) in enumerate(plans, start=1):
        speaker = Speaker(model, schedule)
        embed = partial(project, model, train)
        seed = (4 + number) * 1_000_000
        loss_at = _sampled_loss(speaker, embed, encode, train, schedule.batch, guidance, seed)
        module = nn.ModuleList([speaker, model.model.multi_modal_projector])
        fit(f"joint-{number}", module, loss_at, schedule, work, report)


def _sample_batch(encode: Encoder, scenes: Sequence[Scene], size: int, seed: int) -> Batch:
    rng = random.Random(seed + own_seed())
    return collate([pack(encode, mixed(rng, scenes)) for _ in range(share(size))])
