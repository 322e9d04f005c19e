"""The command line as texts, and every mistake in it at once."""

import pytest

from server.start.parsing import parse_command_line


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--port", "80"], {"port": "80"}),
        (["--port=80", "--port", "81"], {"port": "81"}),
        (["--port", "-1"], {"port": "-1"}),
        (["--fast-jpeg"], {"fast_jpeg": "true"}),
        (["--no-fast-jpeg"], {"fast_jpeg": "false"}),
        (["--enforce-eager", "false", "--port", "1"], {"enforce_eager": "false", "port": "1"}),
        (["--enforce-eager=true"], {"enforce_eager": "true"}),
        (["--enforce-eager", "--port", "1"], {"enforce_eager": "true", "port": "1"}),
        (["--fetch-allow-networks="], {"fetch_allow_networks": ""}),
        (["--root-path="], {"root_path": ""}),
        (["--model", "a=b"], {"model": "a=b"}),
    ],
)
def test_values(words: list[str], values: dict[str, str]) -> None:
    parsed = parse_command_line(words)
    assert (parsed.values, parsed.mistakes) == (values, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prot", "80"], "--prot: no such option; did you mean --port?"),
        (["--MAX-IMAGES", "1"], "--MAX-IMAGES: no such option; did you mean --max-images?"),
        (["--served-model"], "--served-model: no such option; did you mean --served-model-name?"),
        (["--max_images", "1"], "--max_images: no such option; did you mean --max-images?"),
        (["--xyzzy"], "--xyzzy: no such option; --help lists them"),
        (["-p", "80"], "-p: no such option; --help lists them"),
        (["--port"], "--port: needs a value: --port PORT"),
        (["--port", "--uds"], "--port: needs a value: --port PORT"),
        (["--log-level"], "--log-level: needs a value: --log-level {debug,info,warning,error}"),
        (["--model="], "--model: is empty; leave it out, or give it a value"),
        (
            ["--no-fast-jpeg=true"],
            "--no-fast-jpeg=true: takes no value: --no-fast-jpeg, or --fast-jpeg=true",
        ),
        (["--check=true"], "--check=true: takes no value: write --check"),
        (["--check=false"], "--check=false: takes no value: write --check"),
        (["--check", "yes"], "--check yes: takes no value: write --check"),
        (["--version=1"], "--version=1: takes no value: write --version"),
        (
            ["--check", "serve"],
            "serve: a command must be the first word: serve [options]",
        ),
        (
            ["--port", "1", "keys"],
            "keys: a command must be the first word: keys [options]",
        ),
        (
            ["--port", "1", "org/model"],
            "org/model: is neither a command nor an option; to serve a model, use"
            " --model org/model",
        ),
    ],
)
def test_mistakes(words: list[str], said: str) -> None:
    assert str(parse_command_line(words, ("serve", "keys")).mistakes[0]) == said


def test_the_value_of_an_unknown_option_is_no_mistake_of_its_own() -> None:
    parsed = parse_command_line(["--prot", "80", "--hots", "a", "--port", "1"])
    assert [mistake.written for mistake in parsed.mistakes] == ["--prot", "--hots"]
    assert parsed.values == {"port": "1"}


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_wins_over_what_else_there_is(word: str) -> None:
    assert parse_command_line(["--prot", "80", word]).wants_help


def test_a_command_may_be_a_value() -> None:
    parsed = parse_command_line(["--served-model-name", "chat", "--check"], ("chat",))
    assert (parsed.values, parsed.mistakes) == ({"served_model_name": "chat"}, [])
    assert parsed.wants_check
