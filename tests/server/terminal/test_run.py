"""One question, one answer, one exit code, as scripts use it."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.pictures import circle_and_square, data_url, encoded, green_triangle
from tests.api.running import RunningServer
from tests.server.images.decode.video.clips import encode_clip, make_steps
from tests.server.terminal.process import ENVIRONMENT, run_chat
from tests.server.terminal.relay import (
    LONG,
    Relay,
    Reply,
    chunk,
    encode_events,
    error_reply,
    serve_relay,
)
from tests.web import QuietHandler, serve_http

PICTURE = encoded(circle_and_square())
CIRCLE = "What color is the circle?"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a picture.png"
    path.write_bytes(PICTURE)
    return path


@pytest.fixture
def relay(server: RunningServer) -> Iterator[Relay]:
    with serve_relay(server.url) as relay:
        yield relay


@pytest.fixture
def nowhere() -> str:
    """Return a URL at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("form", ["file", "jpeg", "http", "data", "stdin", "pipe"])
def test_an_image_may_come_from_anywhere(form: str, server: RunningServer, picture: Path) -> None:
    class Web(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PICTURE)

    jpeg = picture.with_name("picture.without-a-known-suffix")
    jpeg.write_bytes(encoded(circle_and_square(), "JPEG"))
    pipe, end = os.pipe()
    os.write(end, PICTURE)
    os.close(end)
    with serve_http(Web) as web:
        image = {
            "file": str(picture),
            "jpeg": str(jpeg),
            "http": f"{web}/picture.png",
            "data": data_url(PICTURE),
            "stdin": "-",
            "pipe": f"/proc/{os.getpid()}/fd/{pipe}",
        }[form]
        result = run_chat(
            image, CIRCLE, "--url", server.url, stdin=PICTURE if image == "-" else b""
        )
    os.close(pipe)
    assert (result.code, result.out, result.err) == (0, "red\n", "")


def test_the_question_may_come_on_stdin(server: RunningServer, picture: Path) -> None:
    result = run_chat(picture, stdin=f"{CIRCLE}\n".encode(), LLAVA_URL=server.url)
    assert (result.code, result.out, result.err) == (0, "red\n", "")


def test_several_images_go_before_the_question(relay: Relay, picture: Path) -> None:
    url = data_url(encoded(green_triangle()))
    result = run_chat(picture, CIRCLE, url, "--url", f"{relay.url}/v1/", "--detail", "low")
    assert result.code == 0
    [message] = relay.requests[0]["messages"]
    assert message["content"] == [
        {"type": "image_url", "image_url": {"url": data_url(PICTURE), "detail": "low"}},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        {"type": "text", "text": CIRCLE},
    ]


def test_a_video_goes_as_a_video(relay: Relay, picture: Path) -> None:
    clip = picture.with_name("clip.mkv")
    clip.write_bytes(encode_clip(make_steps(3)))
    result = run_chat(clip, picture, "What happens?", "--url", relay.url, "--detail", "low")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: ")
    assert result.err.endswith("(videos_not_supported, messages[0].content[0].video_url.url)\n")
    [message] = relay.requests[0]["messages"]
    url = f"data:video/x-matroska;base64,{base64.b64encode(clip.read_bytes()).decode()}"
    assert message["content"] == [
        {"type": "video_url", "video_url": {"url": url}},
        {"type": "image_url", "image_url": {"url": data_url(PICTURE), "detail": "low"}},
        {"type": "text", "text": "What happens?"},
    ]


def test_options_go_into_the_request(relay: Relay) -> None:
    options = ["--system", "Be brief.", "--temperature", "0.5", "--top-p", "0.9"]
    options += ["--max-tokens", "3", "--seed", "7", "--model", "llava-tiny"]
    assert run_chat("Hello?", "--url", relay.url, *options).code == 0
    assert relay.requests == [
        {
            "model": "llava-tiny",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello?"},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 3,
            "seed": 7,
        }
    ]


@pytest.mark.parametrize("how", [[], ["--no-stream"]])
def test_json(how: list[str], server: RunningServer, picture: Path) -> None:
    result = run_chat(picture, CIRCLE, "--json", "--url", server.url, *how)
    assert (result.code, result.err) == (0, "")
    [line] = result.out.splitlines()
    answer = json.loads(line)
    timings = answer.pop("timings")
    usage = answer.pop("usage")
    assert answer == {"answer": "red", "model": "llava-tiny", "finish_reason": "stop"}
    assert usage["prompt_tokens_details"]["image_tokens"] == 64
    assert 0 < timings["ttft_s"] <= timings["total_s"]


def test_a_server_that_refuses(server: RunningServer) -> None:
    result = run_chat("Hello?", "--url", server.url, "--model", "gpt")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: The model 'gpt' does not exist: this server has ")
    assert result.err.endswith("(model_not_found, model)\n")


