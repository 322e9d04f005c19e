"""A tower, a projector and a language model as one module to train."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionModel, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from llava_spec.projector import ProjectorConfig
from training.tuning.prompts import IGNORED, IMAGE_TOKEN_ID


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
    """

    def __init__(
        self,
        vision_tower: CLIPVisionModel,
        projector: nn.Module,
        language_model: PreTrainedModel,
        *,
        feature_layer: int = -2,
    ) -> None:
        super().__init__()
        self.vision_tower = vision_tower
        self.projector = projector
        self.language_model = language_model
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
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> CausalLMOutput:
        """Return logits and, with labels, the loss.

        The loss is the mean over this batch's learned tokens, or with `num_items_in_batch` the sum
        divided by that: the learned tokens of all micro-batches of a step.
        """
        logits = self.language_model(
            inputs_embeds=self.embed(input_ids, pixel_values, image_lengths),
            attention_mask=attention_mask,
            use_cache=False,
        ).logits
        loss = None if labels is None else _compute_loss(logits, labels, num_items_in_batch)
        return CausalLMOutput(loss=loss, logits=logits)

    def embed(
        self, input_ids: Tensor, pixel_values: Tensor, image_lengths: Tensor | None = None
    ) -> Tensor:
        """Return the embeddings of tokens, and of images at their tokens: (batch, length, width).

        Of image i, the first `image_lengths[i]` embeddings are used, by default all.
        A batch without images has tower and projector in its graph with a gradient of zero, as the
        released code has it: with several processes every parameter needs one in every step.
        """
        is_image = (input_ids == IMAGE_TOKEN_ID).unsqueeze(-1)
        embeds = self.language_model.get_input_embeddings()(input_ids.clamp(min=0))
        if len(pixel_values):
            rows = self.embed_images(pixel_values).to(embeds.dtype)
            if image_lengths is not None:
                numbers = torch.arange(rows.shape[1], device=rows.device)
                rows = rows[numbers < image_lengths[:, None]]
            filled: Tensor = embeds.masked_scatter(is_image, rows)
            return filled
        size = self.vision_tower.config.image_size
        nothing = self.embed_images(torch.zeros(1, 3, size, size, device=embeds.device))
        total: Tensor = embeds + 0 * nothing.sum().to(embeds.dtype)
        return total

    def embed_images(self, pixel_values: Tensor) -> Tensor:
        """Return the projected patches of images: (images, patches, width)."""
        with torch.set_grad_enabled(self.is_tower_trained and torch.is_grad_enabled()):
            outputs = self.vision_tower(
                pixel_values.to(self.vision_tower.dtype), output_hidden_states=True
            )
        features = outputs.hidden_states[self._feature_layer][:, 1:]
        rows: Tensor = self.projector(features.to(next(self.projector.parameters()).dtype))
        return rows

    def train_tower(self) -> None:
        """Train the tower too, but for what comes after the hidden state that is used."""
        self.is_tower_trained = True
        num_layers = self.vision_tower.config.num_hidden_layers
        used = self._feature_layer % (num_layers + 1)
        for name, parameter in self.vision_tower.named_parameters():
            layer = re.search(r"encoder\.layers\.(\d+)\.", name)
            is_after = int(layer[1]) >= used if layer else "post_layernorm" in name
            parameter.requires_grad_(not is_after)

    @property
    def num_patches(self) -> int:
        """The number of embeddings of an image."""
        config = self.vision_tower.config
        return int((config.image_size // config.patch_size) ** 2)

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
