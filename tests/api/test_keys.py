"""A server with a file of keys: who may call, how much, and what is told of it."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.keys.command import main as keys_command
from server.keys.secret import hash_secret
from tests.api.pictures import circle_and_square, image_part, text_part, user
from tests.api.running import RunningServer, metric, running_server, slow_down

# A reload is promised within this time.
RELOAD_S = 2.0
LONG_TEXT = "A red circle is left of a blue square, and a green triangle is below both. " * 6
MODEL = "llava-tiny"
ALIAS = "nick"

KEYS = {
    "plain": "",
    "other": "",
    "requests": "requests_per_minute = 3",
    "messages": "requests_per_minute = 1",
    "images": "image_tokens_per_minute = 10",
    "output": "output_tokens_per_minute = 20",
    "one": "concurrent_requests = 1",
    "all": "\n".join(
        f"{name}_per_minute = 9999" for name in ("requests", "image_tokens", "output_tokens")
    ),
    "nothing": 'models = ["another"]',
    "reserving": "output_tokens_per_minute = 1500",
    "alias": f'models = ["{ALIAS}"]',
    "expired": "expires = 2020-01-01",
}


def table(name: str, fields: str = "") -> str:
    """Return a key of the file, whose secret is its name."""
    return f'[keys.{name}]\nhash = "{hash_secret(name)}"\n{fields}\n'


def about_image(text: str) -> list[dict[str, Any]]:
    """Return a conversation about a picture."""
    return [user(image_part(circle_and_square()), text_part(text))]


class KeyServer:
    """A server, its file of keys and its usage log."""

    def __init__(self, running: RunningServer, folder: Path) -> None:
        self.running = running
        self.url = running.url
        self.keys_file = folder / "keys.toml"
        self.usage_log = folder / "usage.jsonl"

    def ask(self, key: str, path: str = "/v1/chat/completions", **body: Any) -> httpx.Response:
        """Send a request."""
        return httpx.post(
            self.url + path, json=body, headers={"authorization": f"Bearer {key}"}, timeout=60
        )

    def chat(self, key: str, text: str = "Hello", **fields: Any) -> httpx.Response:
        """Ask without an image."""
        messages = [{"role": "user", "content": text}]
        return self.ask(key, model=MODEL, messages=messages, max_tokens=2, **fields)

    def command(self, *arguments: str) -> None:
        """Run a command on the file, and wait until the server has read it."""
        before = self.count_reads()
        assert keys_command([*arguments, "--keys-file", str(self.keys_file)]) == 0
        self.wait(lambda: self.count_reads() > before)

    def count_reads(self) -> int:
        """Return how often the file has been read."""
        return sum("the keys file is read" in line for line in self.running.log)

    def wait(self, is_done: Callable[[], bool]) -> None:
        """Wait as long as a reload may take."""
        deadline = time.monotonic() + RELOAD_S
        while not is_done():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyServer]:
    """Serve the embedded model to those who have a key."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "keys.toml").write_text("".join(table(name, more) for name, more in KEYS.items()))
    files = ("--keys-file", str(folder / "keys.toml"), "--usage-log", str(folder / "usage.jsonl"))
    with running_server(*files, "--served-model-name", f"{MODEL},{ALIAS}") as running:
        yield KeyServer(running, folder)


def code(response: httpx.Response) -> tuple[int, str]:
    """Return an error's status and code."""
    return response.status_code, response.json()["error"]["code"]


def test_only_who_has_a_key_may_ask(keyed: KeyServer) -> None:
    assert keyed.chat("plain").status_code == 200
    assert code(keyed.chat("wrong")) == (401, "invalid_api_key")
    assert code(keyed.chat("expired")) == (401, "api_key_expired")
    assert "expired at 2020-01-01 00:00 UTC" in keyed.chat("expired").text
    assert httpx.get(f"{keyed.url}/v1/models").status_code == 401


PATHS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2},
    "/v1/completions": {"prompt": "Hi", "max_tokens": 2},
    "/v1/responses": {"input": "Hi", "max_output_tokens": 16},
    "/tokenize": {"prompt": "Hi"},
    "/detokenize": {"tokens": [5]},
}


