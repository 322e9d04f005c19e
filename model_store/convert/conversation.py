"""Which conversation template a release was trained on."""

from collections.abc import Callable
from typing import Final

from model_store.convert.errors import ConversionError
from model_store.convert.release import Release

CONV_MODES: Final = (
    "vicuna_v1",
    "llava_v1",
    "llava_v0",
    "llava_llama_2",
    "mistral_instruct",
    "chatml_direct",
    "plain",
)
# The parts of a release's name that tell, in the order in which the released command line asks.
# It knows v1.5 and v1.6 as v1; they were trained and are evaluated with vicuna_v1.
_BY_NAME: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    ("llava_llama_2", lambda name: "llama-2" in name and not _is_later(name)),
    ("mistral_instruct", lambda name: "mistral" in name),
    ("chatml_direct", lambda name: "v1.6-34b" in name),
    ("vicuna_v1", lambda name: _is_later(name)),
    ("llava_v1", lambda name: "v1" in name),
    ("llava_v0", lambda name: "v0" in name),
)
_CHATML: Final = "<|im_start|>"


def choose_conv_mode(
    release: Release, asked: str | None, has_token: Callable[[str], bool]
) -> tuple[str, str]:
    """Return the template's name and why it is that one. Raises `ConversionError`."""
    if asked is not None:
        if asked not in CONV_MODES:
            raise ConversionError(
                f"there is no conversation template {asked!r}; there is: {', '.join(CONV_MODES)}"
            )
        return asked, "as asked"
    if release.language_model == "mistral":
        return "mistral_instruct", "the language model is a Mistral"
    if has_token(_CHATML):
        return "chatml_direct", f"the tokenizer has {_CHATML}"
    for name in release.names:
        for mode, matches in _BY_NAME:
            if matches(name):
                return mode, f"the release is called {name}"
    return _by_projector(release)


def _is_later(name: str) -> bool:
    return "v1.5" in name or "v1.6" in name


def _by_projector(release: Release) -> tuple[str, str]:
    """The name tells nothing: LLaVA v1.5 brought the MLP, what came before was v0 or v1."""
    if str(release.config.get("mm_projector_type", "linear")) != "linear":
        return "vicuna_v1", "its projector is v1.5's or later"
    return "llava_v0", "nothing says otherwise; the released code falls back to it"
