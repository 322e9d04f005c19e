"""The committed model: complete, and right about scenes that it has not seen and its examples."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer

from training.data.captions import describe
from training.data.conversation import SYSTEM
from training.data.dataset import load_scenes, normalise
from training.data.dialogues import Dialogue
from training.data.drawing import preprocess
from training.data.examples import EXAMPLES
from training.data.question import question
from training.loop.evaluate import measure, sample_exam
from training.loop.stages import project
from training.model.architecture import HIDDEN, IMAGE_TOKENS
from training.model.export import load_model
from training.model.packed_decoder import PackedDecoder
from training.model.packing import PieceEncoder, collate, pack
from training.model.tokenizer import load_tokenizer

FOLDER = Path(__file__).parents[2] / "model_store" / "llava-tiny"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(FOLDER)


def test_answers_on_unseen_scenes_are_right(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model, scenes = load_model(FOLDER), load_scenes(tmp_path, seed=77, count=48)
    exam = sample_exam(PieceEncoder(tokenizer), scenes.scenes, count=48, seed=77)
    score = measure(PackedDecoder(model), lambda chosen: project(model, scenes, chosen), exam)
    assert score.exact > 0.95, str(score)


@pytest.mark.parametrize("name", EXAMPLES)
def test_questions_about_the_examples_are_answered_rightly(tokenizer: Tokenizer, name: str) -> None:
    scene, model = EXAMPLES[name], load_model(FOLDER)
    circle = next(thing for thing in scene.things if thing.noun == "circle")
    asked = [
        question("describe", "Describe the image.", describe(scene)),
        question("count", "How many shapes are there?", str(len(scene.things))),
        question("color", "What color is the circle?", circle.color),
        question("where", f"Where is the {circle.color} circle?", circle.place),
        question("exists", "Is there a red square?", "no"),
    ]
    dialogue = Dialogue(SYSTEM, (0,), tuple((asking,) for asking in asked))
    batch = collate([pack(PieceEncoder(tokenizer), dialogue)])
    pixels = preprocess(Image.open(FOLDER / "examples" / name).convert("RGB"))
    with torch.no_grad():
        pixel_values = normalise(pixels[None]).to(model.dtype)
        embeds = torch.cat(list(model.get_image_features(pixel_values).pooler_output))
        answered = PackedDecoder(model)(batch, embeds.view(1, IMAGE_TOKENS, HIDDEN))
    assert answered.right.all()
