"""The complete training run: tokenizer, the four stages, export and evaluation."""

from pathlib import Path

import torch
from accelerate import PartialState
from tokenizers import Tokenizer
from tqdm import tqdm

from model_store.manifest import write_manifest
from training.data.corpus import sample_corpus
from training.data.dataset import load_dataset
from training.data.examples import write_example_images
from training.loop.context import TrainContext
from training.loop.evaluate import EvalResult, build_eval_batches, evaluate
from training.loop.history import plot_losses
from training.loop.model_card import write_model_card
from training.loop.plan import (
    CORPUS_SEED,
    HELD_OUT_SEED,
    MODEL_NAME,
    MODEL_SEED,
    STAGES,
    TRAIN_SEED,
    UNSEEN_SEED,
    TrainingPlan,
)
from training.loop.stages import encode_images, train_alignment, train_instruction, train_language
from training.loop.tower_stage import train_tower
from training.model.architecture import build_model
from training.model.export import export_model, load_model
from training.model.packed_decoder import PackedDecoder
from training.model.tokenizer import CachedTokenizer, load_tokenizer, train_tokenizer

_MAX_UNSEEN_SIDE = 1600


def train(plan: TrainingPlan, work_dir: Path, out_dir: Path, device: torch.device) -> None:
    """Run every stage that is not complete in `work_dir`, then write the model to `out_dir`."""
    tokenizer = load_or_train_tokenizer(plan, work_dir)
    context = _build_context(plan, work_dir, tokenizer, device)
    train_tower(context, plan.tower)
    train_language(context, plan.language)
    train_alignment(context, plan.alignment)
    train_instruction(context, plan.instruction)
    if PartialState().is_main_process:
        _write_outputs(plan, context, tokenizer, out_dir)


def train_single_stage(
    stage: str, plan: TrainingPlan, work_dir: Path, device: torch.device
) -> None:
    """Run only `tower` or `language`. They are independent, so they can run in parallel.

    `train` then continues from their checkpoints in `work_dir`.
    """
    tokenizer = load_or_train_tokenizer(plan, work_dir)
    context = _build_context(plan, work_dir, tokenizer, device)
    if stage == "tower":
        train_tower(context, plan.tower)
    else:
        train_language(context, plan.language)


def load_or_train_tokenizer(plan: TrainingPlan, work_dir: Path) -> Tokenizer:
    """Load the tokenizer in `work_dir`, or train one: a model is tied to its tokenizer."""
    path = work_dir / "tokenizer.json"
    with PartialState().main_process_first():
        if not path.exists():
            work_dir.mkdir(parents=True, exist_ok=True)
            train_tokenizer(sample_corpus(CORPUS_SEED, plan.corpus_size)).save(str(path))
        return load_tokenizer(work_dir)


def evaluate_export(
    plan: TrainingPlan, encode: CachedTokenizer, work_dir: Path, out_dir: Path
) -> EvalResult:
    """Evaluate the bfloat16 weights on unseen scenes of up to the size of photos."""
    dataset = load_dataset(work_dir, UNSEEN_SEED, plan.unseen_scenes, _MAX_UNSEEN_SIDE)
    model = load_model(out_dir)
    batches = build_eval_batches(encode, dataset.scenes, plan.unseen_scenes, seed=UNSEEN_SEED)
    return evaluate(
        PackedDecoder(model), lambda indices: encode_images(model, dataset, indices), batches
    )


def _build_context(
    plan: TrainingPlan, work_dir: Path, tokenizer: Tokenizer, device: torch.device
) -> TrainContext:
    with PartialState().main_process_first():
        train_set = load_dataset(work_dir, TRAIN_SEED, plan.train_scenes)
        held_out_set = load_dataset(work_dir, HELD_OUT_SEED, plan.held_out_scenes)
    return TrainContext(
        build_model(MODEL_SEED).to(device),
        CachedTokenizer(tokenizer),
        train_set,
        held_out_set,
        work_dir,
        device,
    )


def _write_outputs(
    plan: TrainingPlan, context: TrainContext, tokenizer: Tokenizer, out_dir: Path
) -> None:
    """Write the checkpoint, examples, loss plot, model card with scores, and manifest."""
    export_model(context.model, tokenizer, out_dir)
    write_example_images(out_dir / "examples")
    plot_losses(context.work_dir, STAGES, out_dir / "losses.png")
    result = evaluate_export(plan, context.encode, context.work_dir, out_dir)
    tqdm.write(f"unseen scenes, exported weights: {result}")
    write_model_card(plan, result, context.work_dir, out_dir)
    write_manifest(out_dir, source="recipe", name=MODEL_NAME)