@pytest.mark.parametrize("path", PATHS)
def test_limits_are_told_with_each_answer(keyed: KeyServer, path: str) -> None:
    before = keyed.ask("all", path, model=MODEL, **PATHS[path])
    after = keyed.ask("all", path, model=MODEL, **PATHS[path])
    assert after.status_code == 200, after.text
    assert after.headers["x-ratelimit-limit-requests"] == "9999"
    counts = [int(each.headers["x-ratelimit-remaining-requests"]) for each in (before, after)]
    assert counts[0] - counts[1] == 1
    assert re.fullmatch(r"1m0s|\d+s|\d+ms", after.headers["x-ratelimit-reset-requests"])
    assert after.headers["x-ratelimit-remaining-image-tokens"] == "9999"
    generated = path.startswith("/v1")
    used = [int(each.headers["x-ratelimit-remaining-output-tokens"]) for each in (before, after)]
    assert (used[0] > used[1]) == generated
    assert "retry-after" not in after.headers
    assert not {name for name in keyed.chat("plain").headers if "ratelimit" in name}


def test_limits_are_told_with_streams_and_refusals(keyed: KeyServer) -> None:
    streamed = keyed.chat("all", stream=True)
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert streamed.headers["x-ratelimit-limit-output-tokens"] == "9999"
    refused = keyed.chat("all", temperature=-1)
    assert refused.status_code == 400
    assert refused.headers["x-ratelimit-limit-requests"] == "9999"


def test_requests_a_minute(keyed: KeyServer) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: keyed.chat("requests"), range(12)))
    assert sorted(each.status_code for each in answers) == [200] * 3 + [429] * 9
    for each in answers:
        if each.status_code == 429:
            assert code(each) == (429, "rate_limit_exceeded")
            assert 50 <= int(each.headers["retry-after"]) <= 60
            assert each.headers["x-ratelimit-remaining-requests"] == "0"
    for path, body in PATHS.items():
        assert keyed.ask("requests", path, model=MODEL, **body).status_code == 429
    sample = 'llava:key_refusals_total{key="requests",limit="requests"}'
    assert metric(keyed.url, sample) == 9 + len(PATHS)


