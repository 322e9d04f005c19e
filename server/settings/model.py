"""Model: which one, its names, its prompt template."""

from typing import Literal

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings

from server.settings.types import NamedFolders


class ModelSettings(BaseSettings):
    """Model: which one, its names, its prompt template."""

    model: str = Field(
        "llava-tiny",
        description="a name in the model store, the path of a checkpoint, or a hub id"
        " (org/name, org/name@revision), which is pulled unless the store has it",
    )
    verify_model: bool = Field(
        True, description="compare the model's files with its manifest before loading them"
    )
    served_model_name: str | None = Field(
        None,
        description="the name clients use, or several with commas between them, of which"
        " responses repeat the requested one; default: the checkpoint's folder name",
    )
    conv_mode: str | None = Field(
        None,
        description="conversation template, or chat_template for the checkpoint's own; default: "
        "the one the checkpoint was trained with",
    )
    tool_parser: str = Field(
        "auto",
        description="which of vLLM's tool parsers reads the model's calls, or none; auto: the one"
        " that fits the checkpoint's own chat template, if that is in use and supports tools",
    )
    accelerator: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where the vision tower runs; auto takes CUDA where there is a GPU"
    )
    lora_adapters: NamedFolders = Field(
        {},
        description="LoRA adapters (PEFT folders) to serve as models of these names, as"
        " name=folder, comma-separated; default: none",
    )
    max_loras: PositiveInt = Field(4, description="LoRA adapters the engine decodes with at once")

    @property
    def served_model_names(self) -> tuple[str, ...]:
        """The names clients use; none where the checkpoint's folder names the model."""
        return tuple(filter(None, map(str.strip, (self.served_model_name or "").split(","))))
