"""The projector between vision tower and language model: its kinds, by `mm_projector_type`.

Follows `build_vision_projector` of the released code:
https://github.com/haotian-liu/LLaVA/blob/main/llava/model/multimodal_projector/builder.py
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

ProjectorKind = Literal["identity", "linear", "mlp"]

_MLP: Final = re.compile(r"mlp(\d+)x_gelu")


@dataclass(frozen=True, slots=True)
class ProjectorConfig:
    """The projector's kind and its number of linear layers, with a GELU between each two.

    `identity` has none and `linear` has one, a bare `nn.Linear`. `mlp` has at least one, in an
    `nn.Sequential`; its kind matters only for the names of released weights.
    """

    kind: ProjectorKind
    num_layers: int

    def module_name(self, layer: int) -> str:
        """Return the released module's name of a linear layer, which counts from 0.

        In an `nn.Sequential` every other module is a GELU, which holds no weights.
        """
        return "mm_projector" if self.kind == "linear" else f"mm_projector.{2 * layer}"


def parse_projector_type(projector_type: object) -> ProjectorConfig:
    """Parse `mm_projector_type`. Raises `ValueError` if the released code does not know it.

    `mlp0x_gelu` equals `mlp1x_gelu`: the released code always builds the first linear layer.
    """
    if projector_type == "identity":
        return ProjectorConfig("identity", 0)
    if projector_type == "linear":
        return ProjectorConfig("linear", 1)
    if isinstance(projector_type, str) and (match := _MLP.fullmatch(projector_type)):
        return ProjectorConfig("mlp", max(1, int(match[1])))
    raise ValueError(
        f"mm_projector_type {projector_type!r} is not supported; "
        "supported: linear, mlpNx_gelu, identity"
    )
