"""Training goes on from a LLaVA that is served: ours, or one in transformers' layout."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_store.verification import verify
from server.checkpoint.config import read_checkpoint
from tests.server.family import (
    write_bakllava,
    write_llama_3_next,
    write_llava_llama_3,
    write_vip_llava,
)
from tests.server.siglip_family import write_interleave
from tests.training.tuning.fixtures import INPUTS, write_qwen2
from tests.training.tuning.test_stages import CAPTIONS, RECORDS, SMALL, train_stage
from training.tuning.command import main
from training.tuning.sources import SourceError
from training.tuning.split import split_checkpoint, write_weights

# One step that changes nothing: what is written must be what was read.
UNCHANGED = (*RECORDS, *SMALL, "--max-steps", "1", "--learning-rate", "0")


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return a checkpoint's weights by the names that older versions of transformers wrote."""
    return {
        name.replace("model.language_model.", "language_model.model.")
        .replace("model.vision_tower.", "vision_tower.")
        .replace("model.image_newline", "image_newline")
        .replace("model.multi_modal_projector.", "multi_modal_projector."): each
        for name, each in load_file(folder / "model.safetensors").items()
    }


def check_unchanged(before: Path, after: Path) -> None:
    """Check that two checkpoints hold the same model."""
    assert verify(after) == []
    first, second = read_weights(before), read_weights(after)
    for name in second.keys() - first.keys() | first.keys() - second.keys():
        assert "post_layernorm" in name or ".layers." in name or "lm_head" in name, name
    for name in first.keys() & second.keys():
        rows = second[name][: len(first[name])]  # a vocabulary's may be padded
        torch.testing.assert_close(rows, first[name], rtol=0, atol=0)
    one, two = read_checkpoint(before), read_checkpoint(after)
    assert (two.vision, two.image.mean) == (one.vision, one.image.mean)
    assert two.text.image_token_id == one.text.image_token_id


@pytest.mark.parametrize("tied", [True, False])
def test_after_both_stages(tied: bool, tmp_path: Path) -> None:
    language = write_qwen2(tmp_path / "qwen2") if tied else INPUTS / "llama"
    sources = ("--vision-tower", INPUTS / "tower", "--language-model", language)
    options = (*SMALL, "--max-steps", "1")
    train_stage("align", *sources, *CAPTIONS, *options, "--out", tmp_path / "aligned")
    train_stage(
        *("instruct", "--model", tmp_path / "aligned", *RECORDS, *options),
        *("--conv-mode", "llava_v0", "--image-aspect-ratio", "square", "--out", tmp_path / "tuned"),
    )
    train_stage("instruct", "--model", tmp_path / "tuned", *UNCHANGED, "--out", tmp_path / "again")
    check_unchanged(tmp_path / "tuned", tmp_path / "again")
    again = read_checkpoint(tmp_path / "again")
    assert (again.text.conv_mode, again.image.aspect_ratio) == ("llava_v0", "square")


def test_a_checkpoint_of_transformers(tmp_path: Path) -> None:
    published = write_llava_llama_3(tmp_path / "published").path
    out = tmp_path / "out"
    train_stage(
        *("instruct", "--model", published, *UNCHANGED, "--conv-mode", "llava_llama_3"),
        *("--image-aspect-ratio", "pad", "--out", out),
    )
    check_unchanged(published, out)
    assert read_checkpoint(out).text.conv_mode == "llava_llama_3"


def test_tiles_and_their_newline(tmp_path: Path) -> None:
    published = write_llama_3_next(tmp_path / "published").path
    train_stage(
        *("instruct", "--model", published, *UNCHANGED, "--conv-mode", "llava_llama_3"),
        *("--out", tmp_path / "out"),
    )
    check_unchanged(published, tmp_path / "out")
    before, after = read_checkpoint(published), read_checkpoint(tmp_path / "out")
    assert after.image.grid_pinpoints == before.image.grid_pinpoints


def test_a_template_of_its_own_must_be_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published = write_bakllava(tmp_path / "published").path
    options = ("--model", published, *UNCHANGED, "--image-aspect-ratio", "pad")
    assert main("instruct", [*map(str, options), "--out", str(tmp_path / "out")], "train") == 1
    assert "a chat template of its own, which cannot be trained" in capsys.readouterr().err


def test_parts_are_of_one_checkpoint(tmp_path: Path) -> None:
    first = write_llava_llama_3(tmp_path / "first").path
    second = write_bakllava(tmp_path / "second").path
    parts = split_checkpoint(first, tmp_path / "parts")
    assert split_checkpoint(first, tmp_path / "parts") == parts
    assert (parts.feature_layer, parts.patch_merge) == (-2, None)
    with pytest.raises(SourceError, match=f"holds the parts of {first}: remove it"):
        split_checkpoint(second, tmp_path / "parts")


@pytest.mark.parametrize(
    ("write", "changes", "reason"),
    [
        (write_interleave, {}, "its tower is not CLIP"),
        (write_vip_llava, {}, "it uses several hidden states of its tower"),
        (
            write_llava_llama_3,
            {"vision_feature_select_strategy": "full"},
            "its tower's class token is used",
        ),
        (write_llava_llama_3, {"quantization_config": {"quant_method": "awq"}}, "it is quantised"),
    ],
)
def test_what_cannot_be_trained_is_told(
    write: Any, changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "published").path
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(SourceError, match=f"cannot be trained: {reason}"):
        split_checkpoint(folder, tmp_path / "parts")
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"vision_resampler.weight": torch.zeros(2)}, "vision_resampler.weight belongs to no part"),
        ({"multi_modal_projector.linear_1.weight": None}, r"lacks weights .*: linear_1\.weight"),
    ],
    ids=["more", "less"],
)
def test_no_weight_is_left_out(
    changes: dict[str, torch.Tensor | None], reason: str, tmp_path: Path
) -> None:
    published = write_llava_llama_3(tmp_path / "published").path
    (file,) = published.glob("*.safetensors")
    weights = {name: each for name, each in load_file(file).items() if name not in changes}
    assert changes.keys() - weights.keys() == changes.keys()
    added = {name: each for name, each in changes.items() if each is not None}
    save_file(weights | added, file, {"format": "pt"})
    parts = split_checkpoint(published, tmp_path / "parts")
    with pytest.raises(SourceError, match=reason):
        write_weights(parts)
    assert not list((tmp_path / "parts").rglob("*.safetensors"))
