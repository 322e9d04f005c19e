"""Conversations typed at a pseudo-terminal, with the real server behind."""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.pictures import circle_and_square, encoded, green_triangle
from tests.api.running import RunningServer
from tests.server.images.decode.video.clips import encode_clip, make_steps
from tests.server.terminal.process import ESCAPES, ignore_fork_warning, open_terminal
from tests.server.terminal.relay import (
    LONG,
    Relay,
    Reply,
    chunk,
    encode_events,
    error_reply,
    serve_relay,
)

pytestmark = ignore_fork_warning
COUNT = "How many shapes are there?"
SUMMARY = r"\d+ tokens in · \d+ tokens out · first token after \d+\.\d\d s"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with pictures in it."""
    (tmp_path / "two shapes.png").write_bytes(encoded(circle_and_square()))
    (tmp_path / "triangle.png").write_bytes(encoded(green_triangle()))
    (tmp_path / "notes.txt").write_text("nothing to see")
    return tmp_path


@pytest.fixture
def relay(server: RunningServer) -> Iterator[Relay]:
    with serve_relay(server.url) as relay:
        yield relay


def test_several_turns_and_images(relay: Relay, folder: Path) -> None:
    with open_terminal("triangle.png", "--url", relay.url, folder=folder) as chat:
        assert f"llava-tiny at {relay.url} · /help" in chat.wait_for_prompt()
        chat.read_until(r"\[1 triangle\.png\]")
        answered = chat.ask("What is this?")
        assert "green triangle" in answered
        chat.ask(f"'{folder}/two shapes.png'")
        chat.read_until(r"\[1 two shapes\.png\]")
        assert chat.ask("What color is the circle?").splitlines()[-3:-1][0] == "red"
        chat.ask("/image two\\ shapes.png triangle.png")
        chat.read_until(r"\[1 two shapes\.png, 2 triangle\.png\]")
        assert "next question: 1 two shapes.png, 2 triangle.png; earlier in" in chat.ask(
            "/attached"
        )
        assert "dropped two shapes.png" in chat.ask("/drop 1")
        chat.ask("Which?")
        chat.process.sendeof()
        assert chat.wait_for_exit() == 0
    images = [
        [part["type"] for part in message["content"]].count("image_url")
        if isinstance(message["content"], list)
        else message["role"]
        for message in relay.requests[-1]["messages"]
    ]
    assert images == [1, "assistant", 1, "assistant", 1]


def test_a_video_that_the_model_refuses_can_be_dropped(relay: Relay, folder: Path) -> None:
    (folder / "clip.mkv").write_bytes(encode_clip(make_steps(3)))
    with open_terminal("--url", relay.url, folder=folder) as chat:
        chat.wait_for_prompt()
        chat.ask("/video clip.mkv")
        chat.read_until(r"\[1 clip\.mkv\]")
        shown = chat.ask("clip.mkv What happens?")
        assert "videos_not_supported" in shown
        assert "its attachments wait, /drop N detaches one" in shown
        chat.ask("/drop 2")
        assert "dropped clip.mkv" in chat.ask("/drop 1")
        assert re.search(SUMMARY, chat.ask("triangle.png What is this?"))
    kinds = [[part["type"] for part in asked["messages"][0]["content"]] for asked in relay.requests]
    assert kinds == [["video_url", "video_url", "text"], ["image_url", "text"]]


def test_an_answer_is_summed_up(server: RunningServer) -> None:
    with open_terminal("--url", server.url) as chat:
        chat.wait_for_prompt()
        chat.send("Describe the image.")
        chat.read_until(SUMMARY)


def test_clear_begins_anew(relay: Relay) -> None:
    with open_terminal("--url", relay.url, "--system", "Be brief.") as chat:
        chat.wait_for_prompt()
        chat.ask(COUNT)
        assert "a new conversation" in chat.ask("/clear")
        chat.ask(COUNT)
    assert relay.requests[1] == relay.requests[0]


def test_a_conversation_asks_to_be_led_to_one_replica(relay: Relay) -> None:
    answer = encode_events(chunk("Two.", "stop"))
    relay.replies = [
        Reply(answer),
        Reply(answer, headers=(("x_llava_affinity", "named"),)),
        Reply(answer, headers=(("x_llava_affinity", "ill; formed"),)),
        Reply(answer),
    ]
    with open_terminal("--url", relay.url) as chat:
        chat.wait_for_prompt()
        for line in (COUNT, COUNT, COUNT, "/clear", COUNT):
            chat.ask(line)
    first, second, third, other = relay.affinities
    assert first == second
    assert third == "named"
    assert len({first, third, other}) == 3


def test_json_answers_leave_remarks_to_people(server: RunningServer) -> None:
    with open_terminal("--url", server.url, "--json") as chat:
        chat.wait_for_prompt()
        assert '{"answer": "' in chat.ask(COUNT)
        assert "error: there is no command" in chat.ask("/nope")


def test_ctrl_c_stops_the_answer_and_keeps_what_came(relay: Relay) -> None:
    relay.extra_fields = LONG
    with open_terminal("--url", relay.url) as chat:
        chat.wait_for_prompt()
        chat.send("Describe the image.")
        chat.read_until(r"\w+ \w+ \w+")
        chat.process.sendintr()
        chat.read_until("stopped")
        relay.extra_fields = {}
        chat.wait_for_prompt()
        chat.ask(COUNT)
        chat.send("/quit")
        assert chat.wait_for_exit() == 0
    roles = [message["role"] for message in relay.requests[1]["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert relay.requests[1]["messages"][1]["content"].strip()


def test_ctrl_c_at_the_prompt_clears_the_line(relay: Relay) -> None:
    with open_terminal("--url", relay.url) as chat:
        chat.wait_for_prompt()
        chat.process.send("never to be asked")
        chat.read_until("never to be asked")
        chat.process.sendintr()
        chat.wait_for_prompt()
        chat.ask(COUNT)
        chat.send("/quit")
        assert chat.wait_for_exit() == 0
    [asked] = relay.requests
    assert asked["messages"] == [{"role": "user", "content": COUNT}]


def test_a_failed_question_is_taken_back(relay: Relay, folder: Path) -> None:
    broken = Reply(encode_events(chunk("A re"), {"error": {"message": "it died", "code": "gone"}}))
    relay.replies = [broken, error_reply(400, "no")]
    with open_terminal("--url", relay.url, folder=folder) as chat:
        chat.wait_for_prompt()
        shown = chat.ask("triangle.png What is this?")
        assert "error: it died (gone)" in shown
        assert "/retry asks it again; its attachments wait, /drop N detaches one" in shown
        assert "error: no (busy)" in chat.ask("/retry")
        assert "green triangle" in chat.ask("/retry")
        assert "green triangle" in chat.ask("/retry")
    first, *others = (asked["messages"] for asked in relay.requests)
    assert len(first) == 1
    assert others == [first] * 3


def test_a_retry_that_fails_keeps_the_answer(relay: Relay) -> None:
    with open_terminal("--url", relay.url) as chat:
        chat.wait_for_prompt()
        assert "nothing to ask again" in chat.ask("/retry")
        chat.ask("One?")
        relay.replies = [error_reply(400, "no")]
        assert "asks it again" not in chat.ask("/retry")
        chat.ask("Two?")
    assert [message["role"] for message in relay.requests[-1]["messages"]] == [
        *("user", "assistant", "user")
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/nope", "there is no command or file /nope"),
        ("/image", "/image needs a path or a URL"),
        ("/image nope.png", "cannot read nope.png: No such file"),
        ("/video", "/video needs a path or a URL"),
        ("/video triangle.png notes.txt", "notes.txt is not a video"),
        ("/image triangle.png notes.txt", "notes.txt is not an image"),
        ("/drop 1", "/drop needs the number of an attachment: none is attached"),
        ("/save notes.txt", "cannot save to notes.txt: File exists"),
        ("/save", "/save needs a file's name"),
    ],
)
def test_a_wrong_command_asks_nothing(line: str, said: str, relay: Relay, folder: Path) -> None:
    with open_terminal("--url", relay.url, folder=folder) as chat:
        chat.wait_for_prompt()
        assert f"error: {said}" in chat.ask(line)
        assert "next question: none" in chat.ask("/attached")
    assert relay.requests == []


def test_system_message_and_saved_conversation(relay: Relay, folder: Path) -> None:
    with open_terminal("--url", relay.url, folder=folder) as chat:
        chat.wait_for_prompt()
        chat.ask("/system Answer in a word.")
        chat.ask(COUNT)
        assert "saved to talk.json" in chat.ask("/save talk.json")
        chat.ask("/system")
        chat.ask(COUNT)
    saved = json.loads((folder / "talk.json").read_text())
    asked = [request["messages"] for request in relay.requests]
    assert asked[0][0] == {"role": "system", "content": "Answer in a word."}
    assert saved["model"] == "llava-tiny"
    assert saved["messages"][:2] == asked[0]
    assert saved["messages"][1:] == asked[1][:2]


def test_help_lists_the_commands(server: RunningServer) -> None:
    with open_terminal("--url", server.url) as chat:
        chat.wait_for_prompt()
        shown = chat.ask("/help")
    assert "/image PATH|URL …  attach images" in shown
    assert "/quit" in shown


def test_tab_completes_commands_and_paths(server: RunningServer, folder: Path) -> None:
    with open_terminal("--url", server.url, folder=folder) as chat:
        chat.wait_for_prompt()
        assert "the system message is set" in chat.ask("/sy\t Be brief.")
        chat.ask("/image tw\t")
        chat.read_until(r"\[1 two shapes\.png\]")


def test_a_question_of_several_lines(relay: Relay) -> None:
    with open_terminal("--url", relay.url) as chat:
        chat.wait_for_prompt()
        chat.process.send("first\x1b\rsecond")
        chat.ask("")
    assert relay.requests[0]["messages"][0]["content"] == "first\nsecond"


def test_what_the_model_writes_cannot_drive_the_terminal(relay: Relay) -> None:
    text = "\x1b]0;title\x07\x1b[2J\x9b2Jred\r\n\tand \u202eblue\x7f"
    relay.replies = [Reply(encode_events(chunk(text[:3]), chunk(text[3:], "stop")))]
    with open_terminal("Hello?", "--url", relay.url, NO_COLOR="1") as chat:
        chat.process.expect("blue")
        shown = chat.process.before
        assert chat.wait_for_exit() == 0
    assert shown == "\\x1b]0;title\\x07\\x1b[2J\\x9b2Jred\r\n\tand \\u202e"


def test_no_color_means_none(server: RunningServer) -> None:
    def answer(no_color: str) -> str:
        with open_terminal("Hello?", "--url", server.url, NO_COLOR=no_color) as chat:
            chat.process.expect("tokens in")
            shown = str(chat.process.before)
            assert chat.wait_for_exit() == 0
        return shown

    assert ESCAPES.search(answer("").replace("\r", ""))
    assert "\x1b" not in answer("1")


def test_no_server_and_none_wanted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with open_terminal("--url", f"http://127.0.0.1:{port}") as chat:
        chat.read_until("Connection refused; --start starts one")
        assert chat.wait_for_exit() == 3


def test_a_hang_up_leaves_the_terminal_as_it_was(server: RunningServer) -> None:
    with open_terminal("--url", server.url) as chat:
        chat.wait_for_prompt()
        os.kill(chat.process.pid, signal.SIGTERM)
        assert chat.wait_for_exit() == 143
