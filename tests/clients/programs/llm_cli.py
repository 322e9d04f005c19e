"""llm: its command line and its Python interface, with a model of extra-openai-models.yaml."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# llm looks for its models where this says, as soon as it is imported.
HOME = Path(tempfile.mkdtemp())
os.environ["LLM_USER_PATH"] = str(HOME)

import llm  # noqa: E402

from tests.clients.programs.harness import (  # noqa: E402
    IMAGE,
    MAX_TOKENS,
    MODEL,
    PROMPTS,
    URL,
    Shape,
    failure,
    main,
    scenario,
)

(HOME / "extra-openai-models.yaml").write_text(f"""
- model_id: tiny
  model_name: {MODEL}
  api_base: {URL}
  vision: true
  supports_schema: true
  supports_tools: true
- model_id: nothing
  model_name: nothing
  api_base: {URL}
""")
REQUEST_OPTIONS: dict[str, Any] = {"temperature": 0, "max_tokens": MAX_TOKENS}


def told(response: Any) -> dict[str, Any]:
    text = response.text()
    usage = response.usage()
    return {"text": text, "prompt_tokens": usage.input, "completion_tokens": usage.output}


def ask(text: str, **options: Any) -> Any:
    return llm.get_model("tiny").prompt(text, key="none", **(REQUEST_OPTIONS | options))


def shown() -> list[Any]:
    return [llm.Attachment(path=str(IMAGE))]


def by_command(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "llm", *arguments, "-m", "tiny", "--key", "none"]
    options = ["-o", "temperature", "0", "-o", "max_tokens", str(MAX_TOKENS)]
    run = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    return {"text": run.stdout.strip()}


@scenario
def plain() -> Any:
    return told(ask(PROMPTS["hello"], stream=False))


@scenario
def streamed() -> Any:
    return told(ask(PROMPTS["hello"], stream=True))


@scenario
def command_image() -> Any:
    return by_command(PROMPTS["describe"], "-a", str(IMAGE), "--no-stream")


@scenario
def image() -> Any:
    return told(ask(PROMPTS["describe"], attachments=shown(), stream=False))


@scenario
def image_streamed() -> Any:
    return told(ask(PROMPTS["describe"], attachments=shown(), stream=True))


@scenario
def system() -> Any:
    return told(ask(PROMPTS["hello"], system=PROMPTS["system"], stream=False))


@scenario
def several_turns() -> Any:
    conversation = llm.get_model("tiny").conversation()
    first = conversation.prompt(
        PROMPTS["circle"], attachments=shown(), key="none", **REQUEST_OPTIONS
    )
    assert first.text() == PROMPTS["red"]
    return told(conversation.prompt(PROMPTS["star"], key="none", **REQUEST_OPTIONS))


@scenario
def structured() -> Any:
    response = ask(PROMPTS["report"], schema=Shape, stream=False)
    return Shape.model_validate_json(response.text()).model_dump()


@scenario
def json_object() -> Any:
    return told(ask(PROMPTS["report"], json_object=True, stream=False))


@scenario
def tool_auto() -> Any:
    def report_shape(count: int) -> str:
        """Report how many shapes there are."""
        assert count >= 0
        return str(PROMPTS["said"])

    return told(ask(PROMPTS["hello"], tools=[report_shape], stream=False))


@scenario
def stop() -> Any:
    return told(ask(PROMPTS["hello"], stop=PROMPTS["stop"], stream=False))


@scenario
def seed() -> Any:
    return [ask(PROMPTS["hello"], temperature=2, seed=seed).text() for seed in (1, 1, 2)]


@scenario
def length() -> Any:
    return told(ask(PROMPTS["hello"], max_tokens=3, stream=False))


@scenario
def model_not_found() -> Any:
    return failure(
        lambda: llm.get_model("nothing").prompt(PROMPTS["hello"], key="none", stream=False).text()
    )


main()
