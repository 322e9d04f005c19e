"""The kinds of vision towers in releases: configurations, normalisation and shapes of weights."""

from dataclasses import dataclass, field
from typing import Final

from llava_spec import towers
from llava_spec.image_settings import CLIP_MEAN, CLIP_STD, Channels
from model_store.convert.json_file import Json
from model_store.convert.shapes import Shape, linear_shapes


@dataclass(frozen=True, slots=True)
class TowerKind:
    """A kind of tower.

    `defaults` are the values that transformers omits from a config.json; `released` are the
    configurations of towers that releases name, which need no download. LLaVA leaves out the last
    `unused_layers`, whose features nothing uses.
    """

    model_type: str  # of a vision tower alone
    whole_model_type: str  # of a model that has a text tower, too
    defaults: Json
    released: dict[str, Json]
    mean: Channels
    std: Channels
    has_class_token: bool
    unused_layers: int = 0
    fixed: Json = field(default_factory=dict)  # keys that the converted configuration gets

    def list_shapes(self, config: Json) -> dict[str, Shape]:
        """Return the shapes of a tower's weights by name."""
        hidden, patch = config["hidden_size"], config["patch_size"]
        positions = (config["image_size"] // patch) ** 2 + self.has_class_token
        shapes: dict[str, Shape] = {
            "embeddings.patch_embedding.weight": (hidden, config["num_channels"], patch, patch),
            "embeddings.position_embedding.weight": (positions, hidden),
        }
        if self.has_class_token:
            shapes |= {
                "embeddings.class_embedding": (hidden,),
                **_norm_shapes("pre_layrnorm", hidden),
            }
        else:
            shapes["embeddings.patch_embedding.bias"] = (hidden,)
        for index in range(config["num_hidden_layers"]):
            shapes |= _list_layer_shapes(f"encoder.layers.{index}", config)
        return shapes | _norm_shapes("post_layernorm", hidden)


def _list_layer_shapes(layer: str, config: Json) -> dict[str, Shape]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes = _norm_shapes(f"{layer}.layer_norm1", hidden)
    shapes |= _norm_shapes(f"{layer}.layer_norm2", hidden)
    for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
        shapes |= linear_shapes(f"{layer}.self_attn.{projection}", hidden, hidden)
    shapes |= linear_shapes(f"{layer}.mlp.fc1", hidden, inner)
    return shapes | linear_shapes(f"{layer}.mlp.fc2", inner, hidden)


def _norm_shapes(name: str, size: int) -> dict[str, Shape]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


_CLIP_DEFAULTS: Final[Json] = {**towers.CLIP, "projection_dim": 512}
_CLIP_LARGE: Final[Json] = {**_CLIP_DEFAULTS, **towers.CLIP_LARGE, "projection_dim": 768}
_CLIP_LARGE_336: Final[Json] = {**_CLIP_LARGE, **towers.CLIP_LARGE_336}
CLIP: Final = TowerKind(
    model_type="clip_vision_model",
    whole_model_type="clip",
    defaults=_CLIP_DEFAULTS,
    released={
        "openai/clip-vit-large-patch14": _CLIP_LARGE,
        "openai/clip-vit-large-patch14-336": _CLIP_LARGE_336,
        "Lin-Chen/ShareGPT4V-7B_Pretrained_vit-large336-l12": _CLIP_LARGE_336,
        "Lin-Chen/ShareGPT4V-13B_Pretrained_vit-large336-l12": _CLIP_LARGE_336,
    },
    mean=CLIP_MEAN,
    std=CLIP_STD,
    has_class_token=True,
)
_HALVES: Final = (0.5, 0.5, 0.5)
SIGLIP: Final = TowerKind(
    model_type="siglip_vision_model",
    whole_model_type="siglip",
    defaults=dict(towers.SIGLIP),
    released={"google/siglip-so400m-patch14-384": {**towers.SIGLIP, **towers.SIGLIP_SO400M_384}},
    mean=_HALVES,
    std=_HALVES,
    has_class_token=False,
    unused_layers=towers.SIGLIP_UNUSED_LAYERS,
    fixed={"vision_use_head": False},
)
KINDS: Final = (CLIP, SIGLIP)
