"""The kinds of projector, against the released code's own regular expression and modules."""

import re

import pytest
from torch import nn

from llava_spec.projector import ProjectorConfig, parse_projector_type


def build_released_projector(projector_type: str) -> nn.Module:
    """`build_vision_projector` of the released code, with small layers."""
    if projector_type == "linear":
        return nn.Linear(3, 2)
    mlp_gelu_match = re.match(r"^mlp(\d+)x_gelu$", projector_type)
    if mlp_gelu_match:
        modules: list[nn.Module] = [nn.Linear(3, 2)]
        for _ in range(1, int(mlp_gelu_match.group(1))):
            modules += [nn.GELU(), nn.Linear(2, 2)]
        return nn.Sequential(*modules)
    assert projector_type == "identity"
    return nn.Identity()


@pytest.mark.parametrize(
    ("projector_type", "config"),
    [
        ("identity", ProjectorConfig("identity", 0)),
        ("linear", ProjectorConfig("linear", 1)),
        ("mlp0x_gelu", ProjectorConfig("mlp", 1)),
        ("mlp1x_gelu", ProjectorConfig("mlp", 1)),
        ("mlp2x_gelu", ProjectorConfig("mlp", 2)),
        ("mlp10x_gelu", ProjectorConfig("mlp", 10)),
    ],
)
def test_kinds_and_layers(projector_type: str, config: ProjectorConfig) -> None:
    assert parse_projector_type(projector_type) == config


@pytest.mark.parametrize(
    "projector_type", ["identity", "linear", "mlp0x_gelu", "mlp1x_gelu", "mlp3x_gelu"]
)
def test_weights_are_named_as_in_the_released_module(projector_type: str) -> None:
    released = nn.ModuleDict({"mm_projector": build_released_projector(projector_type)})
    config = parse_projector_type(projector_type)
    assert list(released.state_dict()) == [
        f"{config.module_name(layer)}.{parameter}"
        for layer in range(config.num_layers)
        for parameter in ("weight", "bias")
    ]


@pytest.mark.parametrize(
    "projector_type",
    [
        "",
        "qformer",
        "mlp2x_res",
        "mlpx_gelu",
        "mlp-1x_gelu",
        "mlp2x_gelu_norm",
        None,
        2,
        ["linear"],
    ],
)
def test_other_kinds_are_refused_by_name(projector_type: object) -> None:
    with pytest.raises(ValueError, match=r"is not supported; supported: linear, ") as error:
        parse_projector_type(projector_type)
    assert repr(projector_type) in str(error.value)
