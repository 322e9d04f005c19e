"""Activations equal transformers'."""

import pytest
import torch
from transformers.activations import ACT2CLS, ACT2FN

from server.checkpoint.activation import ACTIVATIONS
from server.images.vision.activations import build_activation

# They have weights of their own.
LEARNED = ("prelu", "xielu")


def test_all_without_weights_are_known() -> None:
    assert set(ACTIVATIONS) == set(ACT2CLS) - set(LEARNED)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_transformers(name: str) -> None:
    hidden = torch.linspace(-12, 12, 1001)
    torch.testing.assert_close(
        build_activation(name)(hidden), ACT2FN[name](hidden), rtol=1e-5, atol=1e-6
    )
