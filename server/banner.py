"""The banner of a ready server: its URL and an example request."""

import re
import shlex
from typing import Final

UNIX: Final = "unix:"
EXAMPLE_IMAGE: Final = "model_store/llava-tiny/examples/scene-1.png"

KEY_OPTION: Final = '-H "Authorization: Bearer $LLAVA_API_KEY" '

CURL: Final = """\
curl -s {options}{url}/v1/chat/completions -H 'Content-Type: application/json' -d '{{
  "model": "{model}",
  "messages": [{{"role": "user", "content": [
    {{"type": "text", "text": "Describe the image."}},
    {{"type": "image_url", "image_url": {{
      "url": "data:image/png;base64,'"$(base64 < {image} | tr -d '\\n')"'"}}}}
  ]}}]
}}'"""

READY: Final = re.compile(r"is ready at (\S+) \(in a browser, too; docs: ")


def format_ready_banner(url: str, model: str, *, needs_key: bool = False) -> str:
    """Format the URL, which opens the page, and a curl command that asks about an image.

    Of a Unix domain socket, the URL is `unix:` and its path. Keys are never printed.
    """
    key = KEY_OPTION if needs_key else ""
    url = url.replace("//0.0.0.0", "//127.0.0.1").replace("//[::]", "//[::1]")
    if url.startswith(UNIX):
        options = f"--unix-socket {shlex.quote(url.removeprefix(UNIX))} {key}"
        curl = _format_curl("http://localhost", model, options)
        return f"\n{model} is ready at {url} (a Unix domain socket). Try:\n\n{curl}\n"
    # The certificate rarely names the address.
    insecure = "-k " if url.startswith("https:") else ""
    curl = _format_curl(url, model, insecure + key)
    return f"\n{model} is ready at {url} (in a browser, too; docs: {url}/docs). Try:\n\n{curl}\n"


def _format_curl(url: str, model: str, options: str) -> str:
    return CURL.format(options=options, url=url, model=model, image=EXAMPLE_IMAGE)


def parse_ready_url(line: str) -> str | None:
    """Return the URL if the line of the banner has it, or else None."""
    match = READY.search(line)
    return match[1] if match else None
