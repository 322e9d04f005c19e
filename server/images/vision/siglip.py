"""SigLIP's vision tower: no class token, no norm in front, a bias on the patches."""

from torch import Tensor, nn

from server.checkpoint.vision import VisionConfig
from server.images.vision.encoder import TransformerEncoder


class SiglipEmbeddings(nn.Module):
    """Patch embeddings plus learned position embeddings."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(
            3, config.hidden_size, config.patch_size, stride=config.patch_size
        )
        self.position_embedding = nn.Embedding(config.patches_per_side**2, config.hidden_size)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Embed pixel_values (views, 3, size, size)."""
        patches: Tensor = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        return patches + self.position_embedding.weight  # (views, patches, hidden)


class SiglipTower(nn.Module):
    """SigLIP's vision transformer up to the feature layer, with transformers' weight names."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.first_token = int(not config.keep_class_token)
        self.embeddings = SiglipEmbeddings(config)
        self.encoder = TransformerEncoder(config)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return image_features (views, num_image_tokens, features) of (views, 3, size, size).

        Equals transformers' `hidden_states[vision_feature_layer]`, which stand before
        `post_layernorm`. The strategy `default` drops the first patch, as transformers does.
        """
        hidden: Tensor = self.encoder(self.embeddings(pixel_values))
        return hidden[:, self.first_token :]