def test_an_error_as_json(server: RunningServer, picture: Path) -> None:
    result = run_chat(picture, "What?", "--json", "--url", server.url, "--max-tokens", "0")
    assert (result.code, result.out) == (1, "")
    error = json.loads(result.err)["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "max_tokens")
    assert (error["status"], error["exit_code"]) == (400, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["What", "color?"], "one question at a time, in quotes; neither a file nor"),
        (["cat.png", "What color?"], "there is no file cat.png"),
        (
            [str(Path(__file__)), "What color?"],
            f"{Path(__file__).name} is not an image (JPEG, PNG, WebP, HEIC …) or a video (MP4",
        ),
        ([], "no question: give one"),
        (["-"], "stdin holds the image or video: give the question as an argument"),
        (["-", "-", "What color?"], "- may be there once"),
        (["--url", "ftp://x", "What color?"], "--url: 'ftp://x' is not an http(s) URL"),
        (
            ["--start", "--url", "http://x", "What color?"],
            "--start and --url exclude each other: start a server",
        ),
        (["--api-key", "schlüssel-one", "What color?"], "no HTTP header can carry"),
        (["--colour"], "No such option: --colour"),
        (["--detail", "some", "What color?"], "'some' is not one of"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str) -> None:
    result = run_chat(*arguments, stdin=PICTURE if "-" in arguments else b"")
    assert (result.code, result.out) == (2, "")
    assert said in " ".join(result.err.split())
    assert "schlüssel" not in result.err
    assert "Traceback" not in result.err


def test_no_server(nowhere: str) -> None:
    result = run_chat("Hello?", "--url", nowhere)
    assert (result.code, result.out) == (3, "")
    assert result.err == f"error: no server at {nowhere}: Connection refused; --start starts one\n"


def test_the_key_is_sent_and_not_shown(relay: Relay) -> None:
    relay.replies = [error_reply(401, "wrong key")]
    result = run_chat("Hello?", "--url", relay.url, LLAVA_API_KEY="k-1234")
    assert relay.keys == ["Bearer k-1234"]
    assert (result.code, result.err) == (1, "error: wrong key (busy)\n")
    assert "k-1234" not in run_chat("--help", LLAVA_API_KEY="k-1234").out


def test_a_busy_server_is_asked_again(relay: Relay, picture: Path) -> None:
    relay.replies = [error_reply(429, "too many", retry_after="0"), error_reply(503, "loading")]
    result = run_chat(picture, CIRCLE, "--url", relay.url)
    assert (result.code, result.out) == (0, "red\n")
    first, second = result.err.splitlines()
    assert first.startswith("too many (busy); attempt 2 of 4 in 0.")
    assert second.startswith("loading (busy); attempt 3 of 4 in ")
    assert len(relay.requests) == 3


def test_a_server_that_stays_busy(relay: Relay) -> None:
    relay.replies = [error_reply(429, "too many", retry_after="0")] * 4
    result = run_chat("Hello?", "--url", relay.url, "--json")
    assert (result.code, result.out) == (1, "")
    assert json.loads(result.err)["error"]["status"] == 429


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            Reply(encode_events(chunk("A red"), {"error": {"message": "it died", "code": "gone"}})),
            "it died (gone)",
        ),
        (
            Reply(encode_events(chunk("A red")), truncated=True),
            "the connection to http://127.0.0.1",
        ),
        (Reply(encode_events(chunk("A red"))), "the server ended the answer early"),
        (
            Reply(encode_events(chunk("A red")) + b"data: {]\n\n"),
            "the response is not an OpenAI chat completion",
        ),
    ],
)
def test_an_answer_that_breaks_off(reply: Reply, message: str, relay: Relay) -> None:
    relay.replies = [reply]
    result = run_chat("Hello?", "--url", relay.url)
    assert (result.code, result.out) == (1, "A red\n")
    assert result.err.startswith(f"error: {message}")


def test_a_whole_answer_that_is_none(relay: Relay) -> None:
    relay.replies = [Reply(b'{"choices": []}')]
    result = run_chat("Hello?", "--url", relay.url, "--no-stream")
    assert (result.code, result.out) == (1, "")
    assert "ended the answer early" in result.err


def test_silence_ends_at_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = run_chat("Hello?", "--url", url, "--timeout", "0.2")
    assert result.code == 1
    assert "sent nothing for too long" in result.err


def test_a_pipe_gets_the_bytes_and_messages_do_not(relay: Relay) -> None:
    relay.replies = [
        Reply(encode_events(chunk("\x1b[31mred", "stop"))),
        error_reply(400, "\x1b[2Jno"),
    ]
    assert run_chat("Hello?", "--url", relay.url).out == "\x1b[31mred\n"
    assert run_chat("Hello?", "--url", relay.url).err == "error: \\x1b[2Jno (busy)\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_answer(number: signal.Signals, code: int, relay: Relay) -> None:
    relay.extra_fields = LONG
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "chat", "Describe the image.", "--url", relay.url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.send_signal(number)
        assert process.wait(20) == code
        assert b"Traceback" not in process.stderr.read()


def test_a_reader_that_leaves_is_no_traceback(relay: Relay) -> None:
    relay.extra_fields = LONG
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "chat", "Describe the image.", "--url", relay.url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.wait(20) == 1
        assert process.stderr.read() == b""


def test_help_loads_nothing_heavy() -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "server", "chat", "--help"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=60,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    assert "typer" in modules
    assert not modules & {"fastapi", "httpx", "pydantic", "PIL", "prompt_toolkit", "torch", "vllm"}
    assert "130 interrupted" in run.stdout


def test_shells_complete_its_options() -> None:
    code = (
        "import sys; sys.argv[0] = 'llava-chat'; from server.terminal.program import main; main()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=ENVIRONMENT
        | {
            "_LLAVA_CHAT_COMPLETE": "complete_bash",
            "COMP_WORDS": "llava-chat --max",
            "COMP_CWORD": "1",
        },
    )
    assert run.stdout.split() == ["--max-tokens"]


def test_the_completion_of_a_shell_is_shown() -> None:
    run = subprocess.run(  # which shell is asked of the parent process
        ["bash", "-c", f"{sys.executable} -m server chat --show-completion; exit $?"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=ENVIRONMENT,
    )
    assert "complete -o default -F _llava_chat_completion llava-chat" in run.stdout
