"""CLIP's vision tower and LLaVA's projector: one module from uint8 views to image_embeds."""

import torch
from torch import Tensor, nn

from llava_spec.anyres import Size
from server.checkpoint.video import VideoConfig
from server.checkpoint.vision import ImageConfig, VisionConfig
from server.images.vision.activations import build_activation
from server.images.vision.encoder import TransformerEncoder
from server.images.vision.merge import merge_views
from server.images.vision.normalisation import Normalisation
from server.images.vision.pooling import pool_frames
from server.images.vision.s2 import extract_multiscale_features
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
    """Normalisation, vision tower and projector, of images and where `video` is given of frames."""

    image_newline: nn.Parameter | None

    def __init__(
        self, vision: VisionConfig, image: ImageConfig, video: VideoConfig | None = None
    ) -> None:
        super().__init__()
        self.vision_tower = build_vision_tower(vision)
        self.multi_modal_projector = MultiModalProjector(vision)
        newline = torch.empty(vision.text_hidden_size) if vision.has_image_newline else None
        self.register_parameter("image_newline", None if newline is None else nn.Parameter(newline))
        self.vision, self.image, self.video = vision, image, video
        self.output_dtype: torch.dtype | None = None
        self.normalize = Normalisation(image.mean, image.std)
        frames = video or image
        self.normalize_frames = Normalisation(frames.mean, frames.std)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.normalize.mean.device

    @torch.inference_mode()
    def forward(self, views: Tensor) -> Tensor:
        """Map uint8 views (views, size, size, 3) to image_embeds (views, tokens, text hidden)."""
        image_features = self._extract_features(views, self.normalize)
        image_embeds: Tensor = self.multi_modal_projector(image_features)
        return image_embeds

    @torch.inference_mode()
    def embed_frames(self, frames: Tensor) -> Tensor:
        """Return embeddings (frames, tokens, text hidden) of uint8 frames (frames, size, size, 3).

        Follows `get_video_features` of transformers' classes up to the reshape.
        """
        features = self._extract_features(frames, self.normalize_frames)
        if self.video is None:
            raise TypeError("the model does not support video")
        if self.video.pooling == "bilinear":
            return pool_frames(self.multi_modal_projector(features), self.video)
        embeds: Tensor = self.multi_modal_projector(pool_frames(features, self.video))
        return embeds

    def _extract_features(self, views: Tensor, normalize: Normalisation) -> Tensor:
        dtype = self.vision_tower.embeddings.patch_embedding.weight.dtype
        pixel_values = normalize(views).to(dtype)
        if self.vision.s2_scales:
            return extract_multiscale_features(
                self.vision_tower, pixel_values, self.vision.s2_scales
            )
        features: Tensor = self.vision_tower(pixel_values)
        return features

    @torch.inference_mode()
    def merge(self, image_embeds: Tensor, image_size: Size) -> Tensor:
        """Merge the views of one image, image_embeds (views, tokens, text hidden).

        `image_size` is the (width, height) of the image. Returns (num_image_tokens, text hidden),
        in `output_dtype` if that is set.
        """
        merged = merge_views(image_embeds, image_size, self.vision, self.image, self.image_newline)
        return merged.to(self.output_dtype or merged.dtype)

    @torch.inference_mode()
    def merge_frames(self, embeds: Tensor) -> Tensor:
        """Merge the frames of one video, embeddings (frames, tokens, text hidden), as `merge`."""
        merged = embeds.flatten(0, 1)
        if self.video is not None and self.video.has_newline and self.image_newline is not None:
            merged = torch.cat([merged, self.image_newline[None]])
        return merged.to(self.output_dtype or merged.dtype)
