"""The whole recipe: tokenizer, tower, language, the paper's two stages, export, final scores."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tqdm import tqdm

from model_store.manifest import write_manifest
from training.data.corpus import conversations
from training.data.dataset import load_scenes
from training.data.examples import write_examples
from training.loop.distributed import first_process_first, rank
from training.loop.evaluate import Score, measure, sample_exam
from training.loop.model_card import write_card
from training.loop.plan import (
    CORPUS_SEED,
    HELD_OUT_SEED,
    MODEL_NAME,
    MODEL_SEED,
    STAGES,
    TRAIN_SEED,
    UNSEEN_SEED,
    Plan,
)
from training.loop.plot import plot_losses
from training.loop.stages import TrainContext, align, instruct, project, train_language
from training.model.architecture import build_model
from training.model.export import export, load_model
from training.model.packed_decoder import PackedDecoder
from training.model.packing import PieceEncoder
from training.model.scene_classifier import train_tower
from training.model.tokenizer import load_tokenizer, train_tokenizer

_PHOTO_SIZE = 1600


def train(plan: Plan, work: Path, out: Path, device: torch.device) -> None:
    """Run every stage that `work` does not hold the end of yet, then write the model to `out`."""
    tokenizer = make_tokenizer(plan, work)
    school = _open_school(plan, work, tokenizer, device)
    _train_tower(school, plan)
    train_language(school, plan.language)
    align(school, plan.alignment)
    instruct(school, plan.instruction)
    if rank() == 0:
        _finish(plan, school, tokenizer, out)


def train_alone(stage: str, plan: Plan, work: Path, device: torch.device) -> None:
    """Run one of the first two stages only: neither needs the other, so they may run side by side.

    `train` then goes on from what they leave in `work`.
    """
    school = _open_school(plan, work, make_tokenizer(plan, work), device)
    if stage == "tower":
        _train_tower(school, plan)
    else:
        train_language(school, plan.language)


def _train_tower(school: TrainContext, plan: Plan) -> None:
    sets = school.train, school.held_out
    train_tower(school.model.model.vision_tower, sets, plan.tower, school.work, school.device)


def make_tokenizer(plan: Plan, work: Path) -> Tokenizer:
    """The one in `work`, or else a new one: a model is tied to its tokenizer."""
    path = work / "tokenizer.json"
    with first_process_first():
        if not path.exists():
            work.mkdir(parents=True, exist_ok=True)
            train_tokenizer(conversations(CORPUS_SEED, plan.corpus)).save(str(path))
        return load_tokenizer(work)


def examine_export(plan: Plan, encode: PieceEncoder, work: Path, out: Path) -> Score:
    """Greedy answers in bfloat16 on scenes up to photo size that no stage has seen."""
    scenes = load_scenes(work, UNSEEN_SEED, plan.unseen_scenes, _PHOTO_SIZE)
    model = load_model(out)
    exam = sample_exam(encode, scenes.scenes, plan.unseen_scenes, seed=UNSEEN_SEED)
    return measure(PackedDecoder(model), lambda chosen: project(model, scenes, chosen), exam)


def _open_school(
    plan: Plan, work: Path, tokenizer: Tokenizer, device: torch.device
) -> TrainContext:
    with first_process_first():
        train_set = load_scenes(work, TRAIN_SEED, plan.train_scenes)
        held_out = load_scenes(work, HELD_OUT_SEED, plan.held_out_scenes)
    return TrainContext(
        build_model(MODEL_SEED).to(device),
        PieceEncoder(tokenizer),
        train_set,
        held_out,
        work,
        device,
    )


def _finish(plan: Plan, school: TrainContext, tokenizer: Tokenizer, out: Path) -> None:
    export(school.model, tokenizer, out)
    write_examples(out / "examples")
    plot_losses(school.work, STAGES, out / "losses.png")
    score = examine_export(plan, school.encode, school.work, out)
    tqdm.write(f"unseen scenes, exported weights: {score}")
    write_card(plan, score, school.work, out)
    write_manifest(out, source="recipe", name=MODEL_NAME)
