"""`captions --prompts`: prompts of one's own, in the released layout."""

import json
from pathlib import Path

import pytest

from asking.errors import InputError
from model_store.instruction.captions.context import Context
from model_store.instruction.captions.prompts.choice import choose_prompts
from model_store.instruction.captions.prompts.conversation import CONVERSATION
from model_store.instruction.captions.prompts.folder import FOLDERS, read_prompts
from model_store.instruction.records import KINDS, Kind
from tests.asking.scripted import Reply, Request, completion_reply, serve_script
from tests.model_store.instruction.teacher import build_line, find_id, format_pairs
from tests.model_store.instruction.test_captions import captions, options, read_output

FILES = {
    "system_message.txt": "You write about {}.\n",
    "002_caps.txt": "A second {}.",
    "002_conv.txt": "An answer to the second {}.\n",
    "000_caps.txt": "A first {}.\n\nthing: [0.1, 0.2, 0.3, 0.4]",
    "000_conv.txt": "An answer to the first {}.",
}


def write_prompts(folder: Path, kind: Kind) -> Path:
    """Write the prompts of a kind, as they were released."""
    folder = folder / FOLDERS[kind]
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text.format(kind))
    return folder


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """Return a folder with the prompts of all kinds."""
    folder = tmp_path / "prompts"
    for kind in KINDS:
        write_prompts(folder, kind)
    return folder


def test_the_released_layout_is_read(prompts: Path) -> None:
    read = read_prompts(prompts, KINDS, conversation_boxes=False)
    assert tuple(read) == KINDS
    for kind, prompt in read.items():
        assert prompt.system == f"You write about {kind}."
        assert prompt.examples == (
            (f"A first {kind}.\n\nthing: [0.1, 0.2, 0.3, 0.4]", f"An answer to the first {kind}."),
            (f"A second {kind}.", f"An answer to the second {kind}."),
        )
        assert prompt.has_boxes is (kind != "conversation")


def test_the_folder_of_a_single_kind(prompts: Path) -> None:
    folder = prompts / "complex_reasoning"
    read = read_prompts(folder, ["complex"], conversation_boxes=False)
    assert read == read_prompts(prompts, ["complex"], conversation_boxes=False)
    (folder / "000_caps.txt").unlink()
    (folder / "000_conv.txt").unlink()
    assert len(read_prompts(folder, ["complex"], conversation_boxes=False)["complex"].examples) == 1


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_missing_or_empty_are_named(prompts: Path, name: str) -> None:
    file = prompts / "conversation" / name
    file.write_text(" \n")
    with pytest.raises(InputError, match=f"conversation/{name}: is empty"):
        read_prompts(prompts, KINDS, conversation_boxes=False)
    file.unlink()
    with pytest.raises(InputError, match=f"conversation/{name}: No such file"):
        read_prompts(prompts, KINDS, conversation_boxes=False)
    assert read_prompts(prompts, ["detail", "complex"], conversation_boxes=False)


def test_boxes_of_conversations_are_an_option(prompts: Path) -> None:
    for folder in (None, prompts):
        without = choose_prompts(KINDS, folder, conversation_boxes=False)
        boxes = choose_prompts(KINDS, folder, conversation_boxes=True)
        assert [each.has_boxes for each in without.values()] == [False, True, True]
        assert [each.has_boxes for each in boxes.values()] == [True, True, True]
        assert without["complex"] == boxes["complex"]
    assert choose_prompts(["conversation"], None, conversation_boxes=False) == {
        "conversation": CONVERSATION
    }


def test_our_own_examples_without_boxes_have_none() -> None:
    for given, answer in CONVERSATION.examples:
        assert "[" not in given + answer
        assert "right" not in answer
        assert "left" not in answer


def answer(request: Request) -> Reply:
    """Answer in the forms that the released prompts ask for."""
    match request.body["messages"][0]["content"].split()[-1]:
        case "conversation.":
            pairs = (("What is it?", "A donut."), ("Where?", "On a plate."))
            lines = [json.dumps({"question": q, "answer": a}) for q, a in pairs]
            return completion_reply("\n".join(lines))
        case "complex.":
            return completion_reply(format_pairs(("Why?", "To eat it.")).removesuffix("\n==="))
        case _:
            return completion_reply("A donut lies on a plate.")


@pytest.mark.parametrize("has_boxes", [False, True])
async def test_records_by_own_prompts(tmp_path: Path, prompts: Path, has_boxes: bool) -> None:
    more = ("--conversation-boxes",) if has_boxes else ()
    async with serve_script(answer) as there:
        command = (*options(tmp_path, there.url, 2), "--prompts", str(prompts), *more)
        finished = await captions(*command)
        assert finished.code == 0, finished.stderr
        for request in there.requests:
            kind = request.body["messages"][0]["content"].split()[-1].rstrip(".")
            texts = [message["content"] for message in request.body["messages"][1:-1]]
            assert texts[1::2] == [f"An answer to the {n} {kind}." for n in ("first", "second")]
            context = Context.model_validate(build_line(find_id(request)))
            gets_boxes = has_boxes or kind != "conversation"
            text = context.as_text() if gets_boxes else context.captions_as_text()
            assert request.prompt == text
        (prompts / "conversation" / "000_conv.txt").write_text("Another.")
        refused = await captions(*command)
    assert [len(each["conversations"]) for each in read_output(tmp_path, "instruct.json")] == [
        *(4, 2, 2),
        *(4, 2, 2),
    ]
    assert refused.code == 1
    assert "the teacher prompts changed" in refused.stderr
    assert len(there.requests) == 6


async def test_prompts_that_are_missing_end_the_command(tmp_path: Path) -> None:
    command = options(tmp_path, "http://127.0.0.1:9/v1", 1)
    finished = await captions(*command, "--prompts", str(tmp_path))
    assert finished.code == 1
    assert "conversation/system_message.txt: No such file or directory" in finished.stderr
    assert "Traceback" not in finished.stderr
