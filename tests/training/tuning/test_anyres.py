"""Images in tiles: what is trained on is what the server makes of them."""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlavaNextForConditionalGeneration

from llava_spec.anyres import Size
from llava_spec.image_settings import PATCH_MERGES, PatchMerge
from server.checkpoint.config import Checkpoint, read_checkpoint
from server.images.decode.decode import DecodedImage, DecodeOptions, decode
from server.images.vision.weights import load_vision_model
from tests.server.pictures import make_photo
from tests.training.tuning.fixtures import INPUTS, load_prompt_tokenizer, make_reader
from training.tuning import images
from training.tuning.architecture import read_architecture
from training.tuning.dataset import Batch, TuningDataset, collate, find_flaws
from training.tuning.errors import DataError
from training.tuning.export import export
from training.tuning.loading import load_model
from training.tuning.model import LlavaForTraining
from training.tuning.options import add_options
from training.tuning.prompts import IMAGE_TOKEN_ID, PromptLabeller, choose_render
from training.tuning.record_files import open_record_file
from training.tuning.settings import build_settings
from training.tuning.sources import PROJECTOR_FILE, Sources

SIZES: Final[Sequence[Size]] = (
    *((37, 91), (200, 30), (56, 56), (150, 149)),
    *((5, 300), (1, 1), (900, 3), (113, 57)),
)
SOURCES: Final = Sources(INPUTS / "tower", INPUTS / "llama", image_aspect_ratio="anyres")
SQUARE: Final = replace(SOURCES, image_aspect_ratio="square")


def load(sources: Sources = SOURCES, seed: int = 42) -> LlavaForTraining:
    """Load a model to train."""
    return load_model(sources, torch.float32, seed).eval()


