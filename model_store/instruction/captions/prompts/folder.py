"""The teacher's prompts in a folder, in the layout of the released ones.

`KIND/system_message.txt`, and pairs of `NNN_caps.txt` and `NNN_conv.txt` as few-shot examples.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from asking.errors import InputError
from asking.files import read_text
from model_store.instruction.captions.prompts.prompt import Prompt
from model_store.instruction.records import Kind

SYSTEM_FILE: Final = "system_message.txt"
_CAPTIONS, _ANSWER = "_caps.txt", "_conv.txt"
# The released folders' names.
FOLDERS: Final[Mapping[Kind, str]] = {
    "conversation": "conversation",
    "detail": "detail_description",
    "complex": "complex_reasoning",
}


def read_prompts(
    folder: Path, kinds: Sequence[Kind], *, conversation_boxes: bool
) -> dict[Kind, Prompt]:
    """Read the prompt of each kind. `folder` may be that of the only kind itself.

    Raises `InputError` if a file is missing, empty or not text.
    """
    is_of_kind = len(kinds) == 1 and (folder / SYSTEM_FILE).is_file()
    return {
        kind: _read_prompt(
            folder if is_of_kind else folder / FOLDERS[kind],
            has_boxes=kind != "conversation" or conversation_boxes,
        )
        for kind in kinds
    }


def _read_prompt(folder: Path, *, has_boxes: bool) -> Prompt:
    system = _read(folder / SYSTEM_FILE)
    suffixes = (_CAPTIONS, _ANSWER)
    names = {
        file.name.removesuffix(suffix) for suffix in suffixes for file in folder.glob(f"*{suffix}")
    }
    examples = tuple(
        (_read(folder / f"{name}{_CAPTIONS}"), _read(folder / f"{name}{_ANSWER}"))
        for name in sorted(names)
    )
    return Prompt(system, examples, has_boxes)


def _read(path: Path) -> str:
    text = read_text(path).strip()
    if not text:
        raise InputError(path, "is empty")
    return text
