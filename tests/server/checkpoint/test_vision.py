"""A checkpoint's vision side: tower, projector and image preprocessing."""

from pathlib import Path
from typing import Any

import pytest

from llava_spec.image_settings import CLIP_MEAN, CLIP_STD
from server.checkpoint.config import CheckpointError, read_checkpoint
from server.checkpoint.vision import ImageConfig
from tests.server.checkpoint.checkpoint_files import (
    LLAVA_1_5,
    build_llava_1_5_config,
    build_llava_next_config,
    write_checkpoint_files,
)


def test_the_13b_model_has_its_own_hidden_size(tmp_path: Path) -> None:
    wider = {**LLAVA_1_5["text_config"], "hidden_size": 5120}
    checkpoint = read_checkpoint(
        write_checkpoint_files(tmp_path, config=build_llava_1_5_config(text_config=wider))
    )
    assert checkpoint.vision.text_hidden_size == 5120
    assert checkpoint.vision.num_image_tokens == 576


@pytest.mark.parametrize(
    ("layers", "feature_layer", "run"),
    [(24, -2, 23), (24, -1, 24), (24, -24, 1), (24, -25, 0), (24, 0, 0), (24, 7, 7), (6, -2, 5)],
)
def test_feature_layers(layers: int, feature_layer: int, run: int, tmp_path: Path) -> None:
    tower = {**LLAVA_1_5["vision_config"], "num_hidden_layers": layers}
    changed = build_llava_1_5_config(vision_config=tower, vision_feature_layer=feature_layer)
    assert (
        read_checkpoint(write_checkpoint_files(tmp_path, config=changed)).vision.num_layers == run
    )


@pytest.mark.parametrize(
    ("layers", "indexes"),
    [([-2], (23,)), ([-2, -5, 6], (23, 20, 6)), ([0, -1, -1, 24], (0, 24, 24, 24))],
)
def test_lists_of_feature_layers(
    layers: list[int], indexes: tuple[int, ...], tmp_path: Path
) -> None:
    changed = build_llava_1_5_config(vision_feature_layer=layers)
    vision = read_checkpoint(write_checkpoint_files(tmp_path, config=changed)).vision
    assert (vision.feature_layers, vision.num_layers) == (indexes, max(indexes))
    assert vision.feature_size == 1024 * len(indexes)


