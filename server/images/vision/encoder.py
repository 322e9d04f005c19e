"""The transformer that CLIP's and SigLIP's towers share, with transformers' weight names."""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from server.checkpoint.vision import VisionConfig
from server.images.vision.activations import build_activation


class Attention(nn.Module):
    """Multi-head self-attention without a mask."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Attend within each view; hidden is (views, tokens, hidden)."""
        query, key, value = (
            self._split_heads(project(hidden))
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = scaled_dot_product_attention(query, key, value)
        output: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return output

    def _split_heads(self, hidden: Tensor) -> Tensor:
        heads: Tensor = hidden.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        return heads  # (views, heads, tokens, head size)


class MLP(nn.Module):
    """The feed-forward half of a layer."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = build_activation(config.hidden_act)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Apply to each token."""
        output: Tensor = self.fc2(self.activation(self.fc1(hidden)))
        return output


class TransformerLayer(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.self_attn = Attention(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = MLP(config)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (views, tokens, hidden) to the same shape."""
        hidden = hidden + self.self_attn(self.layer_norm1(hidden))
        output: Tensor = hidden + self.mlp(self.layer_norm2(hidden))
        return output


class TransformerEncoder(nn.Module):
    """The stack of layers, up to the last feature layer."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.feature_layers = config.feature_layers or (config.num_layers,)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.num_layers))

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the feature layers' outputs, concatenated along the hidden dimension.

        Layer 0 is the input.
        """
        outputs = {0: hidden} if 0 in self.feature_layers else {}
        for index, layer in enumerate(self.layers, 1):
            hidden = layer(hidden)
            if index in self.feature_layers:
                outputs[index] = hidden
        features = [outputs[index] for index in self.feature_layers]
        return features[0] if len(features) == 1 else torch.cat(features, dim=-1)
