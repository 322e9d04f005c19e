"""Log lines of a process, as text and as JSON."""

import json
import subprocess
import sys

from server.telemetry.logs import escape_controls

PROGRAM = """
import logging
from server.telemetry.logs import configure_logs, get_logger

early = get_logger("server.early")
configure_logs("{level}", "{log_format}")
early.info("request", id="1", images=2)
early.debug("detail")
get_logger("server.other").warning("odd", text='a "quoted"\\nline')
logging.getLogger("uvicorn.error").info("started")
logging.getLogger("uvicorn.error").error("broken")
try:
    prompt = "hunter2"
    raise LookupError("lost")
except LookupError:
    get_logger("server").exception("failed")
"""


def lines(level: str, log_format: str) -> list[str]:
    """Return what a program logs."""
    program = PROGRAM.format(level=level, log_format=log_format)
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == ""
    return run.stderr.splitlines()


def test_json_is_one_object_a_line() -> None:
    logged = [json.loads(line) for line in lines("info", "json")]
    assert [(line["event"], line["level"]) for line in logged] == [
        ("request", "info"),
        ("odd", "warning"),
        ("broken", "error"),
        ("failed", "error"),
    ]
    assert all(line["timestamp"].endswith("Z") for line in logged)
    assert (logged[0]["id"], logged[0]["images"]) == ("1", 2)
    assert logged[1]["text"] == 'a "quoted"\nline'
    assert "LookupError: lost" in logged[3]["exception"]


def test_text_has_no_colours_in_a_file_and_no_variables_in_tracebacks() -> None:
    logged = lines("debug", "text")
    assert "request" in logged[0]
    assert "images=2" in logged[0]
    assert "detail" in logged[1]
    whole = "\n".join(logged)
    assert "LookupError: lost" in whole
    assert "\x1b" not in whole
    assert "started" in whole  # a library's line
    assert "started" not in "".join(lines("info", "text"))
    # The source line of the error may show, the value of a variable must not.
    assert "hunter2" not in whole


def test_the_level_is_ours_alone() -> None:
    logged = [json.loads(line)["event"] for line in lines("error", "json")]
    assert logged == ["broken", "failed"]


def test_values_cannot_steer_a_terminal() -> None:
    line = {"event": "request", "model": "\x1b[31mred\x1b[0m\u202e\x00é\n", "images": 1}
    escaped = escape_controls(None, "info", line)
    assert escaped["model"] == r"\x1b[31mred\x1b[0m\u202e\x00é\n"
    assert escaped["images"] == 1
