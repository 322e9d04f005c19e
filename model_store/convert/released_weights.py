"""All weights of a release under LLaVA's own names, for every layout."""

from typing import Final

import torch
from torch import Tensor

from model_store.convert import delta, lora
from model_store.convert.release import PROJECTOR_FILE, Layout, Release
from model_store.convert.weights import Weight, Weights, read_file, read_folder
from model_store.errors import ConversionError

EMBEDDING: Final = "model.embed_tokens.weight"
HEAD: Final = "lm_head.weight"


def read_released_weights(release: Release) -> Weights:
    """Return the release's weights, combined with its base model's.

    Raises `ConversionError`.
    """
    weights = _combine(release)
    if HEAD not in weights and EMBEDDING in weights:
        weights[HEAD] = weights[EMBEDDING]  # tied, so stored only once
    return weights


def _combine(release: Release) -> Weights:
    if release.base is None:
        return read_folder(release.path)
    base = read_folder(release.base)
    match release.layout:
        case Layout.DELTA:
            return delta.apply_delta(read_folder(release.path), base)
        case Layout.LORA:
            return lora.merge_lora(base, release.path)
        case _:
            return _add_projector(base, release)


def _add_projector(base: Weights, release: Release) -> Weights:
    """Add the weights of stage 1: the projector, perhaps embeddings of `<im_start>`, `<im_end>`."""
    file = release.path / PROJECTOR_FILE
    weights = base | {_build_full_name(name): weight for name, weight in read_file(file).items()}
    embedding, old = weights.get(EMBEDDING), base.get(EMBEDDING)
    if embedding and old and embedding.shape[0] < old.shape[0]:
        # The released training code adds <im_patch> before these two, and trains no row for it.
        gap = int(release.config.get("mm_use_im_patch_token", True))
        weights[EMBEDDING] = _append_rows(old, embedding, gap)
    return weights


def _build_full_name(name: str) -> str:
    _, found, rest = name.rpartition("mm_projector.")
    return f"model.mm_projector.{rest}" if found else name


def _append_rows(old: Weight, new: Weight, gap: int) -> Weight:
    """Append the new tokens' rows after the old rows and `gap` rows of their mean."""
    if old.shape[1:] != new.shape[1:]:
        raise ConversionError(
            f"{new.origin}: {EMBEDDING} {new.shape} does not fit the base model's {old.shape}"
        )

    def load() -> Tensor:
        first = old.load()
        mean = first.float().mean(0).to(first.dtype).expand(gap, -1)
        return torch.cat([first, mean, new.load().to(first.dtype)])

    return Weight((old.shape[0] + gap + new.shape[0], *old.shape[1:]), new.origin, load)