@pytest.mark.parametrize(("strategy", "tokens"), [("default", 576), ("full", 577)])
def test_select_strategies(strategy: str, tokens: int, tmp_path: Path) -> None:
    changed = build_llava_1_5_config(vision_feature_select_strategy=strategy)
    vision = read_checkpoint(write_checkpoint_files(tmp_path, config=changed)).vision
    assert vision.num_image_tokens == tokens


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "pad"),
        ({"image_aspect_ratio": "pad"}, "pad"),
        ({"image_aspect_ratio": "square"}, "square"),
        ({"image_aspect_ratio": None}, "square"),
    ],
)
def test_aspect_ratios(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(
        write_checkpoint_files(tmp_path, config=build_llava_1_5_config(**changes))
    )
    assert checkpoint.image.aspect_ratio == expected


@pytest.mark.parametrize("kind", ["anyres_max_9", "crop", 3])
def test_unknown_aspect_ratio_is_named(kind: Any, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=str(kind)):
        read_checkpoint(
            write_checkpoint_files(tmp_path, config=build_llava_1_5_config(image_aspect_ratio=kind))
        )


def test_a_converted_llava_1_6(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_checkpoint_files(tmp_path, config=build_llava_next_config()))
    assert checkpoint.image == ImageConfig(
        *(336, "anyres", CLIP_MEAN, CLIP_STD),
        ((672, 336), (336, 672), (672, 672), (336, 1008), (1008, 336)),
    )
    assert checkpoint.image.max_views is None
    vision = checkpoint.vision
    assert (vision.patch_merge, vision.has_image_newline) == ("spatial_unpad", True)
    assert (vision.projector.num_layers, vision.projector_bias) == (2, True)
    assert vision.text_hidden_size == 4096
    # 2880 patches, and a newline after each row of a column of tiles at most.
    assert 2880 + 48 <= checkpoint.max_image_tokens <= 2880 + 5 * 24


def test_a_model_without_tiles_takes_one_view(tmp_path: Path) -> None:
    assert read_checkpoint(write_checkpoint_files(tmp_path)).max_image_tokens == 576


@pytest.mark.parametrize(
    ("changes", "merge"),
    [
        ({"mm_patch_merge_type": "flat"}, "flat"),
        ({"mm_patch_merge_type": "spatial"}, "spatial"),
        ({"mm_patch_merge_type": "spatial_unpad"}, "spatial_unpad"),
        # The released code merges images of anyres only.
        ({"image_aspect_ratio": "pad", "mm_patch_merge_type": "spatial_unpad"}, "flat"),
        ({"image_aspect_ratio": None}, "flat"),
    ],
)
def test_patch_merge_types(changes: dict[str, Any], merge: str, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(
        write_checkpoint_files(tmp_path, config=build_llava_next_config(**changes))
    )
    assert checkpoint.vision.patch_merge == merge


def test_anyres_of_the_older_type_is_flat_by_default(tmp_path: Path) -> None:
    anyres = build_llava_1_5_config(image_aspect_ratio="anyres", image_grid_pinpoints=[[336, 672]])
    checkpoint = read_checkpoint(write_checkpoint_files(tmp_path, config=anyres))
    assert checkpoint.image.grid_pinpoints == ((672, 336),)
    assert checkpoint.vision.patch_merge == "flat"


@pytest.mark.parametrize(
    ("changes", "depth"),
    [
        ({}, 2),
        ({"mm_projector_type": "linear"}, 1),
        ({"mm_projector_type": "mlp0x_gelu"}, 1),
        ({"mm_projector_type": "mlp1x_gelu"}, 1),
        ({"mm_projector_type": "mlp2x_gelu"}, 2),
        ({"mm_projector_type": "mlp10x_gelu"}, 10),
    ],
)
def test_projectors(changes: dict[str, Any], depth: int, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(
        write_checkpoint_files(tmp_path, config=build_llava_1_5_config(**changes))
    )
    assert checkpoint.vision.projector.num_layers == depth


def test_an_identity_projector_needs_equal_widths(tmp_path: Path) -> None:
    narrow = {**LLAVA_1_5["text_config"], "hidden_size": 1024}
    changed = build_llava_1_5_config(mm_projector_type="identity", text_config=narrow)
    assert (
        read_checkpoint(
            write_checkpoint_files(tmp_path, config=changed)
        ).vision.projector.num_layers
        == 0
    )
    with pytest.raises(CheckpointError, match=r"1024 features into 4096"):
        read_checkpoint(
            write_checkpoint_files(
                tmp_path, config=build_llava_1_5_config(mm_projector_type="identity")
            )
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_grid_pinpoints": []}, r"image_grid_pinpoints \[\]"),
        ({"image_grid_pinpoints": "[[336, 672]]"}, "is not a list"),
        ({"image_grid_pinpoints": [[336]]}, r"\[336\] is not \[height, width\]"),
        ({"image_grid_pinpoints": [[336, 0]]}, r"\[336, 0\] is not \[height, width\]"),
        ({"image_grid_pinpoints": [[336, 500]]}, r"\[336, 500\] .* tiles of 336 pixels"),
        ({"mm_patch_merge_type": "maxpool2x2"}, "mm_patch_merge_type 'maxpool2x2'"),
        ({"vision_feature_select_strategy": "full"}, "no place for the class token"),
        ({"mm_projector_type": "mlp2x_res"}, "mm_projector_type 'mlp2x_res'"),
        ({"vision_feature_layer": [-2, -26]}, r"vision_feature_layer \[-2, -26\] .* has 24"),
        ({"vision_feature_layer": []}, r"vision_feature_layer \[\]"),
        ({"vision_feature_layer": [-2, None]}, r"vision_feature_layer \[-2, None\]"),
    ],
)
def test_unsupported_values_are_named(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(write_checkpoint_files(tmp_path, config=build_llava_next_config(**changes)))
    assert str(tmp_path) in str(caught.value)


def test_a_class_token_is_kept_where_views_are_laid_flat(tmp_path: Path) -> None:
    flat = build_llava_next_config(
        mm_patch_merge_type="flat", vision_feature_select_strategy="full"
    )
    checkpoint = read_checkpoint(write_checkpoint_files(tmp_path, config=flat))
    assert checkpoint.max_image_tokens == 5 * 577


def test_the_padding_is_the_checkpoints_mean(tmp_path: Path) -> None:
    assert read_checkpoint(write_checkpoint_files(tmp_path)).image.pad_color == (122, 116, 104)
    processor = {"image_mean": [0.5, 0.25, 1.0], "image_std": [0.5, 0.5, 0.5]}
    image = read_checkpoint(write_checkpoint_files(tmp_path, preprocessor_config=processor)).image
    assert image.pad_color == (127, 63, 255)


def test_optional_keys_of_the_vision_side(tmp_path: Path) -> None:
    tower = {**LLAVA_1_5["vision_config"], "hidden_act": "gelu", "layer_norm_eps": 1e-6}
    changed = build_llava_1_5_config(vision_config=tower, projector_hidden_act=...)
    vision = read_checkpoint(write_checkpoint_files(tmp_path, config=changed)).vision
    assert (vision.hidden_act, vision.layer_norm_eps, vision.projector_hidden_act) == (
        *("gelu", 1e-6),
        "gelu",
    )


def test_mean_and_deviation(tmp_path: Path) -> None:
    processor = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    image = read_checkpoint(write_checkpoint_files(tmp_path, preprocessor_config=processor)).image
    assert (image.mean, image.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    image = read_checkpoint(write_checkpoint_files(tmp_path, preprocessor_config={})).image
    assert (image.mean, image.std) == (CLIP_MEAN, CLIP_STD)


def test_other_towers_are_refused(tmp_path: Path) -> None:
    tower = {**LLAVA_1_5["vision_config"], "model_type": "dinov2"}
    with pytest.raises(CheckpointError, match="'dinov2' is not supported; supported: clip_vision"):
        read_checkpoint(
            write_checkpoint_files(tmp_path, config=build_llava_1_5_config(vision_config=tower))
        )


@pytest.mark.parametrize("size", [None, 0, -1, 14.0, True, [336, 336]], ids=str)
@pytest.mark.parametrize("key", ["image_size", "patch_size", "hidden_size", "num_hidden_layers"])
def test_an_odd_size_of_the_tower_is_named(key: str, size: Any, tmp_path: Path) -> None:
    tower = {**LLAVA_1_5["vision_config"], key: size}
    with pytest.raises(CheckpointError, match=f"{key} .* is not a whole number"):
        read_checkpoint(
            write_checkpoint_files(tmp_path, config=build_llava_1_5_config(vision_config=tower))
        )


@pytest.mark.parametrize("grids", [..., None], ids=str)
def test_anyres_of_the_older_type_needs_grids(grids: Any, tmp_path: Path) -> None:
    anyres = build_llava_1_5_config(image_aspect_ratio="anyres", image_grid_pinpoints=grids)
    with pytest.raises(CheckpointError, match="lacks 'image_grid_pinpoints'"):
        read_checkpoint(write_checkpoint_files(tmp_path, config=anyres))


def test_heads_must_share_the_towers_size(tmp_path: Path) -> None:
    tower = {**LLAVA_1_5["vision_config"], "num_attention_heads": 12}
    with pytest.raises(CheckpointError, match=r"hidden_size 1024 .* num_attention_heads 12"):
        read_checkpoint(
            write_checkpoint_files(tmp_path, config=build_llava_1_5_config(vision_config=tower))
        )


@pytest.mark.parametrize("name", ["prelu", "gelu-new", None, 3, ["gelu"]], ids=str)
def test_an_unknown_activation_is_named(name: Any, tmp_path: Path) -> None:
    tower = {**LLAVA_1_5["vision_config"], "hidden_act": name}
    changed = {"hidden_act": {"vision_config": tower}, "projector_hidden_act": {}}
    for key, changes in changed.items():
        config = build_llava_1_5_config(**changes or {key: name})
        with pytest.raises(CheckpointError, match=rf": {key} .* is not supported; supported: gelu"):
            read_checkpoint(write_checkpoint_files(tmp_path, config=config))
