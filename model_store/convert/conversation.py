"""Chooses the conversation template that a release was trained on."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from model_store.convert.projector import read_projector_type
from model_store.convert.release import Layout, Release
from model_store.errors import ConversionError

CONV_MODES: Final = (
    "vicuna_v1",
    "llava_v1",
    "llava_v0",
    "v0",
    "default",
    "llava_llama_2",
    "llama_2",
    "mistral_instruct",
    "chatml_direct",
    "llava_llama_3",
    "llama_3",
    "qwen_1_5",
    "v0_mmtag",
    "v1_mmtag",
    "plain",
)
# Patterns in a release's name, in the order in which the released command line tries them. It takes
# v1.5 and v1.6 for v1; they were trained and are evaluated with vicuna_v1.
_BY_NAME: Final = (
    ("llava_llama_2", re.compile(r"^(?!.*v1\.[56]).*llama-2")),
    ("mistral_instruct", re.compile("mistral")),
    ("chatml_direct", re.compile(r"v1\.6-34b")),
    ("vicuna_v1", re.compile(r"v1\.[56]")),
    ("llava_v1", re.compile("v1")),
    ("llava_v0", re.compile("v0")),
)
_CHATML, _LLAMA_3 = "<|im_start|>", "<|start_header_id|>"


@dataclass(frozen=True, slots=True)
class ConvMode:
    """A conversation template and the reason for the choice."""

    name: str
    reason: str


def choose_conv_mode(
    release: Release, requested: str | None, has_token: Callable[[str], bool]
) -> ConvMode:
    """Return the requested template, by default the one that the release was trained on.

    Raises `ConversionError`.
    """
    if requested is None:
        return _infer(release, has_token)
    if requested not in CONV_MODES:
        raise ConversionError(
            f"unknown conversation template {requested!r}; known: {', '.join(CONV_MODES)}"
        )
    return ConvMode(requested, "asked for")


def _infer(release: Release, has_token: Callable[[str], bool]) -> ConvMode:
    if release.layout is Layout.PROJECTOR and release.config.get("tune_mm_mlp_adapter"):
        return ConvMode("plain", "only the projector was trained, on captions")
    match release.language_model:
        case "mistral":
            return _infer_for_mistral(release)
        case "qwen2":
            return ConvMode("qwen_1_5", "the language model is a Qwen2")
        case "llama":
            return _infer_for_llama(release, has_token)


def _infer_for_llama(release: Release, has_token: Callable[[str], bool]) -> ConvMode:
    if has_token(_CHATML):
        return ConvMode("chatml_direct", f"the tokenizer has {_CHATML}")
    if has_token(_LLAMA_3):
        return _infer_for_llama_3(release)
    for name in release.names:
        for mode, pattern in _BY_NAME:
            if pattern.search(name):
                return ConvMode(mode, f"the release is called {name}")
    # LLaVA v1.5 introduced the MLP; earlier releases are v0 or v1.
    if read_projector_type(release.config) != "linear":
        return ConvMode("vicuna_v1", "the projector is v1.5's or later")
    return ConvMode("llava_v0", "nothing says otherwise, and the released code falls back to it")


def _infer_for_mistral(release: Release) -> ConvMode:
    """Return the template of LLaVA-1.6 and LLaVA-Med; BakLLaVA was trained with Vicuna's."""
    if any("bakllava" in name for name in release.names):
        return ConvMode("vicuna_v1", "the release is a BakLLaVA")
    return ConvMode("mistral_instruct", "the language model is a Mistral")


def _infer_for_llama_3(release: Release) -> ConvMode:
    """Return the template of LLaVA-NeXT, or of XTuner, which trains without a system text."""
    for name in release.names:
        if name.startswith("llava-llama-3"):
            return ConvMode("llama_3", f"the release is called {name}, as XTuner's are")
    return ConvMode("llava_llama_3", f"the tokenizer has {_LLAMA_3}")
