"""CLIP's vision tower and LLaVA's projector: one module from uint8 views to image_embeds."""

import torch
from torch import Tensor, nn

from llava_spec.anyres import Size
from server.checkpoint.vision import ImageConfig, VisionConfig
from server.images.vision.encoder import TransformerEncoder, build_activation
from server.images.vision.merge import merge_views
from server.images.vision.siglip import SiglipTower


class Embeddings(nn.Module):
    """Patch embeddings behind a class token, plus learned position embeddings."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        num_patches = (config.image_size // config.patch_size) ** 2
        self.class_embedding = nn.Parameter(torch.empty(config.hidden_size))
        self.patch_embedding = nn.Conv2d(
            3, config.hidden_size, config.patch_size, stride=config.patch_size, bias=False
        )
        self.position_embedding = nn.Embedding(num_patches + 1, config.hidden_size)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Embed pixel_values (views, 3, size, size)."""
        patches = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        class_token = self.class_embedding.expand(len(patches), 1, -1)
        tokens = torch.cat([class_token, patches], dim=1)  # (views, 1 + patches, hidden)
        return tokens + self.position_embedding.weight


class VisionTower(nn.Module):
    """CLIP's vision transformer up to the feature layer, with transformers' weight names."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.keep_class_token = config.keep_class_token
        self.embeddings = Embeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.encoder = TransformerEncoder(config)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return image_features (views, num_image_tokens, features) of (views, 3, size, size).

        Equals transformers' `hidden_states[vision_feature_layer]`, of several layers concatenated,
        under the strategy `default` (class token dropped) or `full` (kept).
        """
        hidden: Tensor = self.encoder(self.pre_layrnorm(self.embeddings(pixel_values)))
        return hidden if self.keep_class_token else hidden[:, 1:]


def build_vision_tower(config: VisionConfig) -> VisionTower | SiglipTower:
    """Return the tower of the checkpoint's kind."""
    return SiglipTower(config) if config.tower == "siglip" else VisionTower(config)


class MultiModalProjector(nn.Module):
    """Projects image_features to image_embeds: `linear`, `mlpNx_gelu` or `identity`.

    The layers are `linear_1` to `linear_N`, as transformers names the two of LLaVA-1.5. ViP-LLaVA
    has a layer norm before them.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width, eps = config.feature_size, config.projector_layernorm_eps
        self.projector_layernorm = nn.Identity() if eps is None else nn.LayerNorm(width, eps)
        self.names = [f"linear_{number + 1}" for number in range(config.projector.num_layers)]
        for name in self.names:
            linear = nn.Linear(width, config.text_hidden_size, bias=config.projector_bias)
            self.add_module(name, linear)
            width = config.text_hidden_size
        self.act = build_activation(config.projector_hidden_act)

    def forward(self, image_features: Tensor) -> Tensor:
        """Map (views, tokens, features) to image_embeds (views, tokens, text hidden)."""
        hidden: Tensor = self.projector_layernorm(image_features)
        for name in self.names:
            hidden = self.get_submodule(name)(hidden if name == "linear_1" else self.act(hidden))
        return hidden


class VisionModel(nn.Module):
    """Normalisation, vision tower and projector."""

    mean: Tensor
    std: Tensor
    image_newline: nn.Parameter | None

    def __init__(self, vision: VisionConfig, image: ImageConfig) -> None:
        super().__init__()
        self.vision_tower = build_vision_tower(vision)
        self.multi_modal_projector = MultiModalProjector(vision)
        newline = torch.empty(vision.text_hidden_size) if vision.has_image_newline else None
        self.register_parameter("image_newline", None if newline is None else nn.Parameter(newline))
        self.vision, self.image = vision, image
        self.output_dtype: torch.dtype | None = None
        for name, values in (("mean", image.mean), ("std", image.std)):
            channels = torch.tensor(values, dtype=torch.float32, device="cpu").view(3, 1, 1)
            self.register_buffer(name, channels, persistent=False)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.mean.device

    @torch.inference_mode()
    def forward(self, views: Tensor) -> Tensor:
        """Turn uint8 views (views, size, size, 3) into image_embeds (views, tokens, text hidden).

        Rescaling and normalising happen in float32, as in CLIP's preprocessing.
        """
        dtype = self.vision_tower.embeddings.patch_embedding.weight.dtype
        pixels = views.permute(0, 3, 1, 2).float() / 255
        pixel_values = ((pixels - self.mean) / self.std).to(dtype)  # (views, 3, size, size)
        image_embeds: Tensor = self.multi_modal_projector(self.vision_tower(pixel_values))
        return image_embeds

    @torch.inference_mode()
    def merge(self, image_embeds: Tensor, image_size: Size) -> Tensor:
        """Merge the views of one image, image_embeds (views, tokens, text hidden).

        `image_size` is the (width, height) of the image. Returns (num_image_tokens, text hidden),
        in `output_dtype` if that is set.
        """
        merged = merge_views(image_embeds, image_size, self.vision, self.image, self.image_newline)
        return merged.to(self.output_dtype or merged.dtype)
