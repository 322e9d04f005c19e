"""A tower, a projector and a language model as one module to train."""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionModel, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from llava_spec.projector import ProjectorConfig, parse_projector_type
from training.tuning.prompts import IGNORED, IMAGE_TOKEN_ID
from training.tuning.tiles import TileLayout


def read_projector_type(name: str) -> ProjectorConfig:
    """Return the projector of a type that can be trained. Raises `ValueError` for others."""
    try:
        config = parse_projector_type(name)
    except ValueError:
        raise ValueError(
            f"there is no projector of the type {name!r}: take linear or mlpNx_gelu"
        ) from None
    if config.kind == "identity":
        raise ValueError("a projector of the type identity has nothing to train")
    return config


def build_projector(config: ProjectorConfig, tower_width: int, width: int) -> nn.Module:
    """Return a projector with the released modules' names: `0`, `2`, … of a Sequential."""
    if config.kind == "linear":
        return nn.Linear(tower_width, width)
    layers: list[nn.Module] = [nn.Linear(tower_width, width)]
    for _ in range(1, config.num_layers):
        layers += [nn.GELU(), nn.Linear(width, width)]
    return nn.Sequential(*layers)


class LlavaForTraining(nn.Module):
    """Puts projected patches in the place of image tokens, and learns the labels after them.

    The tower's hidden state `feature_layer` is used without its class token (paper, section 4.1).
    With `tiles`, an image's views are merged as the server merges them. `image_newline`, which then
    ends each row of a grid, begins as in LLaVA-NeXT.
    """

    image_newline: nn.Parameter | None

    def __init__(
        self,
        vision_tower: CLIPVisionModel,
        projector: nn.Module,
        language_model: PreTrainedModel,
        *,
        feature_layer: int = -2,
        tiles: TileLayout | None = None,
    ) -> None:
        super().__init__()
        self.vision_tower = vision_tower
        self.projector = projector
        self.language_model = language_model
        self.tiles = tiles
        self.register_parameter("image_newline", self._draw_image_newline())
        self._feature_layer = feature_layer
        self.is_tower_trained = False
        # Read by transformers' Trainer.
        self.accepts_loss_kwargs = True
        self._keys_to_ignore_on_save = None
        # Read by accelerate: what FSDP wraps.
        self._no_split_modules = list(language_model._no_split_modules or ())

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        pixel_values: Tensor,
        image_lengths: Tensor | None = None,
        num_views: Tensor | None = None,
        image_sizes: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> CausalLMOutput:
        """Return logits and, with labels, the loss.

        The loss is the mean over this batch's learned tokens, or with `num_items_in_batch` the sum
        divided by that: the learned tokens of all micro-batches of a step.
        """
        logits = self.language_model(
            inputs_embeds=self.embed(
                input_ids, pixel_values, image_lengths, num_views, image_sizes
            ),
            attention_mask=attention_mask,
            use_cache=False,
        ).logits
        loss = None if labels is None else _compute_loss(logits, labels, num_items_in_batch)
        return CausalLMOutput(loss=loss, logits=logits)

    def embed(
        self,
        input_ids: Tensor,
        pixel_values: Tensor,
        image_lengths: Tensor | None = None,
        num_views: Tensor | None = None,
        image_sizes: Tensor | None = None,
    ) -> Tensor:
        """Return the embeddings of tokens, and of images at their tokens: (batch, length, width).

        Of image i, the first `image_lengths[i]` embeddings are used, by default all. With tiles all
        are, and image i has the next `num_views[i]` views and the (width, height) `image_sizes[i]`.
        A batch without images has tower and projector in its graph with a gradient of zero, as the
        released code has it: with several processes every parameter needs one in every step.
        """
        is_image = (input_ids == IMAGE_TOKEN_ID).unsqueeze(-1)
        embeds = self.language_model.get_input_embeddings()(input_ids.clamp(min=0))
        if len(pixel_values):
            views = self.embed_images(pixel_values)
            if self.tiles is None:
                image_embeds = _cut(views, image_lengths)
            else:
                image_embeds = self._merge(views, num_views, image_sizes)
            filled: Tensor = embeds.masked_scatter(is_image, image_embeds.to(embeds.dtype))
            return filled
        size = self.vision_tower.config.image_size
        nothing = self.embed_images(torch.zeros(1, 3, size, size, device=embeds.device)).sum()
        if self.image_newline is not None:
            nothing = nothing + self.image_newline.sum()
        total: Tensor = embeds + 0 * nothing.to(embeds.dtype)
        return total

    def _merge(self, views: Tensor, num_views: Tensor | None, image_sizes: Tensor | None) -> Tensor:
        """Merge the views (views, patches, width) of each image: (image tokens of all, width)."""
        if self.tiles is None or num_views is None or image_sizes is None:
            raise TypeError("views are merged by their number and the image's size")
        images = zip(views.split(num_views.tolist()), image_sizes.tolist(), strict=True)
        return torch.cat(
            [self.tiles.merge(each, tuple(size), self.image_newline) for each, size in images]
        )

    def embed_images(self, pixel_values: Tensor) -> Tensor:
        """Return the projected patches of views: (views, patches, width)."""
        with torch.set_grad_enabled(self.is_tower_trained and torch.is_grad_enabled()):
            outputs = self.vision_tower(
                pixel_values.to(self.vision_tower.dtype), output_hidden_states=True
            )
        features = outputs.hidden_states[self._feature_layer][:, 1:]
        rows: Tensor = self.projector(features.to(next(self.projector.parameters()).dtype))
        return rows

    def _draw_image_newline(self) -> nn.Parameter | None:
        if self.tiles is None or not self.tiles.vision.has_image_newline:
            return None
        width, dtype = self.tiles.vision.text_hidden_size, next(self.projector.parameters()).dtype
        return nn.Parameter(torch.randn(width, dtype=dtype) / math.sqrt(width))

    def train_tower(self) -> None:
        """Train the tower too, but for what comes after the hidden state that is used."""
        self.is_tower_trained = True
        num_layers = self.vision_tower.config.num_hidden_layers
        used = self._feature_layer % (num_layers + 1)
        for name, parameter in self.vision_tower.named_parameters():
            layer = re.search(r"encoder\.layers\.(\d+)\.", name)
            is_after = int(layer[1]) >= used if layer else "post_layernorm" in name
            parameter.requires_grad_(not is_after)

    def train(self, mode: bool = True) -> "LlavaForTraining":
        """As `nn.Module.train`, but a frozen tower stays as it is used."""
        super().train(mode)
        self.vision_tower.train(mode and self.is_tower_trained)
        return self

    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """Compute activations of the language model again in the backward pass."""
        self.language_model.gradient_checkpointing_enable(**options)

    def gradient_checkpointing_disable(self) -> None:
        """Keep all activations."""
        self.language_model.gradient_checkpointing_disable()

    def trained_state(self, state: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Return the parameters that are trained; the others are those of the sources."""
        names = {name for name, each in self.named_parameters() if each.requires_grad}
        state = self.state_dict() if state is None else state
        return {name: tensor for name, tensor in state.items() if name in names}


def _cut(image_embeds: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the first embeddings of each image (images, patches, width), as many as it uses."""
    if lengths is None:
        return image_embeds
    numbers = torch.arange(image_embeds.shape[1], device=image_embeds.device)
    return image_embeds[numbers < lengths[:, None]]


def _compute_loss(
    logits: Tensor, labels: Tensor, num_items_in_batch: Tensor | int | None
) -> Tensor:
    """Return the cross entropy of each label with the logits of the position before it."""
    shifted = logits[:, :-1].float().flatten(0, 1)
    targets = labels[:, 1:].flatten().to(logits.device)
    if num_items_in_batch is None:
        return nn.functional.cross_entropy(shifted, targets, ignore_index=IGNORED)
    total = nn.functional.cross_entropy(shifted, targets, ignore_index=IGNORED, reduction="sum")
    return total / num_items_in_batch
