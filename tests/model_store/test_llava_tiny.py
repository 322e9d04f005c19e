"""The committed model: complete, and right about scenes that it has not seen and its examples."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer

from training.data.captions import describe
from training.data.conversation import SYSTEM
from training.data.dataset import load_dataset, normalise
from training.data.dialogues import Dialogue
from training.data.drawing import preprocess
from training.data.examples import EXAMPLES
from training.data.question import build_question
from training.loop.evaluate import build_eval_batches, evaluate
from training.loop.stages import encode_images
from training.model.architecture import HIDDEN_SIZE, NUM_IMAGE_TOKENS
from training.model.batch import collate
from training.model.export import load_model
from training.model.packed_decoder import PackedDecoder
from training.model.packing import pack
from training.model.tokenizer import CachedTokenizer, load_tokenizer

FOLDER = Path(__file__).parents[2] / "model_store" / "llava-tiny"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(FOLDER)


def test_answers_on_unseen_scenes_are_right(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model, dataset = load_model(FOLDER), load_dataset(tmp_path, seed=77, count=48)
    batches = build_eval_batches(CachedTokenizer(tokenizer), dataset.scenes, count=48, seed=77)
    result = evaluate(
        PackedDecoder(model), lambda indices: encode_images(model, dataset, indices), batches
    )
    assert result.simple_accuracy > 0.95, str(result)


@pytest.mark.parametrize("name", EXAMPLES)
def test_questions_about_the_examples_are_answered_rightly(tokenizer: Tokenizer, name: str) -> None:
    scene, model = EXAMPLES[name], load_model(FOLDER)
    circle = next(thing for thing in scene.things if thing.noun == "circle")
    questions = [
        build_question("describe", "Describe the image.", describe(scene)),
        build_question("count", "How many shapes are there?", str(len(scene.things))),
        build_question("color", "What color is the circle?", circle.color),
        build_question("where", f"Where is the {circle.color} circle?", circle.place),
        build_question("exists", "Is there a red square?", "no"),
    ]
    dialogue = Dialogue(SYSTEM, (0,), tuple((question,) for question in questions))
    batch = collate([pack(CachedTokenizer(tokenizer), dialogue)])
    pixels = preprocess(Image.open(FOLDER / "examples" / name).convert("RGB"))
    with torch.no_grad():
        pixel_values = normalise(pixels[None]).to(model.dtype)
        embeds = torch.cat(list(model.get_image_features(pixel_values).pooler_output))
        scores = PackedDecoder(model)(batch, embeds.view(1, NUM_IMAGE_TOKENS, HIDDEN_SIZE))
    assert scores.is_correct.all()
