"""Distinguishes LLaVA's own released layout from the Hugging Face one."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ARCHITECTURES: Final = frozenset(
    {
        "LlavaLlamaForCausalLM",
        "LlavaMistralForCausalLM",
        "LlavaQwenForCausalLM",
        "Share4VLlamaForCausalLM",
    }
)
MODEL_TYPES: Final = frozenset({"llava_llama", "llava_mistral", "llava_qwen", "share4v"})


def has_mpt(config: Mapping[str, Any]) -> bool:
    """Whether the language model is an MPT, in LLaVA's own layout or in the Hugging Face one."""
    text = config.get("text_config")
    text_type = text.get("model_type") if isinstance(text, dict) else None
    architectures = config.get("architectures")
    names = architectures if isinstance(architectures, list) else ()
    return (
        "mpt" in (config.get("model_type"), text_type)
        or config.get("model_type") == "llava_mpt"
        or any(str(name).lower() == "llavamptforcausallm" for name in names)
    )


def is_released(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a released LLaVA, which must be converted first."""
    architectures = config.get("architectures")
    released = ARCHITECTURES.intersection(architectures) if isinstance(architectures, list) else ()
    return bool(released) or config.get("model_type") in MODEL_TYPES


def format_convert_command(folder: Path) -> str:
    """Return the command line that converts a released checkpoint."""
    return f"llava-server convert {shlex.quote(str(folder))}"