def write_records(folder: Path) -> Path:
    """Write pictures of odd sizes, one of them turned, and records of 2, 0, 1 and 6 of them."""
    for number, size in enumerate(SIZES):
        make_photo(*size, seed=number).save(folder / f"{number}.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    make_photo(120, 50).save(folder / f"{len(SIZES)}.jpg", exif=exif)
    names = [*(f"{number}.png" for number in range(len(SIZES))), f"{len(SIZES)}.jpg"]
    records = []
    for listed in (names[:2], [], names[2:3], names[3:]):
        question = "<image>\n" * len(listed) + "What is this?"
        turns = [{"from": "human", "value": question}, {"from": "gpt", "value": "A circle."}]
        records.append({"conversations": turns, **({"image": listed} if listed else {})})
    data = folder / "records.json"
    data.write_text(json.dumps(records))
    return data


def make_dataset(model: LlavaForTraining, data: Path, **changes: Any) -> TuningDataset:
    """Return records beside their images."""
    labeller = PromptLabeller(
        choose_render("vicuna_v1", image_start_end=False),
        load_prompt_tokenizer(INPUTS / "llama"),
    )
    reader = make_reader("square" if model.tiles is None else "anyres")
    pinpoints = () if model.tiles is None else model.tiles.image.grid_pinpoints
    reader = replace(reader, folder=data.parent, grid_pinpoints=pinpoints)
    dataset = TuningDataset(
        [open_record_file(data)],
        labeller,
        reader,
        read_architecture(SOURCES).num_patches,
        2048,
        tiles=model.tiles,
    )
    return replace(dataset, **changes)


def embed(model: LlavaForTraining, batch: Batch) -> Tensor:
    """Return the embeddings of a batch."""
    return model.embed(
        batch["input_ids"],
        batch["pixel_values"],
        batch["image_lengths"],
        batch["num_views"],
        batch["image_sizes"],
    )


def write_checkpoint(model: LlavaForTraining, sources: Sources, folder: Path) -> Checkpoint:
    """Write a model as the server reads it, and read its configuration."""
    out = folder / "checkpoint"
    export(model, model.language_model, sources, "vicuna_v1", "float32", out)
    return read_checkpoint(out)


def embed_as_served(checkpoint: Checkpoint, files: Sequence[Path]) -> list[Tensor]:
    """Return the embeddings of images as the server computes them."""
    vision = load_vision_model(checkpoint, torch.device("cpu"), torch.float32)
    image = checkpoint.image
    options = DecodeOptions(image.size, image.aspect_ratio, 10**9, image.grid_pinpoints)
    embeds = []
    for file in files:
        decoded = decode(file.read_bytes(), options)
        assert isinstance(decoded, DecodedImage)
        embeds.append(vision.merge(vision(torch.from_numpy(decoded.views)), decoded.image_size))
    return embeds


@pytest.mark.parametrize("patch_merge", PATCH_MERGES)
def test_a_batch_has_the_embeddings_that_are_served(
    patch_merge: PatchMerge, tmp_path: Path
) -> None:
    sources = replace(SOURCES, patch_merge=patch_merge)
    model = load(sources)
    dataset = make_dataset(model, write_records(tmp_path))
    batch = collate([dataset[index] for index in range(len(dataset))])
    files = sorted(tmp_path.glob("?.*"))
    expected = embed_as_served(write_checkpoint(model, sources, tmp_path), files)
    with torch.inference_mode():
        ours = embed(model, batch)[batch["input_ids"] == IMAGE_TOKEN_ID]
    torch.testing.assert_close(ours, torch.cat(expected), atol=1e-5, rtol=0)
    assert [len(each) for each in expected] == batch["image_lengths"].tolist()
    assert len(set(batch["image_lengths"].tolist())) > (3 if patch_merge == "spatial_unpad" else 1)
    assert batch["image_sizes"].tolist() == [*map(list, SIZES), [50, 120]]
    assert (model.image_newline is not None) == (patch_merge == "spatial_unpad")


def test_the_check_counts_the_tokens_that_images_have(tmp_path: Path) -> None:
    dataset = make_dataset(load(), write_records(tmp_path))
    for index in range(len(dataset)):
        counts = dataset.count_image_tokens(dataset.read_record(index))
        assert counts == dataset[index]["image_lengths"].tolist()
    assert list(find_flaws(dataset, Counter())) == []


def test_transformers_computes_the_same_logits(tmp_path: Path) -> None:
    model = load()
    example = make_dataset(model, write_records(tmp_path))[2]
    checkpoint = write_checkpoint(model, SOURCES, tmp_path)
    reference = LlavaNextForConditionalGeneration.from_pretrained(
        checkpoint.path, dtype=torch.float32
    )
    ids = example["input_ids"][None]
    with torch.inference_mode():
        ours = model(
            ids,
            torch.ones_like(ids),
            example["pixel_values"],
            num_views=example["num_views"],
            image_sizes=example["image_sizes"],
        ).logits
        theirs = reference(
            input_ids=ids.where(ids != IMAGE_TOKEN_ID, checkpoint.text.image_token_id),
            attention_mask=torch.ones_like(ids),
            pixel_values=example["pixel_values"][None],
            image_sizes=example["image_sizes"].flip(1),
        ).logits
    torch.testing.assert_close(ours, theirs[..., : ours.shape[-1]], atol=1e-4, rtol=1e-4)


def test_every_batch_gives_the_newline_a_gradient(tmp_path: Path) -> None:
    model = load()
    assert model.image_newline is not None
    dataset = make_dataset(model, write_records(tmp_path))
    for index, is_zero in ((1, True), (0, False)):
        model.zero_grad()
        model(**collate([dataset[index]])).loss.backward()
        assert model.image_newline.grad is not None
        assert (model.image_newline.grad == 0).all() == is_zero


def test_grids_are_those_of_llava_1_6_for_the_tower() -> None:
    tiles = load().tiles
    assert tiles is not None
    assert tiles.image.grid_pinpoints == ((56, 112), (112, 56), (112, 112), (168, 56), (56, 168))
    tiles = load(replace(SOURCES, grid_pinpoints="(1x1),...,(2x1)")).tiles
    assert tiles is not None
    assert tiles.image.grid_pinpoints == ((56, 56), (112, 56))


def test_a_new_newline_depends_on_the_seed_alone() -> None:
    first, again, other = (load(seed=seed).image_newline for seed in (1, 1, 2))
    assert first is not None
    assert again is not None
    assert other is not None
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float(first.detach().std()) == pytest.approx(len(first) ** -0.5, rel=0.3)


def write_stage_1(model: LlavaForTraining, sources: Sources, folder: Path) -> Path:
    """Write a checkpoint as `align` does."""
    path = write_checkpoint(model, sources, folder).path
    sources.save(path, "align")
    return path


def read_next(*options: str | Path) -> Sources:
    """Return what stage 2 begins with, by its options."""
    parser = argparse.ArgumentParser()
    add_options(parser, "instruct")
    given = [*map(str, options), "--data", str(INPUTS / "data.json"), "--out", "out"]
    return build_settings(parser.parse_args(given), "instruct").sources


def test_the_next_stage_begins_with_the_newline(tmp_path: Path) -> None:
    sources = replace(SOURCES, grid_pinpoints="[[112, 56]]")
    model = load(sources, seed=1)
    aligned = write_stage_1(model, sources, tmp_path)
    after = load(read_next("--model", aligned, "--image-aspect-ratio", "anyres"), seed=2)
    assert after.image_newline is not None
    assert model.image_newline is not None
    assert torch.equal(after.image_newline, model.image_newline)
    assert after.tiles == model.tiles
    given = read_next(
        *("--model", aligned, "--image-aspect-ratio", "anyres"),
        *("--image-grid-pinpoints", "[[56, 112]]", "--mm-patch-merge-type", "flat"),
    )
    assert (given.grid_pinpoints, given.patch_merge) == ("[[56, 112]]", "flat")
    assert load(given).image_newline is None
    padded = load(read_next("--model", aligned))
    assert padded.image_newline is None
    assert padded.tiles is None


def test_tiles_follow_a_stage_of_squares_with_a_new_newline(tmp_path: Path) -> None:
    aligned = write_stage_1(load(SQUARE, seed=1), SQUARE, tmp_path)
    assert "image_newline" not in load_file(aligned / PROJECTOR_FILE)
    model, fresh = (
        load(read_next("--model", aligned, "--image-aspect-ratio", "anyres"), seed=2),
        load(seed=2),
    )
    assert model.image_newline is not None
    assert fresh.image_newline is not None
    assert torch.equal(model.image_newline, fresh.image_newline)


def test_a_released_name_of_the_newline_is_known(tmp_path: Path) -> None:
    weights = {f"model.mm_projector.{k}": v for k, v in load().projector.state_dict().items()}
    file = tmp_path / "mm_projector.safetensors"
    save_file(weights | {"model.image_newline": torch.ones(64)}, file)
    model = load(replace(SOURCES, projector=file))
    assert model.image_newline is not None
    assert (model.image_newline == 1).all()


def test_squares_are_checked_by_the_start_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(load(SQUARE), write_records(tmp_path))
    sizes = []

    def note_size(file: Path, max_bytes: int = -1) -> bytes:
        sizes.append(max_bytes)
        return file.read_bytes()[:max_bytes]

    monkeypatch.setattr(images, "_read", note_size)
    assert list(find_flaws(dataset, Counter())) == []
    assert set(sizes) == {images.HEADER_BYTES}


@pytest.mark.parametrize("sources", [SQUARE, replace(SQUARE, image_aspect_ratio="pad"), SOURCES])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not an image, or its header is damaged"),
        (b"no picture", "it is not an image, or its header is damaged"),
        (b"\x89PNG\r\n\x1a\n", "it is damaged"),
    ],
)
def test_files_that_are_no_images_are_flaws(
    sources: Sources, content: bytes, reason: str, tmp_path: Path
) -> None:
    data = write_records(tmp_path)
    (tmp_path / "2.png").write_bytes(content)
    flaws = dict(find_flaws(make_dataset(load(sources), data), Counter()))
    assert list(flaws) == [2]
    assert f"2.png cannot be read: {reason}" in str(flaws[2])


@pytest.mark.parametrize("name", ["a" * 5000 + ".png", "a/" * 3000, "a\0.png", "\ud800.png"])
def test_names_of_no_file_are_missing_images(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        replace(make_reader("pad"), folder=tmp_path).read(name)


def test_a_header_of_any_length_is_read(tmp_path: Path) -> None:
    reader = replace(make_reader("anyres"), folder=tmp_path)
    make_photo(60, 40).save(tmp_path / "a.jpg", icc_profile=bytes(200_000))
    assert reader.read_size("a.jpg") == (60, 40)


def test_images_that_do_not_fit_or_have_no_header_are_flaws(tmp_path: Path) -> None:
    data = write_records(tmp_path)
    (tmp_path / "2.png").write_bytes(b"no picture")
    dataset = make_dataset(load(), data, max_length=250, keeps_useless=True)
    flaws = {index: str(error) for index, error in find_flaws(dataset, Counter())}
    assert flaws == {
        2: f"{data}, record 3: the image {tmp_path / '2.png'} cannot be read: it is not an"
        " image, or its header is damaged",
        3: f"{data}, record 4: its images do not fit into --model-max-length 250",
    }
