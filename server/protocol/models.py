"""Response bodies of `GET /v1/models` and `GET /version`.

OpenAI's model has an id and an owner. What a model can do, others say in fields of their own, which
their clients read: vLLM, LM Studio, llama.cpp, Ollama and OpenRouter.
"""

from typing import Literal, Self

from pydantic import BaseModel

OWNER = "llava-server"
CAPABILITIES = ("completion", "vision", "multimodal", "tools", "tool_use")


class ModelPermission(BaseModel):
    """vLLM's `permission`: everybody may use the model, nobody may change it."""

    id: str
    object: Literal["model_permission"] = "model_permission"
    created: int
    allow_create_engine: bool = False
    allow_sampling: bool = True
    allow_logprobs: bool = True
    allow_search_indices: bool = False
    allow_view: bool = True
    allow_fine_tuning: bool = False
    organization: str = "*"
    group: str | None = None
    is_blocking: bool = False


class Architecture(BaseModel):
    """OpenRouter's `architecture`."""

    modality: str
    input_modalities: list[str]
    output_modalities: list[str] = ["text"]


class Modalities(BaseModel):
    """llama.cpp's `modalities`, which it has in `/props`."""

    vision: bool = True
    video: bool
    audio: bool = False


class Meta(BaseModel):
    """llama.cpp's `meta`."""

    n_ctx: int
    n_ctx_train: int


class Model(BaseModel):
    """A served model or LoRA adapter. `root` and `parent` are vLLM's.

    `parent` is the model that an adapter belongs to, None for a model. `type` and
    `max_context_length` are LM Studio's; `capabilities` are LM Studio's, Ollama's and llama.cpp's.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = OWNER
    root: str
    parent: str | None = None
    permission: list[ModelPermission]
    max_model_len: int
    type: Literal["vlm"] = "vlm"
    state: Literal["loaded", "not-loaded"]
    capabilities: list[str]
    max_context_length: int
    context_length: int
    architecture: Architecture
    modalities: Modalities
    meta: Meta

    @classmethod
    def build(
        cls,
        name: str,
        parent: str | None,
        *,
        created: int,
        max_model_len: int,
        is_loaded: bool,
        takes_video: bool,
    ) -> Self:
        """Return the description of a model, or of an adapter of `parent`."""
        inputs = ["text", "image", *(["video"] if takes_video else [])]
        return cls(
            id=name,
            created=created,
            root=parent or name,
            parent=parent,
            permission=[ModelPermission(id=f"modelperm-{name}", created=created)],
            max_model_len=max_model_len,
            max_context_length=max_model_len,
            context_length=max_model_len,
            state="loaded" if is_loaded else "not-loaded",
            capabilities=[*CAPABILITIES, *(["video"] if takes_video else [])],
            architecture=Architecture(
                modality=f"{'+'.join(inputs)}->text", input_modalities=inputs
            ),
            modalities=Modalities(video=takes_video),
            meta=Meta(n_ctx=max_model_len, n_ctx_train=max_model_len),
        )


class ModelList(BaseModel):
    """The body of `GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[Model]


class Version(BaseModel):
    """The body of `GET /version`; `engine` is a package and its version."""

    version: str
    engine: str
