"""Translates messages and their blocks into chat messages."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from server.protocol.chat.messages import MAX_PARTS
from server.protocol.messages.content import (
    Base64Source,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    UnsupportedBlock,
)
from server.protocol.messages.request import TokenCountRequest

Block = TextBlock | ImageBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock | UnsupportedBlock
# The path of a block's field, and the block.
LocatedBlock = tuple[str, Block]
ChatMessage = dict[str, Any]

# Tells the model that a tool failed.
ERROR_PREFIX: Final = TextBlock(type="text", text="Error:")


@dataclass(frozen=True, slots=True)
class Origin:
    """The path of the field that a chat message comes from, and the paths of its parts."""

    path: str
    parts: list[str]


@dataclass(frozen=True, slots=True)
class ChatMessages:
    """Chat messages, not yet validated, and the origin of each."""

    messages: list[ChatMessage] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)

    def add(self, role: str, path: str, blocks: Sequence[LocatedBlock], **fields: Any) -> None:
        """Append a message with a part for each block."""
        self.messages.append({"role": role, "content": _translate_parts(blocks), **fields})
        self.origins.append(Origin(path, [path for path, _ in blocks]))

    def add_user(self, path: str, blocks: Iterable[LocatedBlock]) -> None:
        """Append a user message; each tool result becomes a message of its own."""
        for is_result, group in groupby(blocks, lambda each: isinstance(each[1], ToolResultBlock)):
            if not is_result:
                self.add("user", path, list(group))
                continue
            for result_path, block in group:
                if isinstance(block, ToolResultBlock):
                    self._add_result(result_path, block)

    def add_assistant(self, path: str, blocks: Sequence[LocatedBlock]) -> None:
        """Append to the last message if it is the assistant's, else as a new message."""
        texts = [each for each in blocks if isinstance(each[1], TextBlock) and each[1].text]
        calls = [_translate_call(block) for _, block in blocks if isinstance(block, ToolUseBlock)]
        if not texts and not calls:
            return
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.add("assistant", path, [], tool_calls=[])
        last = self.messages[-1]
        # More is not needed: one part beyond the limit is an error.
        texts = texts[: MAX_PARTS + 1 - len(last["content"])]
        last["content"] += _translate_parts(texts)
        last["tool_calls"] += calls
        self.origins[-1].parts.extend(path for path, _ in texts)

    def _add_result(self, path: str, block: ToolResultBlock) -> None:
        blocks = list(_locate_blocks(block.content or "", f"{path}.content"))
        if block.is_error:
            blocks.insert(0, (path, ERROR_PREFIX))
        self.add("tool", path, blocks, tool_call_id=block.tool_use_id)


def translate_messages(request: TokenCountRequest) -> ChatMessages:
    """Translate the system text and the messages; thinking is dropped."""
    result = ChatMessages()
    if request.system or request.system == "":
        result.add("system", "system", list(_locate_blocks(request.system, "system")))
    for index, message in enumerate(request.messages):
        path = f"messages[{index}]"
        blocks = list(_locate_blocks(message.content, f"{path}.content"))
        if message.role == "assistant":
            result.add_assistant(path, blocks)
        elif message.role == "user":
            result.add_user(path, blocks)
        else:
            result.add("system", path, blocks)
    return result


def _locate_blocks(content: str | Sequence[Block], path: str) -> Iterator[LocatedBlock]:
    """Yield the blocks with their paths; a string is a text."""
    if isinstance(content, str):
        yield path, TextBlock(type="text", text=content)
        return
    for index, block in enumerate(content):
        yield f"{path}[{index}]", block


def _translate_parts(blocks: Iterable[LocatedBlock]) -> list[dict[str, Any]]:
    return [_translate_part(block) for _, block in blocks]


def _translate_part(block: Block) -> dict[str, Any]:
    if isinstance(block, ImageBlock):
        return {"type": "image_url", "image_url": {"url": _build_url(block)}}
    return {"type": "text", "text": block.text if isinstance(block, TextBlock) else ""}


def _build_url(block: ImageBlock) -> str:
    source = block.source
    if isinstance(source, Base64Source):
        return f"data:{source.media_type};base64,{source.data}"
    return source.url


def _translate_call(block: ToolUseBlock) -> dict[str, Any]:
    arguments = json.dumps(block.input, ensure_ascii=False)
    function = {"name": block.name, "arguments": arguments}
    return {"id": block.id, "type": "function", "function": function}
