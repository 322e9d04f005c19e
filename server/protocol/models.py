"""What `GET /v1/models` and `GET /version` answer."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Model(BaseModel):
    """A model this server serves."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "llava-server"
    max_model_len: int
    # Of a LoRA adapter: the model that it adapts.
    parent: Annotated[str | None, Field(exclude_if=lambda name: name is None)] = None


class ModelList(BaseModel):
    """The answer of `GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[Model]


class Version(BaseModel):
    """The answer of `GET /version`; `engine` is a package and its version."""

    version: str
    engine: str
