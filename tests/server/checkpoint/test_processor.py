"""The keys of image and video processors: followed, or refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from server.checkpoint.config import Checkpoint, CheckpointError, read_checkpoint
from server.checkpoint.preprocessing import NORMALISATIONS
from server.checkpoint.processor import VALUES
from tests.server.checkpoint.checkpoint_files import LLAVA_1_5, LLAVA_1_6, write_checkpoint_files
from tests.server.checkpoint.test_siglip_family import INTERLEAVE, ONEVISION

HALF = (0.5, 0.5, 0.5)
# As llava-hf publishes them, and SigLIP's.
PUBLISHED: dict[str, Any] = {
    "do_convert_rgb": None,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
}


def read(folder: Path, config: dict[str, Any], processor: dict[str, Any]) -> Checkpoint:
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    return read_checkpoint(
        write_checkpoint_files(
            folder, config=config, preprocessor_config=processor, tokenizer_config=tokens
        )
    )


def find_model_type(value: Any) -> str:
    return str(value.get("model_type", value) if isinstance(value, dict) else value)


@pytest.mark.parametrize(
    "name",
    [
        "CLIPImageProcessor",
        "LlavaImageProcessor",
        "LlavaNextImageProcessor",
        "LlavaOnevisionImageProcessor",
        "LlavaOnevisionVideoProcessor",
        "LlavaNextVideoVideoProcessor",
        "SiglipImageProcessor",
    ],
)
def test_the_defaults_are_those_of_the_classes(name: str) -> None:
    processor = getattr(transformers, name)
    assert {key: getattr(processor, key) for key in VALUES} == VALUES
    mean, std = NORMALISATIONS["siglip" if name.startswith("Siglip") else "clip"]
    assert (tuple(processor.image_mean), tuple(processor.image_std)) == (mean, std)


@pytest.mark.parametrize(
    ("config", "processor", "mean"),
    [
        (LLAVA_1_5, {}, CLIP_MEAN),
        (ONEVISION, {"image_processor_type": "LlavaOnevisionImageProcessor"}, CLIP_MEAN),
        (ONEVISION, {}, CLIP_MEAN),
        (ONEVISION, {"image_mean": None}, CLIP_MEAN),
        (INTERLEAVE, {"image_processor_type": "SiglipImageProcessor"}, HALF),
        (INTERLEAVE, {"image_processor_type": "SiglipImageProcessorFast"}, HALF),
        (INTERLEAVE, {"image_processor_type": "LlavaImageProcessor"}, CLIP_MEAN),
        (INTERLEAVE, {}, HALF),
        (ONEVISION, {"image_mean": 0.25}, (0.25, 0.25, 0.25)),
        (LLAVA_1_5, {"image_mean": 0}, (0, 0, 0)),
        (LLAVA_1_5, {"image_mean": [0.1, 0.2, 0.3]}, (0.1, 0.2, 0.3)),
    ],
    ids=find_model_type,
)
def test_means(
    config: dict[str, Any], processor: dict[str, Any], mean: tuple[float, ...], tmp_path: Path
) -> None:
    image = read(tmp_path, config, processor).image
    assert image.mean == mean
    if "image_mean" not in processor:
        assert image.std == (HALF if mean == HALF else CLIP_STD)


@pytest.mark.parametrize(
    "config", [LLAVA_1_5, LLAVA_1_6, ONEVISION, INTERLEAVE], ids=find_model_type
)
def test_published_values_pass(config: dict[str, Any], tmp_path: Path) -> None:
    empty = dict.fromkeys(PUBLISHED)
    assert read(tmp_path, config, PUBLISHED) == read(tmp_path, config, empty)


@pytest.mark.parametrize(
    "changes",
    [
        {"resample": 2},
        {"resample": "bicubic"},
        {"do_normalize": False},
        {"do_rescale": False},
        {"do_resize": False},
        {"rescale_factor": 1 / 127.5},
        {"image_mean": "0.5"},
        {"image_mean": [0.5, 0.5]},
        {"image_std": [0.5, 0.5, None]},
        {"image_std": 0},
        {"image_std": [0.5, 0.0, 0.5]},
    ],
    ids=str,
)
def test_other_values_are_named(changes: dict[str, Any], tmp_path: Path) -> None:
    (key,) = changes
    with pytest.raises(CheckpointError, match=f"{key} .* is n"):
        read(tmp_path, LLAVA_1_5, PUBLISHED | changes)


def test_tiles_are_resized_anyway(tmp_path: Path) -> None:
    assert read(tmp_path, LLAVA_1_6, {"do_resize": False}).image.aspect_ratio == "anyres"


@pytest.mark.parametrize("key", ["resample", "do_resize"])
def test_a_video_processor_is_checked(key: str, tmp_path: Path) -> None:
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps({key: 0}))
    with pytest.raises(CheckpointError, match=f"{key} 0 of the image or video processor"):
        read(tmp_path, ONEVISION, {})
