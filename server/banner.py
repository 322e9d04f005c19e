"""The banner of a ready server: its URL and an example request."""

import re
import shlex
from typing import Final

from server.example_image import EXAMPLE_IMAGE_URL

UNIX: Final = "unix:"

KEY_OPTION: Final = '-H "Authorization: Bearer $LLAVA_API_KEY" '

CURL: Final = """\
curl -s {options}{url}/v1/chat/completions -H 'Content-Type: application/json' -d '{{
  "model": "{model}",
  "messages": [{{"role": "user", "content": [
    {{"type": "text", "text": "Describe the image."}},
    {{"type": "image_url", "image_url": {{
      "url": "{image_url}"}}}}
  ]}}]
}}'"""

READY: Final = re.compile(r"is ready at (\S+) \(in a browser, too; docs: ")


def format_ready_banner(url: str, model: str, *, needs_key: bool = False) -> str:
    """Format the URL, which opens the page, and a curl command that asks about an image.

    For a Unix domain socket, the URL is `unix:` and its path. Keys are never printed.
    """
    url = _name_loopback(url)
    curl = format_curl_command(url, model, needs_key=needs_key)
    if url.startswith(UNIX):
        return f"\n{model} is ready at {url} (a Unix domain socket). Try:\n\n{curl}\n"
    return f"\n{model} is ready at {url} (in a browser, too; docs: {url}/docs). Try:\n\n{curl}\n"


def format_curl_command(url: str, model: str, *, needs_key: bool = False) -> str:
    """Format a curl command that asks a server about an image.

    It holds the image itself, so that it works from any folder, and outside the server's container.
    """
    key = KEY_OPTION if needs_key else ""
    url = _name_loopback(url)
    if url.startswith(UNIX):
        options = f"--unix-socket {shlex.quote(url.removeprefix(UNIX))} {key}"
        return _format_curl("http://localhost", model, options)
    # The certificate rarely names the address.
    insecure = "-k " if url.startswith("https:") else ""
    return _format_curl(url, model, insecure + key)


def _name_loopback(url: str) -> str:
    """Return the URL with the loopback address in place of a wildcard address."""
    return url.replace("//0.0.0.0", "//127.0.0.1").replace("//[::]", "//[::1]")


def _format_curl(url: str, model: str, options: str) -> str:
    return CURL.format(options=options, url=url, model=model, image_url=EXAMPLE_IMAGE_URL)


def parse_ready_url(line: str) -> str | None:
    """Return the URL if this line of the banner has it, else None."""
    match = READY.search(line)
    return match[1] if match else None
