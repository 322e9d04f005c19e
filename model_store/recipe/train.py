"""The whole recipe: tokenizer, tower, language, alignment, joint training, export, final scores."""

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from tqdm import tqdm

from model_store.recipe.architecture import build_model
from model_store.recipe.corpus import conversations
from model_store.recipe.dataset import SceneSet, load_scenes
from model_store.recipe.decoder import (
    Oracle,
    align_projector,
    project,
    train_jointly,
    train_language,
)
from model_store.recipe.evaluate import Score, examine, measure
from model_store.recipe.examples import write_examples
from model_store.recipe.export import export, load_model
from model_store.recipe.fitting import Schedule
from model_store.recipe.parallel import first_process_first, rank
from model_store.recipe.sequences import Encoder
from model_store.recipe.speaker import Speaker
from model_store.recipe.tokenizer import load_tokenizer, train_tokenizer
from model_store.recipe.tower import train_tower

MODEL_SEED, CORPUS_SEED, TRAIN_SEED, HELD_OUT_SEED, UNSEEN_SEED = 0, 0, 1, 2, 3
_PHOTO_SIZE = 1600


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything: scenes to draw and each stage's schedule.

    Beside the decoder's schedules stands the weight of guiding its attention.
    """

    corpus: int
    train_scenes: int
    held_out_scenes: int
    unseen_scenes: int
    tower: tuple[Schedule, ...]
    language: tuple[tuple[Schedule, float], ...]
    alignment: Schedule
    joint: tuple[tuple[Schedule, float], ...]


FULL = Plan(
    corpus=3000,
    train_scenes=50_000,
    held_out_scenes=1000,
    unseen_scenes=500,
    tower=(
        Schedule(steps=1000, batch=128, rate=1e-3, report_every=100),
        Schedule(steps=700, batch=128, rate=8e-4, warm_up=30, report_every=100),
    ),
    language=(
        (Schedule(steps=1600, batch=16, rate=1.5e-3, report_every=100, stop=1000), 0.0),
        (Schedule(steps=900, batch=16, rate=1.5e-3, warm_up=30, report_every=50, stop=477), 0.3),
    ),
    alignment=Schedule(steps=150, batch=64, rate=2e-3, warm_up=20, report_every=50),
    joint=(
        (Schedule(steps=650, batch=16, rate=1.2e-3, warm_up=30, report_every=50, stop=536), 0.2),
        (Schedule(steps=800, batch=16, rate=1e-3, warm_up=30, report_every=100, stop=450), 0.2),
        (Schedule(steps=300, batch=16, rate=8e-4, warm_up=10, report_every=50), 0.2),
        (Schedule(steps=900, batch=16, rate=1e-3, warm_up=30, report_every=150), 0.2),
        (Schedule(steps=700, batch=16, rate=8e-4, warm_up=30, report_every=150), 0.2),
    ),
)
_FEW = Schedule(steps=3, batch=2, rate=1e-3, warm_up=1)
QUICK = Plan(60, 40, 300, 20, (_FEW,), ((_FEW, 0.3),), _FEW, ((_FEW, 0.1),))


def train(plan: Plan, work: Path, out: Path) -> None:
    """Run every stage that `work` does not hold the end of yet, then write the model to `out`."""
    tokenizer = _make_tokenizer(plan, work)
    encode = Encoder(tokenizer)
    sets = _load_sets(plan, work)
    model = build_model(MODEL_SEED)
    train_tower(model.model.vision_tower, sets, plan.tower, work)
    oracle = Oracle(model, encode)
    train_language(model, oracle, encode, sets, plan.language, work)
    align_projector(model, oracle, sets, plan.alignment, work)
    train_jointly(model, encode, sets, plan.joint, work)
    if rank() > 0:
        return
    export(model, tokenizer, out)
    write_examples(out / "examples")
    tqdm.write(f"unseen scenes, exported weights: {examine_export(plan, encode, work, out)}")


def examine_export(plan: Plan, encode: Encoder, work: Path, out: Path) -> Score:
    """Greedy answers in bfloat16 on scenes up to photo size that no stage has seen."""
    scenes = load_scenes(work, UNSEEN_SEED, plan.unseen_scenes, _PHOTO_SIZE)
    model = load_model(out)
    exam = examine(encode, scenes.scenes, plan.unseen_scenes, seed=UNSEEN_SEED)
    return measure(Speaker(model), lambda chosen: project(model, scenes, chosen), exam, False)


def _make_tokenizer(plan: Plan, work: Path) -> Tokenizer:
    """The one in `work`, or else a new one: a model is tied to its tokenizer."""
    path = work / "tokenizer.json"
    with first_process_first():
        if not path.exists():
            work.mkdir(parents=True, exist_ok=True)
            train_tokenizer(conversations(CORPUS_SEED, plan.corpus)).save(str(path))
        return load_tokenizer(work)


def _load_sets(plan: Plan, work: Path) -> tuple[SceneSet, SceneSet]:
    with first_process_first():
        return (
            load_scenes(work, TRAIN_SEED, plan.train_scenes),
            load_scenes(work, HELD_OUT_SEED, plan.held_out_scenes),
        )