def test_limits_of_anthropics_api(keyed: KeyServer) -> None:
    body = {"model": MODEL, "max_tokens": 2, **PATHS["/v1/chat/completions"]}
    answer = keyed.ask("messages", "/v1/messages", **body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert answer.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert "x-ratelimit-limit-requests" not in answer.headers
    del body["max_tokens"]
    refused = keyed.ask("messages", "/v1/messages/count_tokens", **body)
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert int(refused.headers["retry-after"]) > 0


def test_image_tokens_a_minute(keyed: KeyServer) -> None:
    encoded = metric(keyed.url, 'llava:stage_seconds_count{stage="encode"}')
    first = keyed.ask("images", model=MODEL, messages=about_image("What is it?"), max_tokens=2)
    assert first.status_code == 200, first.text
    assert first.headers["x-ratelimit-remaining-image-tokens"] == "0"
    refused = keyed.ask("images", model=MODEL, messages=about_image("And now?"), max_tokens=2)
    assert code(refused) == (429, "rate_limit_exceeded")
    assert int(refused.headers["retry-after"]) > 50
    assert metric(keyed.url, 'llava:stage_seconds_count{stage="encode"}') == encoded + 1
    assert keyed.chat("images").status_code == 200  # without an image


def test_output_tokens_a_minute(keyed: KeyServer) -> None:
    statuses = [
        keyed.chat("output", ignore_eos=True, min_tokens=2, n=4, temperature=1).status_code
        for _ in range(5)
    ]
    assert statuses == [200, 200, 200, 429, 429]
    assert keyed.ask("output", "/tokenize", prompt="Hi").status_code == 200


def test_requests_at_once(keyed: KeyServer) -> None:
    # Long enough to run while the other one is refused.
    long = {"max_tokens": 1800, "ignore_eos": True}
    body = {"model": MODEL, "messages": [user("Tell.")], **long}
    headers = {"authorization": "Bearer one"}
    url = f"{keyed.url}/v1/chat/completions"
    with (
        slow_down(keyed.running.engine_pid()),
        httpx.stream(
            "POST", url, json={**body, "stream": True}, headers=headers, timeout=60
        ) as stream,
    ):
        lines = stream.iter_lines()
        next(lines)
        refused = keyed.chat("one")
        assert code(refused) == (429, "rate_limit_exceeded")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
    keyed.wait(lambda: keyed.chat("one").status_code == 200)


def test_output_tokens_that_running_requests_reserve(keyed: KeyServer) -> None:
    body = {"model": MODEL, "messages": [user("Tell.")], "max_tokens": 1500, "ignore_eos": True}
    headers = {"authorization": "Bearer reserving"}
    url = f"{keyed.url}/v1/chat/completions"
    with (
        slow_down(keyed.running.engine_pid()),
        httpx.stream(
            "POST", url, json={**body, "stream": True}, headers=headers, timeout=60
        ) as stream,
    ):
        lines = stream.iter_lines()  # kept: it closes the stream when it goes
        next(lines)
        refused = keyed.chat("reserving")
        assert code(refused) == (429, "rate_limit_exceeded")
        assert "have reserved what is left of its 1500 output tokens" in refused.text
        assert refused.headers["x-ratelimit-remaining-output-tokens"] == "0"
    keyed.wait(lambda: keyed.chat("reserving").status_code == 200)
    keyed.wait(lambda: "reserving" in find_refused(keyed))


def find_refused(keyed: KeyServer) -> set[str]:
    """Return the keys that lines about refusals name."""
    lines = [json.loads(line) for line in keyed.running.log if "requests refused" in line]
    assert all("127.0.0.1" in line["clients"] for line in lines)
    return {key for line in lines for key in line.get("keys", ())}


@pytest.mark.parametrize("path", PATHS)
def test_a_key_for_an_alias_may_leave_the_model_out(keyed: KeyServer, path: str) -> None:
    answer = keyed.ask("alias", path, **PATHS[path])
    assert answer.status_code == 200, answer.text
    assert answer.json().get("model", ALIAS) == ALIAS


def test_models_that_a_key_may_not_use_are_not_there(keyed: KeyServer) -> None:
    headers = {"authorization": "Bearer nothing"}
    assert httpx.get(f"{keyed.url}/v1/models", headers=headers).json()["data"] == []
    assert httpx.get(f"{keyed.url}/v1/models/{MODEL}", headers=headers).status_code == 404
    for path, body in PATHS.items():
        refused = keyed.ask("nothing", path, model=MODEL, **body)
        assert code(refused) == (404, "model_not_found")
        assert MODEL not in refused.json()["error"]["message"].partition("this server has")[2]
    body = {"model": MODEL, "messages": [user("Hi")]}
    assert keyed.ask("nothing", "/v1/messages", max_tokens=2, **body).status_code == 404
    assert keyed.ask("nothing", "/v1/messages/count_tokens", **body).status_code == 404


def cached(response: httpx.Response) -> int:
    """Return how much of the prompt came from the cache."""
    assert response.status_code == 200, response.text
    return int(response.json()["usage"]["prompt_tokens_details"]["cached_tokens"])


def test_a_key_does_not_see_what_others_have_cached(keyed: KeyServer) -> None:
    completion: dict[str, Any] = {"model": MODEL, "prompt": LONG_TEXT, "max_tokens": 2}
    pictured = {"model": MODEL, "messages": about_image(LONG_TEXT), "max_tokens": 2}
    for path, body in (("/v1/completions", completion), ("/v1/chat/completions", pictured)):
        assert [cached(keyed.ask("plain", path, **body)) > 0 for _ in range(2)] == [False, True]
        assert [cached(keyed.ask("other", path, **body)) > 0 for _ in range(2)] == [False, True]


def test_a_rotated_key_works_at_once_and_keeps_its_caches(
    keyed: KeyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    keyed.command("new", "fresh", "--requests-per-minute", "50")
    first = capsys.readouterr().out.strip()
    text = LONG_TEXT + "Which?"
    assert cached(keyed.chat(first, text)) == 0
    keyed.command("rotate", "fresh", "--keep", "1h")
    second = capsys.readouterr().out.strip()
    answer = keyed.chat(second, text)
    assert cached(answer) > 0
    assert answer.headers["x-ratelimit-remaining-requests"] == "48"
    assert keyed.chat(first).status_code == 200
    keyed.command("rotate", "fresh", "--keep", "0")
    assert keyed.chat(first).status_code == keyed.chat(second).status_code == 401
    assert metric(keyed.url, 'llava:key_requests_total{key="fresh"}') == 3


def test_requests_go_on_when_their_key_is_revoked(
    keyed: KeyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    keyed.command("new", "short-lived")
    secret = capsys.readouterr().out.strip()
    body = {"model": MODEL, "messages": [user("Tell.")], "max_tokens": 400, "ignore_eos": True}
    url, headers = f"{keyed.url}/v1/chat/completions", {"authorization": f"Bearer {secret}"}
    with httpx.stream(
        "POST", url, json={**body, "stream": True}, headers=headers, timeout=60
    ) as stream:
        lines = stream.iter_lines()
        next(lines)
        keyed.command("revoke", "short-lived")
        refused = keyed.chat(secret)
        assert list(lines)[-2:] == ["data: [DONE]", ""]
    assert code(refused) == (401, "invalid_api_key")
    assert "was revoked" in refused.text


def test_a_broken_file_keeps_the_old_keys_and_says_so(keyed: KeyServer) -> None:
    whole = keyed.keys_file.read_text()
    keyed.keys_file.write_text(whole + "[keys.half]\nhash = 'sha256:")
    keyed.wait(lambda: metric(keyed.url, "llava:keys_file_ok") == 0)
    assert keyed.chat("plain").status_code == 200
    said = [line for line in keyed.running.log if "the keys file cannot be used" in line]
    assert "(at end of document)" in said[-1]
    keyed.keys_file.write_text(whole)
    keyed.wait(lambda: metric(keyed.url, "llava:keys_file_ok") == 1)
    reads = keyed.count_reads()
    os.kill(keyed.running.process.pid, 1)  # SIGHUP
    keyed.wait(lambda: keyed.count_reads() > reads)


def test_usage_is_counted_by_key_and_logged(keyed: KeyServer) -> None:
    rotated = keyed.usage_log.with_suffix(".1")
    os.rename(keyed.usage_log, rotated)
    samples = [f'llava:key_{name}_tokens_total{{key="other"}}' for name in
               ("prompt", "image", "generation")]  # fmt: skip
    before = [metric(keyed.url, sample) for sample in samples]
    answer = keyed.ask("other", model=MODEL, messages=about_image("What is it?"), max_tokens=3)
    usage = answer.json()["usage"]
    keyed.wait(keyed.usage_log.exists)
    (line,) = map(json.loads, keyed.usage_log.read_text().splitlines())
    image_tokens = usage["prompt_tokens_details"]["image_tokens"]
    used = [usage["prompt_tokens"], image_tokens, usage["completion_tokens"]]
    assert [line[name] for name in ("prompt_tokens", "image_tokens", "output_tokens")] == used
    added = [metric(keyed.url, sample) for sample in samples]
    assert [after - b for after, b in zip(added, before, strict=True)] == used
    assert (line["key"], line["id"], line["status"]) == ("other", answer.json()["id"], 200)
    assert all(json.loads(each)["key"] in {*KEYS, "fresh", "short-lived"}
               for each in rotated.read_text().splitlines())  # fmt: skip
    keyed.ask("other", "/tokenize", prompt="Hi")
    keyed.wait(lambda: "/tokenize" in keyed.usage_log.read_text())
    counted = json.loads(keyed.usage_log.read_text().splitlines()[-1])
    assert (counted["key"], counted["status"], counted["prompt_tokens"]) == ("other", 200, 0)
    logged = [json.loads(each) for each in keyed.running.log if answer.json()["id"] in each]
    assert logged[-1]["key"] == "other"


def test_no_secret_is_told_anywhere(keyed: KeyServer) -> None:
    exposed = "\n".join(keyed.running.log) + httpx.get(f"{keyed.url}/metrics").text
    assert "llava-" not in exposed.replace("llava-tiny", "").replace("llava-server", "")
    assert not re.search(r"sha256:[0-9a-f]{64}", exposed)
