"""Response bodies of `GET /v1/models` and `GET /version`."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Model(BaseModel):
    """A served model or LoRA adapter."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "llava-server"
    max_model_len: int
    # The base model of a LoRA adapter.
    parent: Annotated[str | None, Field(exclude_if=lambda name: name is None)] = None


class ModelList(BaseModel):
    """The body of `GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[Model]


class Version(BaseModel):
    """The body of `GET /version`; `engine` is a package and its version."""

    version: str
    engine: str
